/**
 * What a member holds only while it leads: the peers' progress, its read rounds, a transfer under way.
 * Made when the election is won and thrown away when it steps down, so nothing of one leadership leaks
 * into the next. It never decides to step down: it tells (`hasQuorum`), the core acts.
 */
import { membersOf } from './configuration.js';
import { Progress } from './progress.js';
import { ReadQueue } from './reads.js';
import { entryBytes } from './log.js';
import { logIndex, term } from './types.js';
import type { AppendAccepted, AppendRejected, HeartbeatReply, Message } from './messages.js';
import type { CoreOptions } from './options.js';
import type { MemoryLog } from './log.js';
import type { Quorum } from './quorum.js';
import type { ReadState } from './ready.js';
import type { Configuration, Entry, EntryType, LogIndex, MemberId, Term } from './types.js';

/** What a leader needs of the core around it. */
export interface LeaderContext {
  readonly id: MemberId;
  readonly log: MemoryLog;
  readonly configuration: Configuration;
  readonly quorum: Quorum;
  readonly options: CoreOptions;
  readonly commit: LogIndex;
  commitTo(index: LogIndex): void;
  send(message: Message): void;
  answerRead(state: ReadState): void;
}

const NO_DATA = new Uint8Array(0);

export class Leader {
  readonly term: Term;
  readonly reads: ReadQueue;
  /** Every member but this one, learners too. */
  readonly peers = new Map<MemberId, Progress>();
  transferTo: MemberId | null = null;
  /** Bytes of own proposals that are not committed. */
  uncommittedBytes = 0;
  readonly #context: LeaderContext;

  constructor(context: LeaderContext, term: Term) {
    this.#context = context;
    this.term = term;
    this.reads = new ReadQueue(context.options.pendingReadsMax);
    for (const id of membersOf(context.configuration)) this.#meet(id);
  }

  /** The configuration has changed: new peers are met, those that left get a last word. */
  configure(configuration: Configuration): void {
    const members = membersOf(configuration);
    for (const [id, peer] of this.peers) {
      if (members.includes(id)) continue;
      // It shall know that it was let go, or it would campaign, in vain, for ever.
      this.#sayGoodbye(id, peer);
      this.peers.delete(id);
    }
    for (const id of members) {
      if (this.peers.has(id)) continue;
      // Nobody has heard of it yet: that must not cost the leader its quorum before it could answer.
      const peer = this.#meet(id);
      if (peer !== null) peer.active = true;
    }
    if (this.transferTo !== null && !configuration.voters.includes(this.transferTo)) this.transferTo = null;
  }

