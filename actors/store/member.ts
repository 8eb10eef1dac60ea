/**
 * A store member as an actor: the one place where Raft meets actors. It hosts `Raft` around the key-value state machine,
 * turns requests into log entries or reads, serves watches from its own copy, and lets leases expire while it leads.
 * Requests do not wait for each other: the mailbox only starts them.
 */
import {
  type Applied,
  type Configuration,
  isMember,
  KvError,
  KvFsm,
  memberId,
  membersOf,
  noMembers,
  Raft,
  RaftError,
  StorageError,
  type StorageErrorCode,
  WatchHub,
} from 'raft-consensus';
import {
  type Actor,
  type ActorContext,
  type ActorRef,
  addressOf,
  type ChildSpec,
  RecentlySeen,
} from '../runtime/index.js';
import { Compaction } from './compaction.js';
import { BackupSessions } from './backup/index.js';
import { GroupClock } from './group-clock.js';
import { HashCheck } from './hash-check.js';
import { LeaderTimes } from './leader-times.js';
import { LeaseWatch } from './lease-watch.js';
import { type Malformed, malformed } from './letter-check.js';
import { impostor } from './letter-sender.js';
import { type StoreLimits, storeLimits } from './limits.js';
import { LongRanges } from './long-ranges.js';
import type { StoreMemberOptions } from './member-options.js';
import type {
  RaftLetter,
  StoreDigestLetter,
  StoreMany,
  StoreMessage,
  StoreReply,
  StoreRequest,
  StoreWatchReply,
} from './messages.js';
import { infoOf, MemberBook } from './membership.js';
import { PeerEnds } from './peer-ends.js';
import { Promotions } from './promotions.js';
import { Proposer } from './proposer.js';
import { sendLetter } from './raft-letters.js';
import { Measures } from './measures.js';
import { isRequest, Requests, type RequestsParts } from './requests.js';
import { tune } from './settings.js';
import { Watchers } from './watchers.js';

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

/** No number of restarts makes another member's data its own, or brings back what is gone or damaged. */
function isForGood(error: unknown): boolean {
  if (error instanceof RaftError) return error.code === 'Corrupt';
  return error instanceof StorageError && forGood.has(error.code);
}

