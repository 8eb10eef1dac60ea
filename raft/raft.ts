/**
 * One member of a group, complete: the core, a disk, a state machine and a clock put together. The face is
 * hashicorp/raft's (apply, barrier, verifyLeader, leadershipTransfer, stats, observers). Inside runs one
 * loop: whatever came in during a turn of the event loop becomes one `Ready`; messages leave, one save
 * runs at a time, and all that arrives while it runs goes into the next (group commit). Who belongs to the
 * group stands in the log.
 */
import { strict as assert } from 'node:assert';
import {
  isJoint,
  isMember,
  membersOf,
  type ConfigurationChange,
  type MemberStep,
} from './core/configuration.js';
import { entryBytes } from './core/log.js';
import { RaftError } from './errors.js';
import { JointWaiters } from './joint-waiters.js';
import { loadMember } from './loaded-member.js';
import {
  type AddOptions,
  type ChangeManyOptions,
  type ChangeOptions,
  refused,
  refusalOf,
} from './membership.js';
import { CommitNotices } from './commit-notices.js';
import { checkMessage, checkPlausible } from './message-check.js';
import { defaultRaftLimits, type RaftLimits, type RaftOptions } from './options.js';
import { ProposalQueue, type Proposal } from './proposals.js';
import { checkReload, type ReloadableLimits } from './reload.js';
import { ReadWaiters } from './read-waiters.js';
import { dropped, invalid, notLeader, notProposed, overLimit, stopped } from './refusals.js';
import { Saves } from './saves.js';
import { Snapshotter } from './snapshotter.js';
import { type RaftStats, statsOf } from './stats.js';
import { ForgottenEntries } from './forgotten.js';
import { HeartbeatWatch } from './heartbeat-watch.js';
import { PeerWatch } from './peer-watch.js';
import { Transfer } from './transfer.js';
import type { RaftCore } from './core/core.js';
import type { ChangeResult } from './core/outcomes.js';
import type { Message } from './core/messages.js';
import type { Persist, Ready, Role, SoftState } from './core/ready.js';
import type { Configuration, Entry, EntryType, LogIndex, MemberId } from './core/types.js';
import type { CoreView, Observation, Observer } from './observer.js';
import type { Letter } from './snapshot-pieces.js';
import type { Clock } from './transport.js';

