/**
 * The consensus core of one member: a pure function of its inputs. Messages, ticks and proposals go in;
 * `ready()` says what to save, send and apply. No clock, no I/O, no promise; time is the number of ticks.
 * Shaped like etcd-io/raft's RawNode. Follows Ongaro's dissertation: election §3.4, replication §3.5,
 * safety §3.6, transfer §3.10, PreVote §9.6, CheckQuorum §6.2, ReadIndex §6.4. Departure: a vote request
 * leaves only after the candidate's own vote is durable, so that no reply to it can meet a restarted
 * candidate whose log is shorter than the one it promised.
 */
import { strict as assert } from 'node:assert';
import {
  type ConfigurationChange,
  afterChange,
  afterJoint,
  configurationAt,
  encodeConfiguration,
  isJoint,
} from './configuration.js';
import { ElectionTimer } from './election-timer.js';
import { Follower, type FollowerContext } from './follower.js';
import { HardStateOnDisk } from './hard-state-on-disk.js';
import { Leader, type LeaderContext } from './leader.js';
import { Outbox } from './outbox.js';
import { Quorum } from './quorum.js';
import { logIndex, term as asTerm } from './types.js';
import type { MemoryLog } from './log.js';
import type { Message, ReadIndexRequest, SnapshotMessage, VoteReply, VoteRequest } from './messages.js';
import type { CoreLimits, CoreOptions, CoreState } from './options.js';
import type { ChangeResult, ProposeResult, TransferResult } from './outcomes.js';
import type { InstalledSnapshot, Persist, ReadState, Ready, Role, SoftState } from './ready.js';
import type {
  Configuration,
  Entry,
  EntryType,
  HardState,
  LogIndex,
  MemberId,
  SnapshotMeta,
  Term,
} from './types.js';

type Campaign = 'pre-vote' | 'timeout' | 'transfer';

const NO_DATA = new Uint8Array(0);

/** Who sends one of these leads its term. */
const leaderLetters: ReadonlySet<Message['type']> = new Set(['append', 'heartbeat', 'commit', 'snapshot']);

export class RaftCore implements LeaderContext, FollowerContext {
  readonly id: MemberId;
  readonly options: CoreOptions;
  readonly log: MemoryLog;

  /** As of the applied index. */
  #configuration: Configuration;
  #quorum: Quorum;
  /** As leader: no change of the configuration may be proposed before this entry is applied. */
  #pendingConfigIndex = 0;

  #term: Term;
  #votedFor: MemberId | null;
  #commit: LogIndex;
  #role: Role = 'follower';
  #leaderId: MemberId | null = null;
  /** Set exactly while the role is `leader`. */
  #leader: Leader | null = null;
  readonly #votes = new Map<MemberId, boolean>();
  /** The leader said: campaign now. */
  #transferDue = false;
  #electionReason: 'timeout' | 'transfer' = 'timeout';

  readonly #electionTimer: ElectionTimer;
  #heartbeatElapsed = 0;

  readonly #outbox = new Outbox();
  readonly #follower = new Follower(this, this.#outbox);
  #softState: SoftState;
  readonly #onDisk: HardStateOnDisk;

  #handedToApply: LogIndex;
  #applied: LogIndex;
  #snapshot: InstalledSnapshot | null = null;
  /** Set until the state machine has been restored from an installed snapshot: nothing is applied before. */
  #restoring: LogIndex | null = null;
  #nextReadContext: number;

