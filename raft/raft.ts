/**
 * One member of a group, complete: the core, a disk, a state machine and a clock put together. The face is
 * hashicorp/raft's (apply, barrier, verifyLeader, leadershipTransfer, stats, observers). Inside runs one
 * loop: whatever came in during a turn of the event loop becomes one `Ready`; messages leave, one save
 * runs at a time, and all that arrives while it runs goes into the next (group commit). Membership is fixed.
 */
import { strict as assert } from 'node:assert';
import * as limits from './limits.js';
import { RaftCore, type ProposeResult } from './core/core.js';
import { MemoryLog, entryBytes } from './core/log.js';
import { defaultCoreLimits, type CoreLimits } from './core/options.js';
import { RaftError } from './errors.js';
import { checkMessage } from './message-check.js';
import { ProposalQueue, type Proposal } from './proposals.js';
import { ReadWaiters } from './read-waiters.js';
import { Snapshotter } from './snapshotter.js';
import { PeerWatch } from './peer-watch.js';
import type { Message } from './core/messages.js';
import type { Persist, Ready, Role, SoftState } from './core/ready.js';
import type { Configuration, Entry, EntryType, LogIndex, MemberId } from './core/types.js';
import type { Fsm } from './fsm.js';
import type { CoreView, Observation, Observer, RaftStats } from './observer.js';
import type { LogStorage, SaveBatch, SnapshotStore } from './storage.js';
import type { Clock, Transport } from './transport.js';

export interface RaftLimits extends CoreLimits {
  readonly tickMs: number;
  readonly snapshotEveryEntries: number;
  readonly snapshotEveryBytes: number;
  readonly trailingEntriesMax: number;
  readonly trailingBytesMax: number;
  readonly snapshotBytesMax: number;
  readonly pendingProposalsMax: number;
  readonly proposalBytesMax: number;
}

export interface RaftOptions<Result> {
  readonly id: MemberId;
  /** The same on every member, and for ever (membership changes are not built). */
  readonly configuration: Configuration;
  readonly fsm: Fsm<Result>;
  readonly storage: LogStorage;
  readonly snapshots: SnapshotStore;
  readonly transport: Transport;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** The disk or the state machine failed: the member has ended and its process should too. */
  readonly onFatal: (error: unknown) => void;
  readonly limits?: Partial<RaftLimits>;
}

interface Transfer {
  readonly to: MemberId;
  readonly deadlineMs: number;
  resolve(): void;
  reject(error: RaftError): void;
}

export const defaultRaftLimits: RaftLimits = {
  ...defaultCoreLimits,
  tickMs: limits.tickMs,
  snapshotEveryEntries: limits.snapshotEveryEntries,
  snapshotEveryBytes: limits.snapshotEveryBytes,
  trailingEntriesMax: limits.trailingEntriesMax,
  trailingBytesMax: limits.trailingBytesMax,
  snapshotBytesMax: limits.snapshotBytesMax,
  pendingProposalsMax: limits.pendingProposalsMax,
  proposalBytesMax: limits.proposalBytesMax,
};

const defaultTimeoutMs = 5_000;
const NO_DATA = new Uint8Array(0);

export class Raft<Result> {
  readonly id: MemberId;
  readonly #options: RaftOptions<Result>;
  readonly #limits: RaftLimits;
  readonly #core: RaftCore;
  readonly #clock: Clock;
  readonly #proposals = new ProposalQueue<Result>();
  readonly #reads = new ReadWaiters();
  readonly #snapshotter: Snapshotter<Result>;
  readonly #peers: PeerWatch;
  readonly #observers = new Set<Observer>();
  #state: 'running' | 'stopping' | 'ended' = 'running';
  #pumpScheduled = false;
  #timer: { cancel(): void } | null = null;
  #saving: Promise<void> | null = null;
  #savingSinceMs = 0;
  #stallReported = false;
  #transfer: Transfer | null = null;
  #draining: { readonly deadlineMs: number; resolve(): void } | null = null;
  #role: Role = 'follower';
  #leader: MemberId | null = null;

