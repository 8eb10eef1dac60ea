/**
 * A store member as an actor: the one place where Raft meets actors. It hosts `Raft` around the key-value state machine,
 * turns requests into log entries or reads, serves watches from its own copy, and lets leases expire while it leads.
 * Requests do not wait for each other: the mailbox only starts them.
 */
import {
  type Alarm,
  type Applied,
  type Command,
  type CommandResult,
  type Configuration,
  encodeCommand,
  hasPut,
  isMember,
  isReadOnly,
  KvError,
  KvFsm,
  type LeaseId,
  leaseId,
  type LogStorage,
  memberId,
  noSpace,
  membersOf,
  type MemberId,
  type Letter,
  noMembers,
  Raft,
  RaftError,
  type RaftLimits,
  type KvStore,
  type Revision,
  type SnapshotStore,
  type TxnResult,
  WatchHub,
  type WithRevision,
} from 'raft-consensus';
import {
  type Actor,
  type ActorContext,
  type ActorRef,
  addressOf,
  type ChildSpec,
  RecentlySeen,
} from '../runtime/index.js';
import type { LeaseTimeToLive, StoreErrorCode, StoreMemberInfo, StoreStatus } from './client.js';
import { GroupClock } from './group-clock.js';
import { HashCheck } from './hash-check.js';
import { LeaseWatch, type Unstamped } from './lease-watch.js';
import { type StoreLimits, storeLimits } from './limits.js';
import type {
  RaftLetter,
  StoreDigestLetter,
  StoreMessage,
  StoreReply,
  StoreRequest,
  StoreWatchReply,
} from './messages.js';
import { changeMembers, infoOf, isAboutMembers, MemberBook, type MembershipRequest } from './membership.js';
import { Watchers } from './watchers.js';

export interface StoreMemberOptions {
  readonly name: string;
  /** All of the group that is made with them; of one that the member shall join, those to join, without itself. */
  readonly members: readonly { readonly name: string; readonly ref: ActorRef<StoreMessage> }[];
  /** Opens the member's files; called at each start of the actor. */
  openStorage(): Promise<{
    readonly log: LogStorage;
    readonly snapshots: SnapshotStore;
    close(): Promise<void>;
  }>;
  /** A disk that fails ends the member for good: whoever runs the process must end it (DESIGN rule 7). */
  onFatal(error: unknown): void;
  /** Told of every change of who leads; for status displays. */
  onLeader?(leader: string | null): void;
  /** Told of the members whenever they change, so that the host can reach them. */
  onMembers?(members: readonly StoreMemberInfo[]): void;
  /** Others than the defaults, for tests and for measuring. */
  readonly limits?: { readonly raft?: Partial<RaftLimits>; readonly store?: Partial<StoreLimits> };
  /** Told at each start of what the member is made of, so that a checker can look at it. */
  inspect?(parts: MemberParts): void;
}

export interface MemberParts {
  readonly raft: Raft<Applied | null>;
  readonly store: KvStore;
  readonly watches: WatchHub;
}

export function storeMember(options: StoreMemberOptions): ChildSpec<StoreMessage> {
  return {
    id: 'store',
    mailboxDepthMax: storeLimits.mailboxDepthMax,
    start: () => memberActor(options) as Actor<unknown, StoreMessage>,
  };
}

function memberActor(options: StoreMemberOptions): Actor<StoreMember, StoreMessage> {
  return {
    initial: (ctx) => StoreMember.open(options, ctx),
    receive: (member, message) => {
      member.receive(message);
      return member;
    },
    stopped: (member) => member?.stop(),
  };
}

class StoreMember {
  readonly #options: StoreMemberOptions;
  readonly #limits: StoreLimits;
  readonly #ctx: ActorContext<StoreMessage>;
  readonly #fsm: KvFsm;
  readonly #raft: Raft<Applied | null>;
  readonly #book: MemberBook;
  readonly #watchers: Watchers;
  readonly #closeStorage: () => Promise<void>;
  #inFlight = 0;
  /** By reply address: none is used for two requests. */
  readonly #seen: RecentlySeen;
  readonly #groupClock: GroupClock;
  readonly #leases: LeaseWatch;
  readonly #hashes: HashCheck;
  #hashesAskedAtMs = 0;
  #compactAt: CompactionMark | undefined;