const forGood: ReadonlySet<string> = new Set<StorageErrorCode>([
  'ForeignDirectory',
  'WalLost',
  'WalCorrupt',
  'SnapshotCorrupt',
  'ValueCorrupt',
]);

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
  readonly #leases: LeaseWatch;
  readonly #hashes: HashCheck;
  #hashesAskedAtMs = 0;
  readonly #compaction: Compaction;
  readonly #proposer: Proposer;
  readonly #requests: Requests;
  readonly #promotions: Promotions;
  readonly #backups: BackupSessions;
  readonly #ranges: LongRanges;

  static async open(options: StoreMemberOptions, ctx: ActorContext<StoreMessage>): Promise<StoreMember> {
    try {
      return await StoreMember.#opened(options, ctx);
    } catch (error) {
      if (isForGood(error)) options.onFatal(error);
      throw error;
    }
  }

  static async #opened(options: StoreMemberOptions, ctx: ActorContext<StoreMessage>): Promise<StoreMember> {
    const storage = await options.openStorage();
    const book = new MemberBook(options.name, options.members);
    const isFounder = options.members.some(({ name }) => name === options.name);
    const limits = { ...storeLimits, ...options.limits?.store };
    const files = await storage.openValues((error) => options.onFatal(error));
    const fsm = new KvFsm({ ...limits, files });
    const hub = new WatchHub(fsm.store);
    const groupClock = new GroupClock(fsm.store, ctx.env.clock);
    const watchers = new Watchers(hub, ctx, limits);
    const measures = new Measures(fsm.store, ctx.env.clock);
    const raft = await Raft.start<Applied | null>({
      id: memberId(options.name),
      configuration: isFounder ? book.configuration : noMembers,
      fsm: measures.watched(fsm),
      storage: measures.timed(storage.log),
      snapshots: storage.snapshots,
      transport: { send: (to, message) => sendLetter(ctx, book, to, message) },
      clock: ctx.env.clock,
      random: () => ctx.env.random.next(),
      onFatal: (error) => options.onFatal(error),
      ...(options.limits?.raft && { limits: options.limits.raft }),
    });
    book.follow(raft.configuration());
    const tellHost = (configuration: Configuration) => {
      const known = infoOf(configuration);
      if (known.length > 0) options.onMembers?.(known);
    };
    tellHost(raft.configuration());
    const times = new LeaderTimes(raft, ctx.env.clock);
    const ends = new PeerEnds(ctx.system, book, (peer) => {
      times.peerLost(peer);
      raft.peerGone(peer);
    });
    ends.follow(raft.configuration());
    options.inspect?.({
      raft,
      store: fsm.store,
      watches: hub,
      tune: (settings) => tune(raft, limits, settings),
    });
    raft.observe((observation) => {
      if (observation.type === 'configuration-changed') {
        book.follow(observation.configuration);
        tellHost(observation.configuration);
        ends.follow(observation.configuration);
        ctx.note('store members', { members: membersOf(observation.configuration).join() });
        // What is removed hears of nothing any more: its watches go on elsewhere.
        if (!observation.isMember) watchers.close();
      }
      if (observation.type === 'snapshot-installed') measures.snapshotsReceived += 1;
      if (observation.type === 'snapshot-refused') ctx.note('snapshot not sent', { ...observation });
      if (observation.type === 'snapshot-damaged') ctx.note('snapshot damaged', { ...observation });
      if (observation.type === 'role-changed') groupClock.lead(observation.role === 'leader' ? raft : null);
      if (observation.type !== 'leader-changed') return;
      times.leaderChanged();
      ctx.note('store leader', { leader: observation.leader ?? 'none', term: observation.term });
    });
    ctx.setTimer('tick', limits.leaseCheckIntervalMs, { type: 'StoreTick' });
    groupClock.lead(raft.isLeader() ? raft : null);
    const close = async () => {
      ends.close();
      await storage.close();
    };
    const parts = { name: options.name, raft, store: fsm.store, groupClock, limits, ctx, measures };
    return new StoreMember(options, fsm, { ...parts, times, book, watchers }, close);
  }

  private constructor(
    options: StoreMemberOptions,
    fsm: KvFsm,
    parts: Omit<RequestsParts, 'proposer' | 'backups' | 'ranges'>,
    closeStorage: () => Promise<void>,
  ) {
    const { limits, ctx, raft, groupClock, book, watchers } = parts;
    this.#options = options;
    this.#seen = new RecentlySeen(limits.requestsRememberedMax);
    this.#limits = limits;
    this.#ctx = ctx;
    this.#fsm = fsm;
    this.#leases = new LeaseWatch(fsm.store, groupClock, ctx.env.clock, limits);
    this.#hashes = new HashCheck(options.name, fsm.store);
    this.#book = book;
    this.#watchers = watchers;
    this.#raft = raft;
    this.#closeStorage = closeStorage;
    this.#compaction = new Compaction(fsm.store, limits);
    this.#proposer = new Proposer(parts);
    this.#promotions = new Promotions(raft, limits.requestTimeoutMs);
    this.#backups = new BackupSessions(fsm.store, ctx.env);
    this.#ranges = new LongRanges(options.name, ctx.env, limits);
    this.#requests = new Requests({
      ...parts,
      proposer: this.#proposer,
      backups: this.#backups,
      ranges: this.#ranges,
    });
  }

  receive(message: StoreMessage): void {
    const wrong = malformed(message);
    if (wrong !== undefined) return this.#refuse(wrong);
    if (isRequest(message)) return void this.#answer(message);
    const why = impostor(message, this.#ctx.system, this.#book);
    if (why !== undefined) return this.#ctx.refuse(why);
    switch (message.type) {
      case 'StoreMany':
        void this.#answerMany(message);
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
      case 'StoreWatcherGone':
        this.#watchers.clientGone(message.client);
        return;
      case 'StoreMemberAsk':
        this.#book.heardFrom(memberId(message.name), message.node);
        this.#answerStray(message.name);
        return;
      case 'StoreMemberGone':
        this.#book.told(message.configuration, this.#raft.configuration());
        this.#checkGone();
        return;
      case 'StoreBackupClose':
        this.#backups.close(message.id);
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

  #checkGone(): void {
    const left = this.#without();
    if (left === null) return;
    this.#watchers.close();
    this.#options.onMembers?.(infoOf(left));
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

  #receiveLetter({ raft, node }: RaftLetter): void {
    try {
      this.#raft.receive(raft.from, raft);
      this.#book.heardFrom(raft.from, node);
    } catch (error) {
      if (!(error instanceof RaftError) || error.code !== 'BadMessage') throw error;
      this.#ctx.refuse(error.message);
    }
  }

  /** What a machine sends must not be able to end this member. */
  #refuse({ why, tell }: Malformed): void {
    const message = `store member ${this.#options.name} cannot read the request: ${why}`;
    const kvCode = 'InvalidArgument';
    if (tell?.type === 'request') {
      this.#reply(tell.replyTo, { type: 'StoreFailed', code: 'Refused', kvCode, message, definite: true });
    } else if (tell?.type === 'watch') {
      const { watchId, replyTo } = tell;
      this.#ctx.tell<StoreWatchReply>(replyTo, { type: 'StoreWatchRefused', watchId, message });
    }
    this.#ctx.refuse(why);
  }

  #answer(request: StoreRequest): Promise<void> {
    return this.#serve(request.replyTo, 1, () => this.#requests.serve(request));
  }

  #answerMany({ requests, replyTo }: StoreMany): Promise<void> {
    return this.#serve(replyTo, requests.length, () => this.#requests.serveMany(requests));
  }

  async #serve(to: ActorRef<StoreReply>, count: number, work: () => Promise<StoreReply>): Promise<void> {
    // A letter that the network doubles is one request: carried out twice, a write would undo what came between.
    if (this.#seen.again(addressOf(to))) return;
    if (this.#inFlight >= this.#limits.requestsInFlightMax) {
      const message = `store member ${this.#options.name} has ${this.#inFlight} requests in flight`;
      this.#reply(to, { type: 'StoreFailed', code: 'Overloaded', message, definite: true });
      return;
    }
    this.#inFlight += count;
    try {
      this.#reply(to, await work());
    } catch (error) {
      // `onFatal` was told of it: this member says nothing more.
      if (error instanceof StorageError) return;
      this.#reply(to, this.#requests.failure(error));
    } finally {
      this.#inFlight -= count;
    }
  }

  #reply(to: ActorRef<StoreReply>, reply: StoreReply): void {
    this.#ctx.tell(to, reply);
  }

  #tick(): void {
    this.#ctx.setTimer('tick', this.#limits.leaseCheckIntervalMs, { type: 'StoreTick' });
    this.#watchers.progress();
    this.#backups.expire();
    this.#ranges.expire();
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
      this.#compaction.rest();
      return;
    }
    this.#promotions.check((name, error) => {
      this.#ctx.note('store member not promoted', { member: name, error: error.message });
    });
    this.#leases.check((command) => this.#proposer.inBackground(command));
    const nowMs = this.#ctx.env.clock.monotonicMs();
    const revision = this.#compaction.due(nowMs);
    if (revision !== null) void this.#proposer.inBackground({ type: 'compact', revision });
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
      void this.#proposer.raise(alarm);
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
}