  /** Loads what the member had, restores its state machine and starts its clock. */
  static async start<Result>(options: RaftOptions<Result>): Promise<Raft<Result>> {
    const { storage, snapshots, fsm, configuration } = options;
    const snapshot = await snapshots.load();
    const saved = await storage.load();
    const from = snapshot?.meta.index ?? 0;
    if ((saved.snapshotMeta?.index ?? 0) > from) {
      throw corrupt(`the log begins behind a snapshot at ${saved.snapshotMeta!.index}, which is missing`);
    }
    if (snapshot !== null && !sameMembers(snapshot.meta.configuration, configuration)) {
      throw corrupt('the snapshot was taken in a group with other members');
    }
    const log = MemoryLog.load(snapshot?.meta ?? null, saved.entries);
    if (snapshot !== null) {
      await fsm.restore(snapshot.data);
      const savedEnd = saved.entries.at(-1)?.index ?? saved.snapshotMeta?.index ?? 0;
      // A crash between the snapshot's save and the log's left a log that does not reach it, or
      // contradicts it.
      if (savedEnd < from || log.lastIndex !== savedEnd) {
        await storage.save({ snapshot: snapshot.meta, entries: [], mustSync: true });
      }
    }
    const limitsOfGroup = { ...defaultRaftLimits, ...options.limits };
    const core = new RaftCore(
      { ...limitsOfGroup, id: options.id, configuration, random: options.random },
      { hardState: saved.hardState, log, applied: from as LogIndex },
    );
    return new Raft(options, limitsOfGroup, core);
  }