  static async open(options: StoreMemberOptions, ctx: ActorContext<StoreMessage>): Promise<StoreMember> {
    const storage = await options.openStorage();
    const book = new MemberBook(options.name, options.members);
    const isFounder = options.members.some(({ name }) => name === options.name);
    const limits = { ...storeLimits, ...options.limits?.store };
    const fsm = new KvFsm(undefined, limits.snapshotChunkBytes);
    const hub = new WatchHub(fsm.store);
    const groupClock = new GroupClock(fsm.store, ctx.env.clock);
    const watchers = new Watchers(hub, ctx, limits);
    const raft = await Raft.start<Applied | null>({
      id: memberId(options.name),
      configuration: isFounder ? book.configuration : noMembers,
      fsm,
      storage: storage.log,
      snapshots: storage.snapshots,
      transport: { send: (to, message) => sendLetter(ctx, book, to, message) },
      clock: ctx.env.clock,
      random: () => ctx.env.random.next(),
      onFatal: (error) => options.onFatal(error),
      ...(options.limits?.raft && { limits: options.limits.raft }),
    });
    book.follow(raft.configuration());
    options.inspect?.({ raft, store: fsm.store, watches: hub });
    raft.observe((observation) => {
      if (observation.type === 'configuration-changed') {
        book.follow(observation.configuration);
        options.onMembers?.(infoOf(observation.configuration));
        ctx.note('store members', { members: membersOf(observation.configuration).join() });
        // What is removed hears of nothing any more: its watches go on elsewhere.
        if (!observation.isMember) watchers.close();
      }
      if (observation.type === 'snapshot-refused') ctx.note('snapshot not sent', { ...observation });
      if (observation.type === 'snapshot-damaged') ctx.note('snapshot damaged', { ...observation });
      if (observation.type === 'role-changed') groupClock.lead(observation.role === 'leader');
      if (observation.type !== 'leader-changed') return;
      ctx.note('store leader', { leader: observation.leader ?? 'none', term: observation.term });
      options.onLeader?.(observation.leader);
    });
    ctx.setTimer('tick', limits.leaseCheckIntervalMs, { type: 'StoreTick' });
    groupClock.lead(raft.isLeader());
    return new StoreMember(options, limits, ctx, fsm, groupClock, book, watchers, raft, storage.close);
  }

  private constructor(
    options: StoreMemberOptions,
    limits: StoreLimits,
    ctx: ActorContext<StoreMessage>,
    fsm: KvFsm,
    groupClock: GroupClock,
    book: MemberBook,
    watchers: Watchers,
    raft: Raft<Applied | null>,
    closeStorage: () => Promise<void>,
  ) {
    this.#options = options;
    this.#seen = new RecentlySeen(limits.requestsRememberedMax);
    this.#limits = limits;
    this.#ctx = ctx;
    this.#fsm = fsm;
    this.#groupClock = groupClock;
    this.#leases = new LeaseWatch(fsm.store, groupClock, ctx.env.clock, limits);
    this.#hashes = new HashCheck(options.name, fsm.store);
    this.#book = book;
    this.#watchers = watchers;
    this.#raft = raft;
    this.#closeStorage = closeStorage;
  }

