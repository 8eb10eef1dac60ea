/** What a member does with what its leader sends: entries, news of commits, a snapshot (Raft §5.3, §7). */
import { strict as assert } from 'node:assert';
import type { MemoryLog } from './log.js';
import type { AppendRequest, CommitNotice, Heartbeat, SnapshotMessage } from './messages.js';
import type { Outbox } from './outbox.js';
import { type Entry, logIndex, type LogIndex, type MemberId, type Term } from './types.js';

/** What following needs of the core around it. */
export interface FollowerContext {
  readonly id: MemberId;
  readonly term: Term;
  readonly log: MemoryLog;
  readonly commit: LogIndex;
  commitTo(index: LogIndex): void;
  /** The log begins behind this snapshot now; it is to be saved, and the state machine restored from it. */
  install(message: SnapshotMessage): void;
}

export class Follower {
  readonly #context: FollowerContext;
  readonly #outbox: Outbox;

  constructor(context: FollowerContext, outbox: Outbox) {
    this.#context = context;
    this.#outbox = outbox;
  }

  onAppend(message: AppendRequest): void {
    const { from, prevIndex, prevTerm, entries } = message;
    const { log, commit } = this.#context;
    if (prevIndex < commit) return this.#accept(from, commit);
    if (!log.matches(prevIndex, prevTerm)) {
      const hint = log.lastIndexNotAbove(prevIndex, prevTerm);
      this.#outbox.sendAfterPersist({
        type: 'append-rejected',
        ...this.#to(from),
        index: prevIndex,
        hintIndex: hint.index,
        hintTerm: hint.term,
      });
      return;
    }
    for (const entry of entries) this.#take(entry);
    const last = logIndex(prevIndex + entries.length);
    this.#context.commitTo(logIndex(Math.min(message.commit, last)));
    this.#accept(from, last);
  }

  onHeartbeat(message: Heartbeat): void {
    this.#commitWhatIsHere(message);
    const { from, readRound } = message;
    this.#outbox.send({ type: 'heartbeat-reply', ...this.#to(from), readRound });
  }

  onCommitNotice(message: CommitNotice): void {
    this.#commitWhatIsHere(message);
  }

  onSnapshot(message: SnapshotMessage): void {
    const { from, meta } = message;
    const { log, commit } = this.#context;
    if (meta.index <= commit) return this.#accept(from, commit);
    // Else we have it all, only did not know that it is committed.
    if (!log.matches(meta.index, meta.term)) this.#context.install(message);
    else this.#context.commitTo(meta.index);
    this.#accept(from, meta.index);
  }

  /** Not by the index alone: a log that forgot what it had acknowledged may hold another entry there (forgotten.ts). */
  #commitWhatIsHere({ commit, commitTerm }: Heartbeat | CommitNotice): void {
    if (this.#context.log.matches(commit, commitTerm)) this.#context.commitTo(commit);
  }

  /** Raft §5.3: a conflicting entry and everything behind it goes; an equal one stays. */
  #take(entry: Entry): void {
    const { log, commit } = this.#context;
    if (entry.index <= log.lastIndex) {
      if (log.matches(entry.index, entry.term)) return;
      assert(entry.index > commit, `entry ${entry.index} conflicts with a committed one`);
      log.truncateFrom(entry.index);
    }
    log.append(entry);
  }

  #accept(to: MemberId, index: LogIndex): void {
    this.#outbox.acknowledge({ type: 'append-accepted', ...this.#to(to), index });
  }

  #to(to: MemberId): { readonly from: MemberId; readonly to: MemberId; readonly term: Term } {
    return { from: this.#context.id, to, term: this.#context.term };
  }
}