interface Proposed<Result> {
  readonly results: Result[];
  readonly last: LogIndex;
}

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
  readonly #heartbeats: HeartbeatWatch;
  readonly #forgotten: ForgottenEntries;
  readonly #observers = new Set<Observer>();
  /** As it was last told. */
  #configuration: Configuration;
  readonly #jointWaiters = new JointWaiters();
  readonly #notices: CommitNotices;
  #state: 'running' | 'stopping' | 'ended' = 'running';
  #pumpScheduled = false;
  #timer: { cancel(): void } | null = null;
  readonly #saves: Saves;
  readonly #transfer = new Transfer();
  #draining: { readonly deadlineMs: number; resolve(): void } | null = null;
  #role: Role = 'follower';
  #leader: MemberId | null = null;

  /** Loads what the member had, restores its state machine and starts its clock. */
  static async start<Result>(options: RaftOptions<Result>): Promise<Raft<Result>> {
    const raftLimits = { ...defaultRaftLimits, ...options.limits };
    const { core, snapshotBytes } = await loadMember(options, raftLimits);
    return new Raft(options, raftLimits, core, snapshotBytes);
  }

  private constructor(
    options: RaftOptions<Result>,
    raftLimits: RaftLimits,
    core: RaftCore,
    snapshotBytes: number,
  ) {
    this.id = options.id;
    this.#options = options;
    this.#limits = raftLimits;
    this.#core = core;
    this.#configuration = core.configuration;
    this.#clock = options.clock;
    this.#forgotten = new ForgottenEntries(options.id);
    this.#peers = new PeerWatch(this.#electionTimeoutMs);
    this.#notices = new CommitNotices(options.clock, raftLimits.commitNoticeDelayMs, (notice) => {
      options.transport.send(notice.to, notice);
    });
    const heartbeatMs = raftLimits.heartbeatTicks * raftLimits.tickMs;
    this.#heartbeats = new HeartbeatWatch(heartbeatMs, this.#electionTimeoutMs);
    this.#snapshotter = new Snapshotter({
      core,
      fsm: options.fsm,
      store: options.snapshots,
      clock: options.clock,
      bytes: snapshotBytes,
      limits: raftLimits,
      send: (letter) => {
        if (this.#state !== 'ended') options.transport.send(letter.to, letter);
      },
      arrived: (message) => {
        if (this.#state === 'ended') return;
        this.#guard(() => this.#core.step(message));
        this.#schedule();
      },
      observe: (observation) => this.#observe(observation),
      fail: (error) => this.#fail(error),
    });
    this.#saves = new Saves({
      storage: options.storage,
      snapshotter: this.#snapshotter,
      clock: options.clock,
      electionTimeoutMs: this.#electionTimeoutMs,
    });
    // Members that start together must not tick together, or their elections collide.
    this.#armTimer(raftLimits.tickMs * options.random());
    // A group of one need not wait for anybody.
    if (core.quorum.voters.length === 1) core.campaign();
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
      if (this.#state === 'ended') return reject(stopped(this.id));
      if (this.#reads.size >= this.#limits.pendingReadsMax) {
        return reject(dropped('too many reads are waiting', this.#leader));
      }
      this.#reads.add({ deadlineMs: this.#clock.monotonicMs() + timeoutMs, resolve, reject });
      this.#schedule();
    });
  }

  /** Resolves when a majority has confirmed, after the call, that this member leads. */
  async verifyLeader(timeoutMs = defaultTimeoutMs): Promise<void> {
    const { term } = this.#core;
    if (this.#core.role !== 'leader') throw notLeader(this.#core);
    await this.readIndex(timeoutMs);
    if (this.#core.role !== 'leader' || this.#core.term !== term) throw notLeader(this.#core);
  }

  /** Hands leadership over, to `to` or to the voter whose log is most complete; to itself is done, as in etcd. */
  leadershipTransfer(to?: MemberId): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'ended') return reject(stopped(this.id));
      if (this.#core.role !== 'leader') return reject(notLeader(this.#core));
      if (to === this.id) return resolve();
      if (this.#transfer.isPending) return reject(dropped('a transfer is under way', this.#leader));
      const target = to ?? this.#peers.mostComplete(this.#core, this.#clock.monotonicMs());
      if (target === null || this.#core.transferLeadership(target) !== 'started') {
        const why = `leadership cannot go to ${target ?? 'anybody: no other voter is alive'}`;
        return reject(invalid(why, this.#leader));
      }
      const deadlineMs = this.#clock.monotonicMs() + 2 * this.#electionTimeoutMs;
      this.#transfer.begin({ to: target, deadlineMs, resolve, reject });
      this.#schedule();
    });
  }

  /** Takes a snapshot now, whatever the thresholds say. */
  snapshot(): Promise<LogIndex> {
    if (this.#state === 'ended') return Promise.reject(stopped(this.id));
    return this.#snapshotter.take();
  }

  // ---- members; each call resolves when its change is applied here, and rejects where none leads

  /** A new voter at once, or a learner that has caught up (`promote`). Better: `addNonvoter` first. */
  addVoter(id: MemberId, options: AddOptions = {}): Promise<LogIndex> {
    return this.changeMembers([{ type: 'add-voter', id, ...addressOf(options) }], options);
  }

  /** A learner: it gets the log, and neither votes nor counts. */
  addNonvoter(id: MemberId, options: AddOptions = {}): Promise<LogIndex> {
    if (this.#core.configuration.voters.includes(id)) {
      return Promise.reject(refused('member-exists', `member ${id} already exists`));
    }
    return this.changeMembers([{ type: 'add-learner', id, ...addressOf(options) }], options);
  }

  /** A learner becomes a voter, once it has nearly all of the leader's log. */
  promote(id: MemberId, options: ChangeOptions = {}): Promise<LogIndex> {
    const { configuration } = this.#core;
    if (!isMember(configuration, id)) {
      return Promise.reject(refused('member-not-found', `member ${id} not found`));
    }
    if (!configuration.learners.includes(id)) {
      return Promise.reject(refused('not-a-learner', 'can only promote a learner member'));
    }
    return this.changeMembers([{ type: 'add-voter', id }], options);
  }

  /** A voter becomes a learner. */
  demoteVoter(id: MemberId, options: ChangeOptions = {}): Promise<LogIndex> {
    if (!this.#core.configuration.voters.includes(id)) {
      return Promise.reject(refused('member-not-found', `${id} is not a voter`));
    }
    return this.changeMembers([{ type: 'add-learner', id }], options);
  }

  /** A leader that is removed steps down once that is committed. */
  removeServer(id: MemberId, options: ChangeOptions = {}): Promise<LogIndex> {
    return this.changeMembers([{ type: 'remove', id }], options);
  }

  setAddress(id: MemberId, address: string, options: ChangeOptions = {}): Promise<LogIndex> {
    return this.changeMembers([{ type: 'set-address', id, address }], options);
  }

  /** Several steps at once, through a joint configuration if more than one voter changes (Raft §6). */
  async changeMembers(steps: readonly MemberStep[], options: ChangeManyOptions = {}): Promise<LogIndex> {
    const { prevIndex, transition, timeoutMs = defaultTimeoutMs } = options;
    const nowMs = this.#clock.monotonicMs();
    if (this.#core.role !== 'leader')
      throw this.#state === 'ended' ? stopped(this.id) : notLeader(this.#core);
    const refusal = refusalOf(this.#core, steps, transition, (peer) => this.#peers.lives(peer, nowMs));
    if (refusal !== null && !this.#isPending()) throw refusal;
    const change: ConfigurationChange = {
      type: 'steps',
      steps,
      ...(transition !== undefined && { transition }),
      ...(prevIndex !== undefined && { prevIndex }),
    };
    const index = await this.#change(change, timeoutMs);
    await this.#leftJoint(this.#clock.monotonicMs() + timeoutMs);
    return this.#core.configuration.index ?? index;
  }

  /** Ends a joint configuration that was entered with `joint-explicit`. */
  leaveJoint(timeoutMs = defaultTimeoutMs): Promise<LogIndex> {
    return this.#change({ type: 'leave-joint' }, timeoutMs);
  }

  /** Who belongs to the group, as of what is applied here. */
  configuration(): Configuration {
    return this.#core.configuration;
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
    return statsOf(this.#core, {
      pendingProposals: this.#proposals.size,
      heartbeats: this.#heartbeats.stats,
      reads: this.#reads.stats,
    });
  }

  /** What it works with now. */
  limits(): RaftLimits {
    return { ...this.#limits };
  }

  /**
   * Other limits from now on, until the member ends: all of them, or none when it throws `InvalidArgument`. Members that are to
   * elect in time should be given the same ticks.
   */
  reload(changes: Partial<ReloadableLimits>): void {
    if (this.#state === 'ended') throw stopped(this.id);
    checkReload(this.#limits, changes);
    // In place: snapshots and pieces look at the same ones.
    Object.assign(this.#limits, changes);
    this.#core.reload(changes);
    this.#heartbeats.reload(this.#limits.heartbeatTicks * this.#limits.tickMs);
    this.#peers.reload(this.#electionTimeoutMs);
    this.#saves.reload(this.#electionTimeoutMs);
    // It may be time for one by now.
    this.#snapshotter.applied(0, 0);
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
    const { running } = this.#saves;
    if (running !== null) await Promise.race([running, this.#pause(this.#electionTimeoutMs)]);
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
    const message = checkMessage(value, from, this.id);
    checkPlausible(message, this.#core);
    const nowMs = this.#clock.monotonicMs();
    this.#peers.heard(from, nowMs);
    this.#guard(() => this.#take(message, nowMs));
    this.#schedule();
  }

  #take(letter: Letter, nowMs: number): void {
    if (letter.type === 'snapshot-piece-accepted') return this.#snapshotter.pieceAccepted(letter);
    if (letter.type === 'snapshot-piece') return this.#snapshotter.receivePiece(letter);
    this.#core.step(letter);
    if (this.#core.leaderId === letter.from) this.#heartbeats.heard(letter.from, this.#core.term, nowMs);
    if (letter.type === 'heartbeat-reply') this.#heartbeats.answered(letter.from, nowMs);
    if (letter.type !== 'heartbeat') return;
    this.#forgotten.hear(letter, this.#core);
  }

  /** The transport knows that this peer has ended: nobody waits for it, and nobody hands over to it. */
  peerGone(peer: MemberId): void {
    this.#peers.gone(peer);
    this.#transfer.gone(peer);
    this.#core.reportEnded(peer);
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
    this.#snapshotter.tick();
    this.#proposals.expire(nowMs, this.#core.role === 'leader', this.#leader);
    this.#reads.expire(nowMs);
    this.#jointWaiters.expire(nowMs);
    const context = this.#core.role === 'leader' ? null : this.#reads.tick(this.#limits.heartbeatTicks);
    if (context !== null) this.#core.readIndex(context);
    this.#peers.check(this.#core, nowMs, (observation) => this.#observe(observation));
    this.#checkDisk(nowMs);
    this.#checkDrain(nowMs);
    this.#transfer.expire(nowMs);
    this.#pump();
  }

  #checkDisk(nowMs: number): void {
    const stall = this.#saves.stall(nowMs);
    if (stall === null) return;
    if (stall.isNews) this.#observe({ type: 'disk-stalled', sinceMs: stall.sinceMs });
    const { leader } = this.#core;
    if (leader === null) return;
    if (stall.isLong && leader.peers.size > 0) return this.#core.stepDown();
    const target = leader.transferTo === null ? this.#peers.mostComplete(this.#core, nowMs) : null;
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
      if (message.type === 'heartbeat') this.#heartbeats.sent(message.to, this.#clock.monotonicMs());
      if (message.type === 'snapshot') this.#snapshotter.send(message);
      else if (!this.#notices.holds(message)) this.#options.transport.send(message.to, message);
    }
  }

  #save(persist: Persist): void {
    this.#saves.begin(
      persist,
      () => {
        if (this.#state === 'ended') return;
        this.#guard(() => {
          this.#core.persisted();
          this.#send(persist.messages);
          if (persist.snapshot !== null) this.#restore(persist.snapshot);
        });
        this.#pump();
      },
      (error) => this.#fail(error),
    );
  }

  #restore(snapshot: NonNullable<Persist['snapshot']>): void {
    void this.#snapshotter.restore(snapshot).then((restored) => {
      if (!restored || this.#state === 'ended') return;
      this.#core.applied(snapshot.meta.index);
      this.#checkConfiguration();
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
    this.#core.applied(committed.at(-1)!.index);
    this.#checkConfiguration();
    for (const entry of committed) {
      bytes += entryBytes(entry);
      this.#proposals.applied(entry, entry.type === 'normal' ? results[next++] : undefined);
    }
    this.#reads.applied(this.#core.appliedIndex);
    this.#snapshotter.applied(committed.length, bytes);
  }

  /** After each step of the state machine: what was it that changed among the members? */
  #checkConfiguration(): void {
    const { configuration, role } = this.#core;
    // What the group was made with goes into the log as soon as a leader's first entry is applied.
    if (configuration.index === undefined && role === 'leader' && this.#state === 'running') {
      this.#core.changeConfiguration({ type: 'record' });
    }
    if (configuration === this.#configuration) return;
    this.#configuration = configuration;
    this.#heartbeats.forget(new Set(membersOf(configuration)));
    this.#observe({
      type: 'configuration-changed',
      configuration,
      isMember: isMember(configuration, this.id),
    });
    if (isJoint(configuration)) return;
    this.#jointWaiters.left();
  }

  /** Resolves at once unless a joint configuration is on its way out. */
  #leftJoint(deadlineMs: number): Promise<void> {
    const { configuration } = this.#core;
    if (!isJoint(configuration) || configuration.autoLeave !== true) return Promise.resolve();
    return this.#jointWaiters.wait(deadlineMs);
  }

  #isPending(): boolean {
    return isJoint(this.#core.configuration);
  }

  #onSoftState({ role, leader, term }: SoftState): void {
    if (role !== this.#role) {
      this.#role = role;
      if (role === 'leader') {
        this.#peers.reset(this.#clock.monotonicMs());
        this.#heartbeats.reset();
      }
      this.#observe({ type: 'role-changed', role, term });
    }
    if (leader === this.#leader) return;
    this.#leader = leader;
    this.#observe({ type: 'leader-changed', leader, term });
    const asked = leader === null ? null : this.#reads.tick(1);
    if (asked !== null) this.#core.readIndex(asked);
    if (leader !== null) this.#transfer.led(leader);
  }

  // ---- proposals

  #propose(data: readonly Uint8Array[], type: EntryType, timeoutMs: number): Promise<Proposed<Result>> {
    if (this.#state !== 'running') return Promise.reject(stopped(this.id));
    const refusal = overLimit(data, this.#proposals.size, this.#limits, this.id);
    if (refusal !== null) return Promise.reject(refusal);
    return this.#await(data.length, timeoutMs, () => this.#core.propose(data, type));
  }

  async #change(change: ConfigurationChange, timeoutMs: number): Promise<LogIndex> {
    return (await this.#await(1, timeoutMs, () => this.#core.changeConfiguration(change))).last;
  }

  /** Resolves when the `count` entries that `append` makes are applied here. */
  #await(count: number, timeoutMs: number, append: () => ChangeResult): Promise<Proposed<Result>> {
    return new Promise((resolve, reject) => {
      if (this.#state !== 'running') return reject(stopped(this.id));
      const outcome = append();
      if (outcome.type === 'refused') return reject(refused(outcome.reason, outcome.why));
      if (outcome.type === 'dropped') return reject(notProposed(this.#core, outcome, this.#leader));
      const proposal: Proposal<Result> = {
        first: outcome.firstIndex,
        last: (outcome.firstIndex + count - 1) as LogIndex,
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
    this.#notices.close();
    this.#snapshotter.stop();
    this.#transfer.end(stopped(this.id, cause));
    this.#draining?.resolve();
    this.#proposals.rejectAll(
      ({ first }) =>
        new RaftError('Stopped', `the member ended before entry ${first} was applied`, {
          definite: false,
          cause,
        }),
    );
    this.#reads.rejectAll(() => stopped(this.id, cause));
    this.#jointWaiters.rejectAll(cause);
  }

  #observe(observation: Observation): void {
    for (const observer of this.#observers) observer(observation);
  }

  get #electionTimeoutMs(): number {
    return this.#limits.electionTicks * this.#limits.tickMs;
  }
}

const addressOf = ({ address }: AddOptions) => (address === undefined ? {} : { address });