  receive(message: StoreMessage): void {
    switch (message.type) {
      case 'StoreTxn':
      case 'StoreRange':
      case 'StoreCurrentRevision':
      case 'StoreCompact':
      case 'StoreLeaseGrant':
      case 'StoreLeaseRevoke':
      case 'StoreLeaseKeepAlive':
      case 'StoreLeaseTimeToLive':
      case 'StoreLeases':
      case 'StoreHashKv':
      case 'StoreAlarms':
      case 'StoreAlarm':
      case 'StoreTransfer':
      case 'StoreStatus':
      case 'StoreMemberList':
      case 'StoreMemberAdd':
      case 'StoreMemberRemove':
      case 'StoreMemberPromote':
        void this.#answer(message);
        return;
      case 'StoreDigestAsk': {
        const { name } = this.#options;
        this.#tellMember(message.from, { type: 'StoreDigests', from: name, points: this.#hashes.points() });
        return;
      }
      case 'StoreCompactStep':
        this.#compactStep();
        return;
      case 'StoreDigests':
        if (isMember(this.#raft.configuration(), memberId(message.from)))
          this.#hashes.hear(message.from, message.points);
        return;
      case 'StoreWatch':
        if (this.#without() === null) this.#watchers.open(message);
        else this.#refuseWatch(message.watchId, message.replyTo);
        return;
      case 'StoreWatchCredit':
        this.#watchers.credit(message.watchId, message.batches);
        return;
      case 'StoreWatchProgress':
        this.#watchers.progressOf(message.watchId);
        return;
      case 'StoreWatchCancel':
        this.#watchers.cancel(message.watchId);
        return;
      case 'StoreMemberAsk':
        this.#book.heardFrom(memberId(message.name), message.node);
        this.#answerStray(message.name);
        return;
      case 'StoreMemberGone':
        this.#book.told(message.configuration, this.#raft.configuration());
        if (this.#without() !== null) this.#watchers.close();
        return;
      case 'StoreTick':
        this.#tick();
        return;
      default:
        this.#receiveLetter(message);
    }
  }

  async stop(): Promise<void> {
    this.#watchers.close();
    await this.#raft.stop();
    await this.#closeStorage();
  }

  /** A member that was removed hears of nothing any more. */
  #refuseWatch(watchId: string, replyTo: ActorRef<StoreWatchReply>): void {
    const members = infoOf(this.#without() ?? this.#raft.configuration());
    this.#ctx.tell<StoreWatchReply>(replyTo, { type: 'StoreWatchLost', watchId, members });
  }

  async #serveMembership(request: MembershipRequest): Promise<StoreReply> {
    const members = await changeMembers(this.#raft, request, this.#limits.requestTimeoutMs);
    return { type: 'StoreMembersAre', members };
  }

  /** Null: this member belongs to the group. */
  #without(): Configuration | null {
    return this.#book.without(this.#raft.configuration());
  }

  #answerStray(name: string): void {
    const configuration = this.#raft.configuration();
    const stray = this.#book.ref(memberId(name));
    // Only what a leader stands behind is news.
    if (!stray || this.#raft.leader() === null || isMember(configuration, memberId(name))) return;
    this.#ctx.tell<StoreMessage>(stray, { type: 'StoreMemberGone', configuration });
  }

  #receiveLetter(letter: RaftLetter): void {
    try {
      this.#raft.receive(letter.raft.from, letter.raft);
      this.#book.heardFrom(letter.raft.from, letter.node);
    } catch (error) {
      if (!(error instanceof RaftError) || error.code !== 'BadMessage') throw error;
      // What a peer sends must not be able to end this member.
      this.#ctx.note('bad raft letter', { from: String(letter.raft?.from), error: error.message });
    }
  }

  async #answer(request: StoreRequest): Promise<void> {
    // A letter that the network doubles is one request: carried out twice, a write would undo what came between.
    if (this.#seen.again(addressOf(request.replyTo))) return;
    if (this.#inFlight >= this.#limits.requestsInFlightMax) {
      const message = `store member ${this.#options.name} has ${this.#inFlight} requests in flight`;
      this.#reply(request.replyTo, { type: 'StoreFailed', code: 'Overloaded', message, definite: true });
      return;
    }
    this.#inFlight += 1;
    try {
      this.#reply(
        request.replyTo,
        await (isAboutMembers(request) ? this.#serveMembership(request) : this.#serve(request)),
      );
    } catch (error) {
      this.#reply(request.replyTo, this.#failure(error));
    } finally {
      this.#inFlight -= 1;
    }
  }

  #reply(to: ActorRef<StoreReply>, reply: StoreReply): void {
    this.#ctx.tell(to, reply);
  }

  async #serve(request: Exclude<StoreRequest, MembershipRequest>): Promise<StoreReply> {
    switch (request.type) {
      case 'StoreTxn': {
        // A transaction that only reads needs no place in the log (etcd: read-only txn).
        if (isReadOnly(request.txn)) {
          await this.#raft.readIndex(this.#limits.requestTimeoutMs);
          const { revision, result } = unwrap(this.#fsm.store.readTxn(request.txn));
          return { type: 'StoreTxnDone', revision, result };
        }
        const context = request.context === undefined ? {} : { context: request.context };
        const { revision, result } = await this.#propose({ type: 'txn', txn: request.txn, ...context });
        return { type: 'StoreTxnDone', revision, result: asTxn(result) };
      }
      case 'StoreRange': {
        if (!request.serializable) await this.#raft.readIndex(this.#limits.requestTimeoutMs);
        const { revision, result } = unwrap(this.#fsm.store.range(request.op));
        return { type: 'StoreRangeDone', revision, result };
      }
      case 'StoreCurrentRevision':
        await this.#raft.readIndex(this.#limits.requestTimeoutMs);
        return { type: 'StoreRevision', revision: this.#fsm.store.revision };
      case 'StoreCompact': {
        const { revision } = await this.#propose({ type: 'compact', revision: request.revision });
        return { type: 'StoreDone', revision };
      }
      case 'StoreLeaseGrant': {
        const id = request.id === 0 ? this.#freeLeaseId() : request.id;
        await this.#propose({ type: 'lease-grant', id, ttlMs: request.ttlMs });
        return { type: 'StoreLeaseGranted', id };
      }
      case 'StoreLeaseKeepAlive': {
        const { revision, result } = await this.#propose({ type: 'lease-renew', id: request.id });
        if (result.type !== 'lease') throw new TypeError(`a renewal gave a result of type ${result.type}`);
        return { type: 'StoreLeaseKept', kept: { revision, ttlMs: result.ttlMs } };
      }
      case 'StoreLeaseTimeToLive':
        return { type: 'StoreLeaseTime', time: await this.#timeToLive(request.id, request.keys) };
      case 'StoreLeases':
        await this.#raft.readIndex(this.#limits.requestTimeoutMs);
        return { type: 'StoreLeaseIds', revision: this.#fsm.store.revision, ids: this.#fsm.store.leases() };
      case 'StoreHashKv': {
        const {
          hash,
          revision: hashRevision,
          compactRevision,
        } = unwrap(this.#fsm.store.hash(request.revision));
        return { type: 'StoreHash', hash: { hash, hashRevision, compactRevision } };
      }
      case 'StoreAlarms':
        await this.#raft.readIndex(this.#limits.requestTimeoutMs);
        return { type: 'StoreAlarmList', alarms: this.#fsm.store.alarms() };
      case 'StoreAlarm': {
        const { action, alarm } = request;
        const { result } = await this.#propose({ type: 'alarm', action, alarm });
        if (result.type !== 'alarm') throw new TypeError(`an alarm gave a result of type ${result.type}`);
        return { type: 'StoreAlarmList', alarms: result.changed };
      }
      case 'StoreLeaseRevoke': {
        const { revision } = await this.#propose({ type: 'lease-revoke', id: request.id });
        return { type: 'StoreDone', revision };
      }
      case 'StoreTransfer':
        await this.#raft.leadershipTransfer(request.to === undefined ? undefined : memberId(request.to));
        return { type: 'StoreDone', revision: this.#fsm.store.revision };
      case 'StoreStatus':
        return { type: 'StoreStatusIs', status: this.#status() };
    }
  }

  async #propose(command: Unstamped): Promise<WithRevision<CommandResult>> {
    const stamped = { ...command, atMs: this.#groupClock.nowMs() } as Command;
    const bytes = encodeCommand(stamped);
    if (isGrowing(command) && !this.#hasRoom(bytes.length)) await this.#refuseAsFull();
    const outcome = await this.#raft.apply(bytes, this.#limits.requestTimeoutMs);
    if (outcome === null) throw new TypeError(`the command ${command.type} gave no outcome`);
    return unwrap(outcome);
  }

  #hasRoom(bytes: number): boolean {
    const { store } = this.#fsm;
    return !store.isOutOfSpace && store.footprintBytes + bytes <= this.#limits.quotaBytes;
  }

  /** The first write that the quota has no room for raises the alarm that refuses all others. */
  async #refuseAsFull(): Promise<void> {
    if (!this.#raft.isLeader()) return;
    if (!this.#fsm.store.isOutOfSpace) await this.#raise({ type: 'NoSpace', member: this.#options.name });
    throw noSpace();
  }

  async #raise(alarm: Alarm): Promise<void> {
    const { store } = this.#fsm;
    const isRaised = store
      .alarms()
      .some(({ type, member }) => type === alarm.type && member === alarm.member);
    if (!isRaised) await this.#inBackground({ type: 'alarm', action: 'raise', alarm });
  }

  #freeLeaseId(): LeaseId {
    for (;;) {
      const id = leaseId(1 + this.#ctx.env.random.integer(0x7fff_ffff));
      if (!this.#fsm.store.hasLease(id)) return id;
    }
  }

  /** Of the leader only: the others' clocks are guesses. */
  async #timeToLive(id: LeaseId, withKeys: boolean): Promise<LeaseTimeToLive> {
    await this.#raft.readIndex(this.#limits.requestTimeoutMs);
    if (!this.#raft.isLeader()) {
      const leader = this.#raft.leader();
      throw new RaftError('NotLeader', 'only a leader knows how late it is', { definite: true, leader });
    }
    const { grantedTtlMs, deadlineMs, keys } = unwrap(this.#fsm.store.leaseStatus(id));
    const ttlMs = Math.max(0, deadlineMs - this.#groupClock.nowMs());
    return { revision: this.#fsm.store.revision, grantedTtlMs, ttlMs, keys: withKeys ? keys : [] };
  }

  #status(): StoreStatus {
    const { store } = this.#fsm;
    const stats = this.#raft.stats();
    return {
      member: this.#options.name,
      role: stats.role,
      leader: stats.leader,
      term: stats.term,
      commitIndex: stats.commitIndex,
      appliedIndex: stats.appliedIndex,
      revision: this.#fsm.store.revision,
      compactRevision: this.#fsm.store.compactRevision,
      members: infoOf(stats.configuration),
      dbSizeBytes: store.footprintBytes,
      dbSizeInUseBytes: store.footprintBytes,
      quotaBytes: this.#limits.quotaBytes,
      alarms: store.alarms(),
      errors: [
        ...(stats.leader === null ? ['etcdserver: no leader'] : []),
        ...store.alarms().map(({ type, member }) => `alarm ${type} of ${member || 'the group'}`),
      ],
    };
  }

  #tick(): void {
    this.#ctx.setTimer('tick', this.#limits.leaseCheckIntervalMs, { type: 'StoreTick' });
    this.#watchers.progress();
    if (this.#raft.leader() === null) {
      for (const ref of this.#book.others) {
        this.#ctx.tell<StoreMessage>(ref, {
          type: 'StoreMemberAsk',
          name: this.#options.name,
          node: this.#ctx.system.node,
        });
      }
    }
    this.#endIfCorrupt();
    this.#compactStep();
    if (!this.#raft.isLeader()) {
      this.#leases.rest();
      this.#hashes.rest();
      this.#compactAt = undefined;
      return;
    }
    this.#leases.check((command) => this.#inBackground(command));
    const nowMs = this.#ctx.env.clock.monotonicMs();
    this.#compactIfDue(nowMs);
    this.#compareHashesIfDue(nowMs);
  }

  #compactStep(): void {
    if (!this.#fsm.store.compactStep(this.#limits.compactStepRecords)) return;
    this.#ctx.setTimer('compact', this.#limits.compactPauseMs, { type: 'StoreCompactStep' });
  }

  #compareHashesIfDue(nowMs: number): void {
    if (nowMs - this.#hashesAskedAtMs < this.#limits.hashCheckIntervalMs) return;
    this.#hashesAskedAtMs = nowMs;
    const configuration = this.#raft.configuration();
    const members = membersOf(configuration);
    for (const alarm of this.#hashes.round(members, configuration.voters)) {
      this.#ctx.note('store members differ', { member: alarm.member });
      void this.#raise(alarm);
    }
    const from = this.#options.name;
    for (const name of members) if (name !== from) this.#tellMember(name, { type: 'StoreDigestAsk', from });
  }

  #tellMember(name: string, letter: StoreDigestLetter): void {
    const ref = this.#book.ref(memberId(name));
    if (ref) this.#ctx.tell<StoreMessage>(ref, letter);
  }

  /** Not while it catches up: the alarm may have been disarmed since. */
  #endIfCorrupt(): void {
    const { name } = this.#options;
    const { commitIndex, appliedIndex } = this.#raft.stats();
    if (appliedIndex < commitIndex) return;
    if (!this.#fsm.store.alarms().some((alarm) => alarm.type === 'Corrupt' && alarm.member === name)) return;
    const remedy = 'remove it and add it anew with an empty data directory, then disarm the alarm';
    const message = `the data of store member ${name} differs from the majority's: ${remedy}`;
    this.#options.onFatal(new KvError('Corrupt', message));
  }

  /** Keeps `compactionRetentionMs` of history, less if it is large: what was the newest then may be compacted now. */
  #compactIfDue(nowMs: number): void {
    const due = this.#compactAt;
    const { revision, compactRevision, sizeBytes } = this.#fsm.store;
    const { compactionRetentionMs, compactionRetentionMinMs, compactionHistoryBytesMax } = this.#limits;
    let hasGrown = false;
    if (due) {
      // An earlier compaction may still be freeing.
      due.bytes = Math.min(due.bytes, sizeBytes);
      hasGrown = sizeBytes - due.bytes > compactionHistoryBytesMax;
      const retentionMs = hasGrown || due.isUrgent ? compactionRetentionMinMs : compactionRetentionMs;
      if (nowMs - due.atMs < retentionMs) return;
    }
    this.#compactAt = { revision, atMs: nowMs, bytes: sizeBytes, isUrgent: hasGrown };
    if (due && due.revision > compactRevision) {
      void this.#inBackground({ type: 'compact', revision: due.revision });
    }
  }

  async #inBackground(command: Unstamped): Promise<void> {
    try {
      await this.#propose(command);
    } catch (error) {
      // Level-triggered: the next tick sees what is still due.
      this.#ctx.note('store background command failed', { command: command.type, error: String(error) });
    }
  }

  #failure(error: unknown): StoreReply {
    if (error instanceof KvError) {
      const { code: kvCode, message } = error;
      return { type: 'StoreFailed', code: 'Refused', kvCode, message, definite: true };
    }
    if (!(error instanceof RaftError)) throw error;
    const { message: why, reason } = error;
    if (reason !== null) {
      return { type: 'StoreFailed', code: 'Refused', membership: reason, message: why, definite: true };
    }
    const leader = error.leader ?? this.#raft.leader();
    const configuration = this.#raft.configuration();
    const without = this.#without();
    const leaderNode = leader === null ? undefined : configuration.addresses?.[leader];
    return {
      type: 'StoreFailed',
      code: storeCode(error),
      message: `store member ${this.#options.name}: ${error.message}`,
      definite: error.definite,
      ...(leader !== null && { leader }),
      ...(leaderNode !== undefined && { leaderNode }),
      ...(without !== null && { members: infoOf(without) }),
    };
  }
}

/** What was the newest revision at a moment, and how much there was. */
interface CompactionMark {
  readonly revision: Revision;
  readonly atMs: number;
  bytes: number;
  /** History has become large before it: it need not grow old. */
  readonly isUrgent: boolean;
}

function isGrowing(command: Unstamped): boolean {
  return command.type === 'lease-grant' || (command.type === 'txn' && hasPut(command.txn));
}

function storeCode(error: RaftError): StoreErrorCode {
  switch (error.code) {
    case 'NotLeader':
    case 'Stopped':
      return 'NoLeader';
    case 'Dropped':
      return 'Overloaded';
    case 'LeadershipLost':
      return error.definite ? 'NoLeader' : 'LeaderChanged';
    default:
      return 'Timeout';
  }
}

function sendLetter(ctx: ActorContext<StoreMessage>, book: MemberBook, to: MemberId, raft: Letter): void {
  const peer = book.ref(to);
  // A letter to whom nobody knows is a letter lost, as Raft expects of a network.
  if (!peer) return;
  const node = openings.has(raft.type) ? { node: ctx.system.node } : {};
  ctx.tell<StoreMessage>(peer, { type: letterTypes[raft.type], raft, ...node });
}

/** Letters that are answered by whoever gets them, known or not. */
const openings: ReadonlySet<Letter['type']> = new Set(['vote', 'pre-vote', 'heartbeat', 'snapshot-piece']);

const letterTypes: Readonly<Record<Letter['type'], RaftLetter['type']>> = {
  vote: 'RaftVote',
  'pre-vote': 'RaftPreVote',
  'vote-reply': 'RaftVoteReply',
  'pre-vote-reply': 'RaftPreVoteReply',
  append: 'RaftAppend',
  'append-accepted': 'RaftAppendAccepted',
  'append-rejected': 'RaftAppendRejected',
  heartbeat: 'RaftHeartbeat',
  'heartbeat-reply': 'RaftHeartbeatReply',
  'snapshot-piece': 'RaftSnapshotPiece',
  'snapshot-piece-accepted': 'RaftSnapshotPieceAccepted',
  'read-index': 'RaftReadIndex',
  'read-index-reply': 'RaftReadIndexReply',
  'transfer-leadership': 'RaftTransferLeadership',
  'timeout-now': 'RaftTimeoutNow',
};

function asTxn(result: CommandResult): TxnResult {
  if (result.type !== 'txn') throw new TypeError(`a transaction gave a result of type ${result.type}`);
  return result;
}

function unwrap<T>(outcome: T | KvError): T {
  if (outcome instanceof KvError) throw outcome;
  return outcome;
}