  constructor(options: CoreOptions, state: CoreState) {
    assert(options.heartbeatTicks < options.electionTicks, 'heartbeats must be more frequent than elections');
    this.options = options;
    this.id = options.id;
    this.log = state.log;
    const { snapshot } = state.log;
    const isOfSnapshot = snapshot !== null && snapshot.index === state.applied;
    this.#configuration = isOfSnapshot ? snapshot.configuration : options.configuration;
    this.#quorum = new Quorum(this.#configuration);
    this.#term = state.hardState?.term ?? asTerm(0);
    this.#votedFor = state.hardState?.votedFor ?? null;
    this.#commit = logIndex(
      Math.min(Math.max(state.hardState?.commit ?? 0, state.applied), this.log.lastIndex),
    );
    // An installed snapshot is durable before the hard state that was saved for it: a crash between leaves
    // this.
    if (this.log.lastTerm > this.#term) {
      this.#term = this.log.lastTerm;
      this.#votedFor = null;
    }
    this.#applied = this.#handedToApply = state.applied;
    this.#softState = { role: 'follower', leader: null, term: this.#term };
    this.#onDisk = new HardStateOnDisk(this.#hardState());
    // A late answer to a read of this member's last life must not match one of this life.
    this.#nextReadContext = Math.floor(options.random() * 2 ** 52);
    // A fresh group need not wait long; in one that has a leader the pre-vote finds out.
    this.#electionTimer = new ElectionTimer(options);
    this.#electionTimer.startCampaign();
  }

  /** Other limits from now on. In place: what the core has made looks at the same ones. */
  reload(limits: Partial<CoreLimits>): void {
    const { heartbeatTicks, electionTicks } = Object.assign(this.options, limits);
    assert(heartbeatTicks < electionTicks, 'heartbeats must be more frequent than elections');
    if (limits.electionTicks !== undefined) this.#electionTimer.redraw();
  }

  /** Who belongs to the group, as of the applied index. */
  get configuration(): Configuration {
    return this.#configuration;
  }
  get quorum(): Quorum {
    return this.#quorum;
  }
  get term(): Term {
    return this.#term;
  }
  get role(): Role {
    return this.#role;
  }
  get leaderId(): MemberId | null {
    return this.#leaderId;
  }
  get commit(): LogIndex {
    return this.#commit;
  }
  get appliedIndex(): LogIndex {
    return this.#applied;
  }
  get votedFor(): MemberId | null {
    return this.#votedFor;
  }
  /** Progress of the peers; null when not leading. */
  get leader(): Leader | null {
    return this.#leader;
  }

  /** From a leader, accepted, and not handed out in a `Ready` yet. */
  get pendingSnapshot(): SnapshotMeta | null {
    return this.#snapshot?.meta ?? null;
  }

  // ---- inputs

  tick(): void {
    this.#electionTimer.tick();
    this.#onDisk.tick(this.#commit);
    if (this.#leader !== null) return this.#tickLeader(this.#leader);
    if (!this.#electionTimer.hasRunOut) return;
    this.campaign();
    // Who may not campaign has lost its leader all the same.
    if (this.#role === 'follower' && this.#leaderId !== null) this.#becomeFollower(this.#term, null);
  }

  /** Starts an election now, as if the timer had run out. */
  campaign(): void {
    if (this.#role !== 'leader' && this.#mayCampaign()) this.#campaign('pre-vote');
  }

  /**
   * Appends to the leader's log; the entries' outcome shows in `Ready.committed` at their indexes and term.
   */
  propose(data: readonly Uint8Array[], type: EntryType = 'normal'): ProposeResult {
    const leader = this.#leader;
    if (leader === null) return { type: 'dropped', reason: 'not-leader' };
    if (leader.transferTo !== null) return { type: 'dropped', reason: 'transferring' };
    let bytes = 0;
    for (const one of data) bytes += one.length;
    if (leader.uncommittedBytes > 0 && leader.uncommittedBytes + bytes > this.options.uncommittedBytesMax) {
      return { type: 'dropped', reason: 'uncommitted-full' };
    }
    const firstIndex = logIndex(this.log.lastIndex + 1);
    for (const one of data) leader.append(type, one);
    return { type: 'accepted', firstIndex, term: this.#term };
  }

  /**
   * Appends a change of the members. It counts from when it is applied, on each member by itself. Three
   * rules make that safe (etcd-io/raft): one change at a time, none before the last one and this leader's
   * first entry are applied; who campaigns has applied every change that it knows to be committed; and a
   * follower that takes the next change learns in the same letter that the one before is committed. So no
   * two members ever decide with configurations that are two changes apart.
   */
  changeConfiguration(change: ConfigurationChange): ChangeResult {
    const leader = this.#leader;
    if (leader === null) return { type: 'dropped', reason: 'not-leader' };
    if (leader.transferTo !== null) return { type: 'dropped', reason: 'transferring' };
    if (this.#applied < this.#pendingConfigIndex) {
      const why = `entry ${this.#pendingConfigIndex} must be applied first, ${this.#applied} is`;
      return { type: 'refused', reason: 'pending', why };
    }
    const at = this.#configuration.index ?? 0;
    if (change.type === 'steps' && change.prevIndex !== undefined && change.prevIndex !== at) {
      const why = `the configuration is that of index ${at}, not of ${change.prevIndex}`;
      return { type: 'refused', reason: 'prev-index', why };
    }
    const next = afterChange(this.#configuration, change);
    if (typeof next === 'string') return { type: 'refused', reason: 'invalid', why: next };
    return { type: 'accepted', firstIndex: this.#appendConfiguration(leader, next), term: this.#term };
  }

  /** A context for `readIndex`, never used before, not even by an earlier life of this member. */
  newReadContext(): number {
    return ++this.#nextReadContext;
  }

  /**
   * Asks for a linearizable read; answered in `Ready.readStates`, refused in `Ready.droppedReads`, or lost.
   */
  readIndex(context: number): void {
    if (this.#leader !== null) {
      if (!this.#leader.reads.add({ context, from: this.id })) this.#outbox.dropReads([context]);
    } else if (this.#leaderId !== null) {
      this.send({ type: 'read-index', ...this.#to(this.#leaderId), context });
    } else {
      this.#outbox.dropReads([context]);
    }
  }

  transferLeadership(to: MemberId): TransferResult {
    if (!this.#configuration.voters.includes(to)) return 'not-a-voter';
    if (to === this.#leaderId) return 'already-leader';
    if (this.#leaderId === null) return 'no-leader';
    if (this.#leader === null) {
      this.send({ type: 'transfer-leadership', ...this.#to(this.#leaderId), target: to });
      return 'forwarded';
    }
    this.#electionTimer.restart();
    this.#leader.startTransfer(to);
    return 'started';
  }

  /** A leader that cannot do its work gives way; the others elect when they miss it. */
  stepDown(): void {
    if (this.#leader !== null) this.#becomeFollower(this.#term, null);
  }

  /** A snapshot to `peer` arrived nowhere, or could not be sent. */
  reportSnapshotFailed(peer: MemberId): void {
    const progress = this.#leader?.peers.get(peer);
    if (progress?.state === 'snapshot') progress.abandonSnapshot();
  }

  /** A part of the snapshot has arrived at `peer`: it is not given up yet. */
  reportSnapshotProgress(peer: MemberId): void {
    const progress = this.#leader?.peers.get(peer);
    if (progress?.state === 'snapshot') progress.snapshotTicks = 0;
  }

  /** Messages to `peer` get lost: send one at a time until it answers. */
  reportUnreachable(peer: MemberId): void {
    const progress = this.#leader?.peers.get(peer);
    if (progress?.state === 'replicate') progress.becomeProbe();
  }

  /** The host knows that this peer has ended. If it led, nobody waits for its silence to last. */
  reportEnded(peer: MemberId): void {
    this.reportUnreachable(peer);
    if (this.#role !== 'follower' || this.#leaderId !== peer) return;
    this.#becomeFollower(this.#term, null);
    this.#electionTimer.hurry();
  }

  step(message: Message): void {
    if (message.term > this.#term) {
      if (!this.#enterTerm(message)) return;
    } else if (message.term < this.#term) {
      return this.#answerStale(message);
    }
    if (leaderLetters.has(message.type)) this.#followLeader(message.from);
    switch (message.type) {
      case 'vote':
      case 'pre-vote':
        return this.#onVoteRequest(message);
      case 'vote-reply':
      case 'pre-vote-reply':
        return this.#onVoteReply(message);
      case 'append':
        return this.#follower.onAppend(message);
      case 'heartbeat':
        return this.#follower.onHeartbeat(message);
      case 'commit':
        return this.#follower.onCommitNotice(message);
      case 'snapshot':
        return this.#follower.onSnapshot(message);
      case 'append-accepted':
        return this.#leader?.onAccepted(message);
      case 'append-rejected':
        return this.#leader?.onRejected(message);
      case 'heartbeat-reply':
        return this.#leader?.onHeartbeatReply(message);
      case 'read-index':
        return this.#onReadIndex(message);
      case 'read-index-reply':
        return this.answerRead({ context: message.context, index: message.index });
      case 'transfer-leadership':
        if (this.#leader !== null) this.transferLeadership(message.target);
        return;
      case 'timeout-now':
        this.#transferDue = this.#role !== 'leader';
        this.#campaignIfAsked();
        return;
      default:
        message satisfies never;
    }
  }

  // ---- outputs

  /** Null: nothing to do. */
  ready(): Ready | null {
    this.#leader?.flush();
    const softState = this.#changedSoftState();
    const persist = this.#onDisk.isSaving ? null : this.#takePersist();
    const committed = this.#takeCommitted();
    if (softState === null && persist === null && committed.length === 0 && this.#outbox.isEmpty) return null;
    return { softState, persist, committed, ...this.#outbox.take() };
  }

  /** The outstanding `persist` is durable. Its messages may be sent. */
  persisted(): void {
    this.#onDisk.confirm();
    this.log.confirm();
    if (this.#leader !== null) return this.#leader.advanceCommit();
    const { term, votedFor } = this.#onDisk.saved;
    if (this.#role === 'candidate' && term === this.#term && votedFor === this.id)
      this.#countVote(this.id, true);
  }

  /** The state machine contains everything up to `index`. */
  applied(index: LogIndex): void {
    assert(index <= this.#commit, `applied ${index} beyond the commit index ${this.#commit}`);
    const from = this.#applied + 1;
    if (index > this.#applied) this.#applied = index;
    if (this.#restoring !== null && index >= this.#restoring) this.#restoring = null;
    for (let at = Math.max(from, this.log.firstIndex); at <= index; at++) {
      const entry = this.log.at(at);
      if (entry?.type === 'config') this.#configure(configurationAt(entry.data, entry.index));
    }
    this.#campaignIfAsked();
    const leader = this.#leader;
    if (leader === null || index < this.#pendingConfigIndex) return;
    if (this.#configuration.autoLeave === true && isJoint(this.#configuration)) {
      this.#appendConfiguration(leader, afterJoint(this.#configuration));
    }
  }

  /** Shorthand for a host that works strictly one `Ready` after the other. */
  advance(ready: Ready): void {
    if (ready.persist !== null) this.persisted();
    const last = ready.committed.at(-1);
    if (last !== undefined) this.applied(last.index);
    if (ready.persist?.snapshot) this.applied(ready.persist.snapshot.meta.index);
  }

  /**
   * A snapshot of the state machine at `meta` is durable. Returns the index up to which the log is now gone.
   */
  compact(meta: SnapshotMeta, trailingEntriesMax: number, trailingBytesMax: number): LogIndex {
    assert(meta.index <= this.#applied, 'a snapshot must not be ahead of the state machine');
    return this.log.compactTo(meta, trailingEntriesMax, trailingBytesMax);
  }

  // ---- for the leader's and the follower's side

  send(message: Message): void {
    this.#outbox.send(message);
  }

  commitTo(index: LogIndex): void {
    if (index > this.#commit) this.#commit = index;
  }

  answerRead(state: ReadState): void {
    this.#outbox.answerRead(state);
  }

  install({ meta, data }: SnapshotMessage): void {
    this.log.restore(meta);
    this.#commit = meta.index;
    this.#handedToApply = meta.index;
    this.#restoring = meta.index;
    this.#snapshot = { meta, data };
    this.#configure(meta.configuration);
  }

  // ---- terms and roles

  /** A message of a later term: true when it is to be handled further. */
  #enterTerm(message: Message): boolean {
    if (message.type === 'vote' || message.type === 'pre-vote') {
      // The lease (dissertation §6.2, §4.2.3): who hears a leader does not help to depose it.
      const inLease = this.#leaderId !== null && this.#electionTimer.isWithinMinimum;
      if (inLease && message.reason !== 'transfer') return false;
      if (message.type === 'pre-vote') return true;
    }
    // A granted pre-vote carries the term that we have not entered yet.
    if (message.type === 'pre-vote-reply' && message.granted) return true;
    this.#becomeFollower(message.term, leaderLetters.has(message.type) ? message.from : null);
    return true;
  }

  /** A message of an earlier term changes nothing, but its sender may need to hear of the later one. */
  #answerStale(message: Message): void {
    switch (message.type) {
      case 'append':
      case 'heartbeat':
      case 'commit':
      case 'snapshot':
        // Voters that ignore votes inside a lease would leave this leader, and us, stuck for ever.
        this.send({ type: 'heartbeat-reply', ...this.#to(message.from), readRound: 0 });
        return;
      case 'pre-vote':
        this.send({ type: 'pre-vote-reply', ...this.#to(message.from), granted: false });
        return;
      default:
    }
  }

  #becomeFollower(term: Term, leader: MemberId | null): void {
    assert(term >= this.#term, 'terms only grow');
    if (term > this.#term) {
      this.#term = term;
      this.#votedFor = null;
    }
    if (this.#leader !== null) {
      this.#outbox.dropReads(this.#leader.reads.contextsOf(this.id));
      this.#leader = null;
    }
    this.#role = 'follower';
    this.#transferDue = false;
    this.#leaderId = leader;
    this.#votes.clear();
    this.#electionTimer.startWaiting();
  }

  /** What a leader asks for may have to wait for a change of members to be applied. */
  #campaignIfAsked(): void {
    if (this.#transferDue && this.#mayCampaign()) this.#campaign('transfer');
  }

  #campaign(campaign: Campaign): void {
    this.#transferDue = false;
    this.#votes.clear();
    this.#leaderId = null;
    this.#electionTimer.startCampaign();
    if (campaign === 'pre-vote') {
      this.#role = 'pre-candidate';
      this.#askForVotes('pre-vote', asTerm(this.#term + 1), 'timeout');
      this.#countVote(this.id, true);
      return;
    }
    this.#role = 'candidate';
    this.#term = asTerm(this.#term + 1);
    this.#votedFor = this.id;
    this.#electionReason = campaign;
    // Both the requests and the own vote wait for the disk: see `persisted`.
    this.#askForVotes('vote', this.#term, this.#electionReason);
  }

  #askForVotes(type: 'vote' | 'pre-vote', term: Term, reason: 'timeout' | 'transfer'): void {
    const { lastIndex, lastTerm } = this.log;
    for (const to of this.#quorum.voters) {
      if (to === this.id) continue;
      const request: VoteRequest = { type, from: this.id, to, term, lastIndex, lastTerm, reason };
      // The request vouches for the log's end, so that must be durable too.
      this.#outbox.sendAfterPersist(request);
    }
  }

  #countVote(from: MemberId, granted: boolean): void {
    if (!this.#votes.has(from)) this.#votes.set(from, granted);
    const result = this.#quorum.result(this.#votes);
    if (result === 'lost') return this.#becomeFollower(this.#term, null);
    if (result === 'pending') return;
    if (this.#role === 'pre-candidate') return this.#campaign('timeout');
    this.#becomeLeader();
  }

  #becomeLeader(): void {
    assert.equal(this.#role, 'candidate', 'only a candidate becomes leader');
    this.#role = 'leader';
    this.#leaderId = this.id;
    this.#votes.clear();
    this.#electionTimer.restart();
    this.#heartbeatElapsed = 0;
    this.#leader = new Leader(this, this.#term);
    // Commits what earlier leaders left (§5.4.2), and makes reads possible.
    this.#leader.append('noop', NO_DATA);
    // A change that the last leader left may be anywhere before it.
    this.#pendingConfigIndex = this.log.lastIndex;
  }

  #tickLeader(leader: Leader): void {
    if (!this.#electionTimer.isWithinMinimum) {
      this.#electionTimer.restart();
      const isVoter = this.#quorum.isVoter(this.id);
      if (!leader.hasQuorum() && isVoter) return this.#becomeFollower(this.#term, null);
      // The target had one election timeout; the group must take proposals again.
      leader.transferTo = null;
      if (!isVoter) leader.bowOut();
    }
    leader.tickSnapshots();
    if (++this.#heartbeatElapsed >= this.options.heartbeatTicks) {
      this.#heartbeatElapsed = 0;
      leader.heartbeat();
    }
  }

  /** See `changeConfiguration`: not with members that are known to be others by now. */
  #mayCampaign(): boolean {
    if (this.#restoring !== null || !this.#quorum.isVoter(this.id)) return false;
    for (let index = this.#applied + 1; index <= this.#commit; index++) {
      if (this.log.at(index)?.type === 'config') return false;
    }
    return true;
  }

  // ---- members

  #appendConfiguration(leader: Leader, next: Configuration): LogIndex {
    const { index: _, ...unplaced } = next;
    leader.append('config', encodeConfiguration(unplaced));
    this.#pendingConfigIndex = this.log.lastIndex;
    return this.log.lastIndex;
  }

  /** From here on these are the members. */
  #configure(configuration: Configuration): void {
    this.#configuration = configuration;
    this.#quorum = new Quorum(configuration);
    const isVoter = this.#quorum.isVoter(this.id);
    const leader = this.#leader;
    if (leader === null) {
      if (this.#role !== 'follower' && !isVoter) this.#becomeFollower(this.#term, null);
      return;
    }
    leader.configure(configuration);
    if (!isVoter) leader.bowOut();
    // Fewer voters may have what more had not.
    leader.advanceCommit();
    leader.finishReads();
  }

  // ---- as a voter

  #onVoteRequest(message: VoteRequest): void {
    const { from, type } = message;
    const free =
      this.#votedFor === from ||
      (this.#votedFor === null && this.#leaderId === null) ||
      (type === 'pre-vote' && message.term > this.#term);
    const granted = free && this.log.isUpToDate(message.lastIndex, message.lastTerm);
    if (type === 'pre-vote') {
      const term = granted ? message.term : this.#term;
      this.send({ type: 'pre-vote-reply', from: this.id, to: from, term, granted });
      if (granted && this.#role === 'pre-candidate') this.#yieldTo(message);
      return;
    }
    if (granted) {
      this.#votedFor = from;
      this.#electionTimer.restart();
    }
    this.#outbox.sendAfterPersist({ type: 'vote-reply', ...this.#to(from), granted });
  }

  /**
   * Two members that campaign at once would split the vote and lose another timeout. The one with the
   * shorter log, or the later name, gives way. Not in the paper; it concerns only how fast somebody is
   * elected, never who may be.
   */
  #yieldTo(rival: VoteRequest): void {
    const level = rival.lastTerm === this.log.lastTerm && rival.lastIndex === this.log.lastIndex;
    if (level && rival.from > this.id) return;
    this.#becomeFollower(this.#term, null);
    this.#electionTimer.startCampaign();
  }

  #onVoteReply(message: VoteReply): void {
    const expected = message.type === 'vote-reply' ? 'candidate' : 'pre-candidate';
    if (this.#role !== expected) return;
    // A grant for a pre-vote of an earlier term of ours is not one for this.
    if (message.type === 'pre-vote-reply' && message.granted && message.term !== this.#term + 1) return;
    this.#countVote(message.from, message.granted);
  }

  // ---- as a follower

  #followLeader(from: MemberId): void {
    assert(this.#role !== 'leader', `two leaders in term ${this.#term}: ${this.id} and ${from}`);
    if (this.#role !== 'follower') this.#becomeFollower(this.#term, from);
    else if (this.#leaderId === null) this.#electionTimer.startWaiting();
    else this.#electionTimer.restart();
    this.#leaderId = from;
  }

  #onReadIndex(message: ReadIndexRequest): void {
    // A follower that is not answered asks again.
    this.#leader?.reads.add({ context: message.context, from: message.from });
  }

  // ---- making a Ready

  #changedSoftState(): SoftState | null {
    const last = this.#softState;
    if (last.role === this.#role && last.leader === this.#leaderId && last.term === this.#term) return null;
    this.#softState = { role: this.#role, leader: this.#leaderId, term: this.#term };
    return this.#softState;
  }

  #takePersist(): Persist | null {
    const now = this.#hardState();
    const voted = this.#onDisk.lacksVote(now);
    const { entries, truncateFrom } = this.log.hand();
    const snapshot = this.#snapshot;
    this.#snapshot = null;
    const mustSync = voted || entries.length > 0 || snapshot !== null;
    if (!mustSync && !this.#onDisk.isCommitDue(now)) {
      this.#outbox.release();
      return null;
    }
    const messages = this.#outbox.takeAfterPersist();
    return { hardState: this.#onDisk.save(now), snapshot, truncateFrom, entries, mustSync, messages };
  }

  #takeCommitted(): readonly Entry[] {
    if (this.#restoring !== null) return [];
    const from = this.#handedToApply + 1;
    // Never ahead of the own disk: a snapshot of the state must not cover entries that a crash could take
    // back.
    const to = Math.min(
      this.#commit,
      this.log.stableIndex,
      this.#handedToApply + this.options.applyEntriesMax,
    );
    if (from > to) return [];
    const entries = this.log.entries(from, to + 1, this.options.applyBytesMax);
    this.#handedToApply = entries.at(-1)!.index;
    return entries;
  }

  #hardState(): HardState {
    return { term: this.#term, votedFor: this.#votedFor, commit: this.#commit };
  }

  #to(to: MemberId): { readonly from: MemberId; readonly to: MemberId; readonly term: Term } {
    return { from: this.id, to, term: this.#term };
  }
}