  /** How far commits have come, though not all that is on its way there is acknowledged. */
  #sayGoodbye(to: MemberId, peer: Progress): void {
    const prevIndex = logIndex(peer.next - 1);
    const prevTerm = this.#context.log.term(prevIndex);
    if (peer.state !== 'replicate' || prevTerm === null) return this.#sendHeartbeat(to, peer, 0);
    const { commit } = this.#context;
    this.#send({ type: 'append', ...this.#to(to), prevIndex, prevTerm, entries: [], commit });
  }

  #meet(id: MemberId): Progress | null {
    const { log, options } = this.#context;
    if (id === this.#context.id) return null;
    const peer = new Progress(0, log.lastIndex + 1, options);
    this.peers.set(id, peer);
    return peer;
  }

  append(type: EntryType, data: Uint8Array): void {
    const { log } = this.#context;
    const entry: Entry = { term: this.term, index: logIndex(log.lastIndex + 1), type, data };
    log.append(entry);
    if (type === 'normal') this.uncommittedBytes += entryBytes(entry);
  }

  /**
   * Sends whatever may be sent now; called once per `Ready`, so proposals of one turn share their appends.
   */
  flush(): void {
    this.#startReadRound();
    for (const [id, peer] of this.peers) this.#sendAppends(id, peer);
  }

  /** Raft §5.3 and §5.4.2: counts replicas, and only for entries of the own term. */
  advanceCommit(): void {
    const { log, quorum, commit } = this.#context;
    const reached = quorum.reached((voter) => this.#matchOf(voter));
    if (reached <= commit || log.term(reached) !== this.term) return;
    for (let index = commit + 1; index <= reached; index++) {
      const entry = log.at(index)!;
      if (entry.type === 'normal')
        this.uncommittedBytes = Math.max(0, this.uncommittedBytes - entryBytes(entry));
    }
    this.#context.commitTo(logIndex(reached));
  }

  onAccepted(message: AppendAccepted): void {
    const peer = this.peers.get(message.from);
    if (peer === undefined) return;
    peer.active = true;
    const news = peer.accepted(message.index);
    if (peer.state === 'probe') {
      // Also without news: the answer itself shows that the logs agree up to there.
      if (message.index >= peer.match) peer.becomeReplicate();
    } else if (peer.state === 'snapshot' && peer.match >= peer.snapshotIndex) {
      peer.becomeProbe();
      peer.becomeReplicate();
    }
    if (news) this.advanceCommit();
    this.#handOver();
  }

  onRejected(message: AppendRejected): void {
    const peer = this.peers.get(message.from);
    if (peer === undefined) return;
    peer.active = true;
    const agreed = this.#context.log.lastIndexNotAbove(message.hintIndex, message.hintTerm).index;
    peer.rejected(message.index, agreed);
  }

  onHeartbeatReply(message: HeartbeatReply): void {
    const peer = this.peers.get(message.from);
    if (peer === undefined) return;
    peer.active = true;
    if (message.readRound > peer.readRound) peer.readRound = message.readRound;
    peer.nudge();
    this.finishReads();
    this.#handOver();
  }

  /** Ends the read round that a quorum has confirmed, if it has. */
  finishReads(): void {
    const { id, quorum } = this.#context;
    const { round } = this.reads;
    if (round === null) return;
    if (!quorum.holds((voter) => voter === id || this.peers.get(voter)!.readRound >= round.number)) return;
    this.reads.finish();
    for (const read of round.reads) {
      if (read.from === id) this.#context.answerRead({ context: read.context, index: round.index });
      else
        this.#send({
          type: 'read-index-reply',
          ...this.#to(read.from),
          context: read.context,
          index: round.index,
        });
    }
  }

  heartbeat(): void {
    const readRound = this.reads.round?.number ?? 0;
    for (const [id, peer] of this.peers) this.#sendHeartbeat(id, peer, readRound);
  }

  #sendHeartbeat(to: MemberId, peer: Progress, readRound: number): void {
    this.#send({ type: 'heartbeat', ...this.#to(to), ...this.#commitOf(peer), readRound });
  }

  /** How far the peer may commit: what it has acknowledged is equal to what is here. */
  #commitOf(peer: Progress): { readonly commit: LogIndex; readonly commitTerm: Term } {
    const commit = logIndex(Math.min(peer.match, this.#context.commit));
    return { commit, commitTerm: this.#context.log.term(commit) ?? term(0) };
  }

  tickSnapshots(): void {
    for (const peer of this.peers.values()) {
      if (peer.state === 'snapshot' && ++peer.snapshotTicks >= this.#context.options.snapshotRetryTicks) {
        peer.abandonSnapshot();
      }
    }
  }

  /** Has a majority of voters been heard of since the last call? */
  hasQuorum(): boolean {
    const { id, quorum } = this.#context;
    const heard = quorum.holds((voter) => voter === id || this.peers.get(voter)!.active);
    for (const peer of this.peers.values()) peer.active = false;
    return heard;
  }

  /** The target gets what it lacks first; `timeout-now` follows as soon as it has everything. */
  startTransfer(to: MemberId): void {
    this.transferTo = to;
    this.#handOver();
  }

  /**
   * This member has no vote any more, from a change that it committed itself (dissertation §4.2.2). It takes
   * no proposals, and goes when somebody else leads: of two members, the one that is left cannot be elected
   * before it hears that it is alone.
   */
  bowOut(): void {
    const { voters } = this.#context.configuration;
    const match = (id: MemberId): number => this.peers.get(id)!.match;
    this.startTransfer(voters.reduce((best, id) => (match(id) > match(best) ? id : best)));
  }

  #handOver(): void {
    const { log } = this.#context;
    const to = this.transferTo;
    if (to === null || this.peers.get(to)!.match !== log.lastIndex) return;
    this.#send({ type: 'timeout-now', ...this.#to(to) });
  }

  #startReadRound(): void {
    const { log, commit } = this.#context;
    // Before a commit in its own term a leader does not know how far the last leader's commits went (etcd
    // #7331).
    if (!this.reads.hasWaiting || this.reads.round !== null || log.term(commit) !== this.term) return;
    this.reads.start(commit);
    if (this.peers.size > 0) this.heartbeat();
    this.finishReads();
  }

  #sendAppends(to: MemberId, peer: Progress): void {
    const { log, options, commit } = this.#context;
    while (peer.canAppend()) {
      const idle = peer.next > log.lastIndex;
      const lagging = peer.nudged && peer.match < log.lastIndex;
      if (idle && !lagging && peer.state === 'replicate') return this.#tellCommit(to, peer);
      if (idle && !lagging && peer.commitSent >= commit) return;
      peer.nudged = false;
      const prevIndex = logIndex(peer.next - 1);
      const prevTerm = log.term(prevIndex);
      if (prevTerm === null) return this.#sendSnapshot(to, peer);
      const entries = idle ? [] : log.entries(peer.next, log.lastIndex + 1, options.messageBytesMax);
      peer.commitSent = commit;
      this.#send({ type: 'append', ...this.#to(to), prevIndex, prevTerm, entries, commit });
      let bytes = 0;
      for (const entry of entries) bytes += entryBytes(entry);
      peer.sent(prevIndex + entries.length, bytes);
    }
  }

  /** What the peer has not acknowledged yet it hears of when it has, so that each entry costs one notice at most. */
  #tellCommit(to: MemberId, peer: Progress): void {
    const { commit, commitTerm } = this.#commitOf(peer);
    if (commit <= peer.commitSent) return;
    peer.commitSent = commit;
    this.#send({ type: 'commit', ...this.#to(to), commit, commitTerm });
  }

  #sendSnapshot(to: MemberId, peer: Progress): void {
    const meta = this.#context.log.snapshot;
    // To a peer that is not there it would only cost.
    if (meta === null || !peer.active) return;
    peer.becomeSnapshot(meta.index);
    this.#send({ type: 'snapshot', ...this.#to(to), meta, data: NO_DATA });
  }

  #matchOf(voter: MemberId): number {
    // The own log counts only as far as its fsync has come (etcd #14370).
    return voter === this.#context.id ? this.#context.log.stableIndex : this.peers.get(voter)!.match;
  }

  #to(to: MemberId): { readonly from: MemberId; readonly to: MemberId; readonly term: Term } {
    return { from: this.#context.id, to, term: this.term };
  }

  #send(message: Message): void {
    this.#context.send(message);
  }
}