  private constructor(options: RaftOptions<Result>, raftLimits: RaftLimits, core: RaftCore) {
    this.id = options.id;
    this.#options = options;
    this.#limits = raftLimits;
    this.#core = core;
    this.#clock = options.clock;
    this.#peers = new PeerWatch(raftLimits.electionTicks * raftLimits.tickMs);
    this.#snapshotter = new Snapshotter({
      core,
      fsm: options.fsm,
      store: options.snapshots,
      configuration: options.configuration,
      limits: raftLimits,
      observe: (observation) => this.#observe(observation),
      fail: (error) => this.#fail(error),
    });
    // Members that start together must not tick together, or their elections collide.
    this.#armTimer(raftLimits.tickMs * options.random());
    // A group of one need not wait for anybody.
    if (core.quorum.size === 1) core.campaign();
    this.#schedule();
  }

  // ---- what a client asks

  /** Replicates `data`; resolves with the state machine's result once this member has applied it. */
  async apply(data: Uint8Array, timeoutMs = defaultTimeoutMs): Promise<Result> {
    const { results } = await this.#propose([data], 'normal', timeoutMs);
    return results[0]!;
  }

  /** Several entries in a row, one promise for all. */
  async applyBatch(data: readonly Uint8Array[], timeoutMs = defaultTimeoutMs): Promise<readonly Result[]> {
    if (data.length === 0) return [];
    const { results } = await this.#propose(data, 'normal', timeoutMs);
    return results;
  }

  /** Resolves when everything proposed before it, by whomever, is applied here. */
  async barrier(timeoutMs = defaultTimeoutMs): Promise<LogIndex> {
    const { last } = await this.#propose([NO_DATA], 'noop', timeoutMs);
    return last;
  }

  /** Linearizable read: resolves with an applied index that is not older than the call. On any member. */
  readIndex(timeoutMs = defaultTimeoutMs): Promise<LogIndex> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'ended') return reject(this.#stoppedError());
      if (this.#reads.size >= this.#limits.pendingReadsMax) {
        return reject(
          new RaftError('Dropped', 'too many reads are waiting', { definite: true, leader: this.#leader }),
        );
      }
      this.#reads.add({ deadlineMs: this.#clock.monotonicMs() + timeoutMs, resolve, reject });
      this.#schedule();
    });
  }

  /** Resolves when a majority has confirmed, after the call, that this member leads. */
  async verifyLeader(timeoutMs = defaultTimeoutMs): Promise<void> {
    const { term } = this.#core;
    if (this.#core.role !== 'leader') throw this.#notLeader();
    await this.readIndex(timeoutMs);
    if (this.#core.role !== 'leader' || this.#core.term !== term) throw this.#notLeader();
  }

  /** Hands leadership over, to `to` or to the voter whose log is most complete. */
  leadershipTransfer(to?: MemberId): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'ended') return reject(this.#stoppedError());
      if (this.#core.role !== 'leader') return reject(this.#notLeader());
      if (this.#transfer !== null) {
        return reject(
          new RaftError('Dropped', 'a transfer is under way', { definite: true, leader: this.#leader }),
        );
      }
      const target = to ?? this.#peers.mostComplete(this.#core, this.#clock.monotonicMs());
      if (target === null || this.#core.transferLeadership(target) !== 'started') {
        const why = `leadership cannot go to ${target ?? 'anybody: no other voter is alive'}`;
        return reject(new RaftError('InvalidArgument', why, { definite: true, leader: this.#leader }));
      }
      const deadlineMs = this.#clock.monotonicMs() + 2 * this.#electionTimeoutMs;
      this.#transfer = { to: target, deadlineMs, resolve, reject };
      this.#schedule();
    });
  }

  /** Takes a snapshot now, whatever the thresholds say. */
  snapshot(): Promise<LogIndex> {
    if (this.#state === 'ended') return Promise.reject(this.#stoppedError());
    return this.#snapshotter.take();
  }

  async addVoter(id: MemberId): Promise<never> {
    throw unsupported(`add the voter ${id}`);
  }
  async addNonvoter(id: MemberId): Promise<never> {
    throw unsupported(`add the learner ${id}`);
  }
  async removeServer(id: MemberId): Promise<never> {
    throw unsupported(`remove ${id}`);
  }

  /** The leader as far as this member knows. */
  leader(): MemberId | null {
    return this.#core.leaderId;
  }

  isLeader(): boolean {
    return this.#core.role === 'leader';
  }

  /** Returns the way to stop observing. */
  observe(observer: Observer): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** For checkers: the core itself, to be looked at and not touched. */
  get core(): CoreView {
    return this.#core;
  }

  stats(): RaftStats {
    const { log, role, term, commit, appliedIndex, leader, leaderId } = this.#core;
    return {
      id: this.id,
      role,
      term,
      leader: leaderId,
      firstIndex: log.firstIndex,
      lastIndex: log.lastIndex,
      stableIndex: log.stableIndex,
      commitIndex: commit,
      appliedIndex,
      snapshotIndex: log.snapshot?.index ?? (0 as LogIndex),
      pendingProposals: this.#proposals.size,
      uncommittedBytes: leader?.uncommittedBytes ?? 0,
      peers: [...(leader?.peers ?? [])].map(([id, peer]) => ({
        id,
        state: peer.state,
        matchIndex: peer.match,
        inflight: peer.inflightMessages,
      })),
    };
  }

  /** Ends the member. A leader hands over first (`handOver` false: as if its power had failed). */
  async stop(options: { readonly handOver: boolean } = { handOver: true }): Promise<void> {
    if (this.#state === 'running') {
      this.#state = 'stopping';
      if (options.handOver && this.#core.role === 'leader') {
        // Refused or too late: it ends all the same, and the others elect.
        await this.leadershipTransfer().catch(() => undefined);
        await this.#drain();
      }
      this.#end();
    }
    // A disk that hangs must not hold up the end: what it was writing was never confirmed to anybody.
    if (this.#saving !== null) await Promise.race([this.#saving, this.#pause(this.#electionTimeoutMs)]);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#clock.setTimer(ms, resolve));
  }

  // ---- what comes from outside

  /**
   * A letter from a peer, as it came off the wire. Throws RaftError `BadMessage`, and then nothing has
   * changed.
   */
  receive(from: MemberId, value: unknown): void {
    if (this.#state === 'ended') return;
    const message = checkMessage(value, from, this.id, this.#options.configuration);
    this.#peers.heard(from, this.#clock.monotonicMs());
    this.#guard(() => this.#core.step(message));
    this.#schedule();
  }

  /** The transport lost letters to this peer: the leader goes on carefully. */
  reportUnreachable(peer: MemberId): void {
    this.#core.reportUnreachable(peer);
    this.#schedule();
  }

  /**
   * After a hand-over the new leader commits what this one appended: waits for it, so that fewer outcomes
   * stay open.
   */
  #drain(): Promise<void> {
    if (this.#proposals.size === 0 || this.#state === 'ended') return Promise.resolve();
    return new Promise((resolve) => {
      this.#draining = { deadlineMs: this.#clock.monotonicMs() + this.#electionTimeoutMs, resolve };
    });
  }

  #checkDrain(nowMs: number): void {
    if (this.#draining === null) return;
    if (this.#proposals.size > 0 && nowMs < this.#draining.deadlineMs) return;
    this.#draining.resolve();
    this.#draining = null;
  }

  #tick(): void {
    this.#armTimer(this.#limits.tickMs);
    const nowMs = this.#clock.monotonicMs();
    this.#guard(() => this.#core.tick());
    this.#proposals.expire(nowMs, this.#core.role === 'leader', this.#leader);
    this.#reads.expire(nowMs);
    const context = this.#core.role === 'leader' ? null : this.#reads.tick(this.#limits.heartbeatTicks);
    if (context !== null) this.#core.readIndex(context);
    this.#peers.check(this.#core, nowMs, (observation) => this.#observe(observation));
    this.#checkDisk(nowMs);
    this.#checkDrain(nowMs);
    if (this.#transfer !== null && this.#transfer.deadlineMs <= nowMs) {
      this.#endTransfer(
        new RaftError('Timeout', `${this.#transfer.to} did not take over`, { definite: false }),
      );
    }
    this.#pump();
  }

  /** A leader whose disk hangs would keep its followers quiet with heartbeats for ever (a zombie leader). */
  #checkDisk(nowMs: number): void {
    const sinceMs = nowMs - this.#savingSinceMs;
    if (this.#saving === null || sinceMs < this.#electionTimeoutMs) return;
    if (!this.#stallReported) {
      this.#stallReported = true;
      this.#observe({ type: 'disk-stalled', sinceMs });
    }
    const target =
      this.#core.leader?.transferTo === null ? this.#peers.mostComplete(this.#core, nowMs) : null;
    if (target !== null) this.#core.transferLeadership(target);
  }

  #armTimer(delayMs: number): void {
    // One tick per wake-up, however late it comes: a stalled event loop must not look like lost heartbeats.
    this.#timer = this.#clock.setTimer(delayMs, () => this.#tick());
  }

  // ---- the loop

  #schedule(): void {
    if (this.#pumpScheduled || this.#state === 'ended') return;
    this.#pumpScheduled = true;
    this.#clock.defer(() => {
      this.#pumpScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    this.#guard(() => {
      while (this.#state !== 'ended') {
        const context = this.#reads.start(() => this.#core.newReadContext());
        if (context !== null) this.#core.readIndex(context);
        const ready = this.#core.ready();
        if (ready === null) return;
        this.#act(ready);
        // Between two batches of applied entries the event loop gets its turn.
        if (ready.committed.length > 0) return this.#schedule();
      }
    });
  }

  #act(ready: Ready): void {
    if (ready.softState !== null) this.#onSoftState(ready.softState);
    for (const { context, index } of ready.readStates)
      this.#reads.answered(context, index, this.#core.appliedIndex);
    for (const context of ready.droppedReads) this.#reads.dropped(context, this.#leader);
    this.#send(ready.messages);
    if (ready.persist !== null) this.#save(ready.persist);
    if (ready.committed.length > 0) this.#apply(ready.committed);
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.type !== 'snapshot') this.#options.transport.send(message.to, message);
      else this.#snapshotter.send(message, (full) => this.#options.transport.send(full.to, full));
    }
  }

  #save(persist: Persist): void {
    this.#savingSinceMs = this.#clock.monotonicMs();
    this.#stallReported = false;
    this.#saving = this.#write(persist).then(
      () => {
        this.#saving = null;
        if (this.#state === 'ended') return;
        this.#guard(() => {
          this.#core.persisted();
          this.#send(persist.messages);
          if (persist.snapshot !== null) this.#restore(persist.snapshot);
        });
        this.#pump();
      },
      (error: unknown) => {
        this.#saving = null;
        this.#fail(error);
      },
    );
  }

  #write(persist: Persist): Promise<void> {
    const { storage } = this.#options;
    const batch: SaveBatch = {
      entries: persist.entries,
      mustSync: persist.mustSync,
      ...(persist.hardState !== null && { hardState: persist.hardState }),
      ...(persist.truncateFrom !== null && { truncateFrom: persist.truncateFrom }),
      ...(persist.snapshot !== null && { snapshot: persist.snapshot.meta }),
    };
    const due = this.#snapshotter.takeCompaction();
    if (due === null && persist.snapshot === null) return storage.save(batch);
    return (async () => {
      if (due !== null) await storage.compact(due.toIndex, due.snapshot);
      if (persist.snapshot !== null) await this.#snapshotter.install(persist.snapshot);
      await storage.save(batch);
    })();
  }

  #restore(snapshot: NonNullable<Persist['snapshot']>): void {
    void this.#snapshotter.restore(snapshot).then((restored) => {
      if (!restored || this.#state === 'ended') return;
      this.#core.applied(snapshot.meta.index);
      this.#proposals.skipped(snapshot.meta.index);
      this.#reads.applied(this.#core.appliedIndex);
      this.#observe({ type: 'snapshot-installed', index: snapshot.meta.index });
      this.#pump();
    });
  }

  #apply(committed: readonly Entry[]): void {
    const plain = committed.every((entry) => entry.type === 'normal');
    const normal = plain ? committed : committed.filter((entry) => entry.type === 'normal');
    const results = normal.length === 0 ? [] : this.#options.fsm.apply(normal);
    assert.equal(results.length, normal.length, 'the state machine must give one result per entry');
    let next = 0;
    let bytes = 0;
    for (const entry of committed) {
      if (entry.type === 'config') throw unsupported(`apply the membership change at ${entry.index}`);
      bytes += entryBytes(entry);
      this.#proposals.applied(entry, entry.type === 'normal' ? results[next++] : undefined);
    }
    this.#core.applied(committed.at(-1)!.index);
    this.#reads.applied(this.#core.appliedIndex);
    this.#snapshotter.applied(committed.length, bytes);
  }

  #onSoftState({ role, leader, term }: SoftState): void {
    if (role !== this.#role) {
      this.#role = role;
      if (role === 'leader') this.#peers.reset(this.#clock.monotonicMs());
      this.#observe({ type: 'role-changed', role, term });
    }
    if (leader === this.#leader) return;
    this.#leader = leader;
    this.#observe({ type: 'leader-changed', leader, term });
    const asked = leader === null ? null : this.#reads.tick(1);
    if (asked !== null) this.#core.readIndex(asked);
    if (this.#transfer !== null && leader !== null) {
      const { to } = this.#transfer;
      const lost = `${leader} took over instead of ${to}`;
      this.#endTransfer(
        leader === to ? null : new RaftError('LeadershipLost', lost, { definite: false, leader }),
      );
    }
  }

  #endTransfer(error: RaftError | null): void {
    const transfer = this.#transfer!;
    this.#transfer = null;
    if (error === null) transfer.resolve();
    else transfer.reject(error);
  }

  // ---- proposals

  #propose(
    data: readonly Uint8Array[],
    type: EntryType,
    timeoutMs: number,
  ): Promise<{ readonly results: Result[]; readonly last: LogIndex }> {
    return new Promise((resolve, reject) => {
      if (this.#state !== 'running') return reject(this.#stoppedError());
      const refused = this.#refusal(data);
      if (refused !== null) return reject(refused);
      const outcome = this.#core.propose(data, type);
      if (outcome.type === 'dropped') return reject(this.#droppedError(outcome));
      const proposal: Proposal<Result> = {
        first: outcome.firstIndex,
        last: (outcome.firstIndex + data.length - 1) as LogIndex,
        term: outcome.term,
        deadlineMs: this.#clock.monotonicMs() + timeoutMs,
        results: [],
        resolve: (results, last) => resolve({ results, last }),
        reject,
      };
      this.#proposals.add(proposal);
      this.#schedule();
    });
  }

  #refusal(data: readonly Uint8Array[]): RaftError | null {
    const { pendingProposalsMax, proposalBytesMax } = this.#limits;
    for (const one of data) {
      if (one.length <= proposalBytesMax) continue;
      const why = `an entry of ${one.length} bytes exceeds the limit of ${proposalBytesMax}`;
      return new RaftError('InvalidArgument', why, { definite: true });
    }
    if (this.#proposals.size < pendingProposalsMax) return null;
    return new RaftError('Dropped', `${pendingProposalsMax} proposals are waiting`, {
      definite: true,
      leader: this.id,
    });
  }

  #droppedError(outcome: ProposeResult & { readonly type: 'dropped' }): RaftError {
    if (outcome.reason === 'not-leader') return this.#notLeader();
    const why =
      outcome.reason === 'transferring' ? 'leadership is being handed over' : 'too much is uncommitted';
    return new RaftError('Dropped', why, { definite: true, leader: this.#leader });
  }

  // ---- the end

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#state === 'ended') return;
    this.#end(error);
    this.#options.onFatal(error);
  }

  #end(cause?: unknown): void {
    this.#state = 'ended';
    this.#timer?.cancel();
    if (this.#transfer !== null) this.#endTransfer(this.#stoppedError(cause));
    this.#draining?.resolve();
    this.#proposals.rejectAll(
      ({ first }) =>
        new RaftError('Stopped', `the member ended before entry ${first} was applied`, {
          definite: false,
          cause,
        }),
    );
    this.#reads.rejectAll(() => this.#stoppedError(cause));
  }

  #observe(observation: Observation): void {
    for (const observer of this.#observers) observer(observation);
  }

  get #electionTimeoutMs(): number {
    return this.#limits.electionTicks * this.#limits.tickMs;
  }

  #notLeader(): RaftError {
    const leader = this.#core.leaderId;
    return new RaftError('NotLeader', `${this.id} does not lead; ${leader ?? 'nobody it knows'} does`, {
      definite: true,
      leader,
    });
  }

  #stoppedError(cause?: unknown): RaftError {
    return new RaftError('Stopped', `the member ${this.id} has stopped`, { definite: true, cause });
  }
}

function sameMembers(a: Configuration, b: Configuration): boolean {
  const text = ({ voters, learners }: Configuration): string =>
    JSON.stringify([[...voters].toSorted(), [...learners].toSorted()]);
  return text(a) === text(b);
}

const corrupt = (message: string): RaftError => new RaftError('Corrupt', message, { definite: true });

const unsupported = (what: string): RaftError =>
  new RaftError('Unsupported', `cannot ${what}: the members of a group are fixed when it is made`, {
    definite: true,
  });
