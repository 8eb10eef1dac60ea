/**
 * The store client over actor messages. Writes go to the leader that members name; reads and watches to the nearest
 * member (the first of the list). What certainly did nothing is tried again until the deadline; what may have been
 * proposed never is (ARCHITECTURE rule 7).
 */
import {
  type Alarm,
  type AuthChange,
  type AuthQuery,
  type AuthSecrets,
  type Caller,
  KvError,
  type KvErrorCode,
  type LeaseId,
  leaseId,
  RaftError,
  type Revision,
  revision,
} from 'raft-consensus';
import type { WatchRequest } from 'raft-consensus';
import { type ActorSystem, AskError } from '../runtime/index.js';
import type { CallerStore, GuardedStoreClient, Need } from './caller-store.js';
import {
  type StoreClient,
  StoreError,
  type StoreErrorCode,
  type StoreStatus,
  type StoreWatch,
  type WatchHandler,
} from './client.js';
import { encodeCause } from './context.js';
import { type KnownMember, KnownMembers } from './known-members.js';
import { storeLimits } from './limits.js';
import type { MemberAddress, MemberChange } from './member-address.js';
import type { MemberMeasures } from './measures.js';
import { restOf } from './long-ranges.js';
import type { StoreMessage, StoreReply, StoreRequest, StoreWatchReply } from './messages.js';
import { malformedReply } from './reply-check.js';
import { ResumingWatch } from './resuming-watch.js';
import { type ManyRequests, SharedLetters } from './shared-letters.js';
import { WatchNews } from './watch-news.js';

export interface StoreClientOptions {
  readonly system: ActorSystem;
  /** Nearest first; names are the members' names in the group. */
  readonly members: readonly KnownMember[];
}

type Omitted<T> = T extends unknown ? Omit<T, 'replyTo'> : never;
type Timeout = { readonly timeoutMs?: number };
type WatchLost = Extract<StoreWatchReply, { type: 'StoreWatchLost' }>;
type Failure = Extract<StoreReply, { type: 'StoreFailed' }> & {
  /** Of a request that nobody answered: what became of it on the way. */
  readonly cause?: AskError;
};

export function createStoreClient({ system, members }: StoreClientOptions): GuardedStoreClient {
  const known = new KnownMembers(members);
  const letters = new SharedLetters({
    limits: storeLimits,
    clock: system.env.clock,
    ask: (member, request, timeoutMs) => ask(system, known.at(member), request, timeoutMs),
  });
  return new ActorStoreClient({
    system,
    members: known,
    letters,
    leader: known.nearest,
    watches: new WatchNews(system),
  });
}

/** What a client knows of its group, shared by those that act for others. */
interface Group {
  readonly system: ActorSystem;
  readonly members: KnownMembers;
  readonly letters: SharedLetters;
  /** Place of the member believed to lead. */
  leader: number;
  readonly watches: WatchNews;
}

class ActorStoreClient implements GuardedStoreClient, CallerStore {
  readonly #group: Group;
  readonly #system: ActorSystem;
  readonly #members: KnownMembers;
  /** On whose behalf; undefined: the machine's own. */
  readonly #caller: Caller | undefined;

  constructor(group: Group, caller?: Caller) {
    this.#group = group;
    this.#system = group.system;
    this.#members = group.members;
    this.#caller = caller;
  }

  as(caller: Caller): CallerStore {
    return new ActorStoreClient(this.#group, caller);
  }

  async authorize(need: Need, options?: Timeout): Promise<void> {
    await this.#toNearest({ type: 'StoreAuthorize', need }, 'StoreDone', options?.timeoutMs);
  }

  async authChange(change: AuthChange, options?: Timeout): Promise<Revision> {
    return (await this.#toLeader({ type: 'StoreAuth', change }, 'StoreDone', options?.timeoutMs)).revision;
  }

  async authQuery(query: AuthQuery, options?: Timeout) {
    const reply = await this.#toNearest(
      { type: 'StoreAuthQuery', query },
      'StoreAuthAnswer',
      options?.timeoutMs,
    );
    return { revision: reply.revision, result: reply.answer };
  }

  async measures(options?: Timeout): Promise<MemberMeasures> {
    const request = { type: 'StoreMeasures' as const };
    return (await this.#toNearest(request, 'StoreMeasuresAre', options?.timeoutMs)).measures;
  }

  async authSecrets(user: string | undefined, options?: Timeout): Promise<AuthSecrets> {
    const request = { type: 'StoreAuthSecrets' as const, ...(user !== undefined && { user }) };
    return (await this.#toNearest(request, 'StoreAuthSecretsAre', options?.timeoutMs)).secrets;
  }

  async txn(txn: Parameters<StoreClient['txn']>[0], options?: Parameters<StoreClient['txn']>[1]) {
    const context = options?.context ?? encodeCause(this.#system.cause());
    const request = { type: 'StoreTxn' as const, txn, ...(context !== undefined && { context }) };
    const reply = await this.#toLeader(request, 'StoreTxnDone', options?.timeoutMs);
    return { revision: reply.revision, result: reply.result };
  }

  async range(op: Parameters<StoreClient['range']>[0], options?: Parameters<StoreClient['range']>[1]) {
    const { clock } = this.#system.env;
    const timeoutMs = options?.timeoutMs ?? storeLimits.requestTimeoutMs;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const leftMs = () => Math.max(1, deadlineMs - clock.monotonicMs());
    const serializable = options?.serializable ?? false;
    const request = { type: 'StoreRange' as const, op, serializable, inPieces: true };
    for (;;) {
      const { revision: at, result, rest } = await this.#toNearest(request, 'StoreRangeDone', leftMs());
      if (rest === undefined) return { revision: at, result };
      const member = this.#members.placeOf(rest.member);
      if (member === -1) {
        const message = `the rest of a range is with ${rest.member}, which this client does not know`;
        throw new StoreError('NoLeader', message, true);
      }
      // However long it all takes: it goes on.
      const piece = (number: number) =>
        this.#askMember(member, { type: 'StoreRangeRead', id: rest.id, number }, timeoutMs);
      const pieces = await restOf(rest, piece);
      if ('kvs' in pieces) {
        return { revision: at, result: { ...result, kvs: [...result.kvs, ...pieces.kvs] } };
      }
      // The member has ended or let go of it: reading anew does no harm.
      if (pieces.code === 'Refused' || leftMs() <= storeLimits.retryDelayMs) throw toError(pieces);
      await sleep(this.#system, storeLimits.retryDelayMs);
    }
  }

  async currentRevision(options?: { readonly timeoutMs?: number }): Promise<Revision> {
    return (await this.#toNearest({ type: 'StoreCurrentRevision' }, 'StoreRevision', options?.timeoutMs))
      .revision;
  }

  async compact(at: Revision, options?: Timeout): Promise<Revision> {
    const request = { type: 'StoreCompact' as const, revision: at };
    return (await this.#toLeader(request, 'StoreDone', options?.timeoutMs)).revision;
  }

  async leaseGrant(ttlMs: number, options?: { readonly id?: LeaseId } & Timeout): Promise<LeaseId> {
    const request = { type: 'StoreLeaseGrant' as const, ttlMs, id: options?.id ?? leaseId(0) };
    return (await this.#toLeader(request, 'StoreLeaseGranted', options?.timeoutMs)).id;
  }

  async leaseRevoke(id: LeaseId, options?: Timeout): Promise<Revision> {
    const request = { type: 'StoreLeaseRevoke' as const, id };
    return (await this.#toLeader(request, 'StoreDone', options?.timeoutMs)).revision;
  }

  async leaseKeepAlive(id: LeaseId, options?: Timeout) {
    const request = { type: 'StoreLeaseKeepAlive' as const, id };
    return (await this.#repeatable(request, 'StoreLeaseKept', options?.timeoutMs)).kept;
  }

  async leaseTimeToLive(id: LeaseId, options?: { readonly keys?: boolean } & Timeout) {
    const request = { type: 'StoreLeaseTimeToLive' as const, id, keys: options?.keys ?? false };
    return (await this.#repeatable(request, 'StoreLeaseTime', options?.timeoutMs)).time;
  }

  async leases(options?: Timeout) {
    const reply = await this.#toNearest({ type: 'StoreLeases' }, 'StoreLeaseIds', options?.timeoutMs);
    return { revision: reply.revision, result: reply.ids };
  }

  async hashKv(at: Revision = revision(0), options?: Timeout) {
    const request = { type: 'StoreHashKv' as const, revision: at };
    return (await this.#toNearest(request, 'StoreHash', options?.timeoutMs)).hash;
  }

  async alarms(options?: Timeout) {
    return (await this.#toNearest({ type: 'StoreAlarms' }, 'StoreAlarmList', options?.timeoutMs)).alarms;
  }

  async alarmActivate(alarm: Alarm, options?: Timeout) {
    const request = { type: 'StoreAlarm' as const, action: 'raise' as const, alarm };
    return (await this.#toLeader(request, 'StoreAlarmList', options?.timeoutMs)).alarms;
  }

  async alarmDisarm(alarm: Alarm, options?: Timeout) {
    const request = { type: 'StoreAlarm' as const, action: 'disarm' as const, alarm };
    return (await this.#toLeader(request, 'StoreAlarmList', options?.timeoutMs)).alarms;
  }

  async members(options?: Parameters<StoreClient['members']>[0]) {
    const request = { type: 'StoreMemberList' as const, serializable: options?.serializable ?? false };
    return (await this.#toNearest(request, 'StoreMembersAre', options?.timeoutMs)).members;
  }

  async memberAdd(
    name: string,
    where: string | MemberAddress,
    options?: Parameters<StoreClient['memberAdd']>[2],
  ) {
    const address = typeof where === 'string' ? { node: where } : where;
    const request = { type: 'StoreMemberAdd' as const, name, address, learner: options?.learner ?? false };
    return (await this.#toLeader(request, 'StoreMembersAre', options?.timeoutMs)).members;
  }

  async memberUpdate(name: string, change: MemberChange, options?: { readonly timeoutMs?: number }) {
    const request = { type: 'StoreMemberUpdate' as const, name, change };
    return (await this.#toLeader(request, 'StoreMembersAre', options?.timeoutMs)).members;
  }

  async memberRemove(name: string, options?: { readonly timeoutMs?: number }) {
    const request = { type: 'StoreMemberRemove' as const, name };
    return (await this.#toLeader(request, 'StoreMembersAre', options?.timeoutMs)).members;
  }

  async memberPromote(name: string, options?: { readonly timeoutMs?: number }) {
    const request = { type: 'StoreMemberPromote' as const, name };
    return (await this.#toLeader(request, 'StoreMembersAre', options?.timeoutMs)).members;
  }

  async status(options?: { readonly timeoutMs?: number }): Promise<StoreStatus> {
    return (await this.#toNearest({ type: 'StoreStatus' }, 'StoreStatusIs', options?.timeoutMs)).status;
  }

  async transfer(to: string, options?: Timeout): Promise<void> {
    await this.#toLeader({ type: 'StoreTransfer', to }, 'StoreDone', options?.timeoutMs);
  }

  watch(request: WatchRequest, handler: WatchHandler): StoreWatch {
    const { watches } = this.#group;
    return new ResumingWatch(watches, this.#members, request, handler, (lost) => this.#learnFrom(lost));
  }

  #toLeader<T extends StoreReply['type']>(request: Omitted<StoreRequest>, wanted: T, timeoutMs?: number) {
    return this.#request(request, wanted, 'write', timeoutMs);
  }

  /** To the leader, and soon to the next one if it does not answer: once more does no harm. */
  #repeatable<T extends StoreReply['type']>(request: Omitted<StoreRequest>, wanted: T, timeoutMs?: number) {
    return this.#request(request, wanted, 'repeatable', timeoutMs);
  }

  #toNearest<T extends StoreReply['type']>(request: Omitted<StoreRequest>, wanted: T, timeoutMs?: number) {
    return this.#request(request, wanted, 'read', timeoutMs);
  }

  async #request<T extends StoreReply['type']>(
    request: Omitted<StoreRequest>,
    wanted: T,
    kind: 'read' | 'write' | 'repeatable',
    timeoutMs: number = storeLimits.requestTimeoutMs,
  ): Promise<Extract<StoreReply, { type: T }>> {
    const { clock } = this.#system.env;
    const deadline = clock.monotonicMs() + timeoutMs;
    const isForLeader = kind !== 'read';
    let target = isForLeader ? this.#group.leader : this.#members.nearest;
    for (;;) {
      const left = deadline - clock.monotonicMs();
      const waitMs = kind === 'repeatable' ? Math.min(left, storeLimits.repeatAfterMs) : left;
      const outcome = await this.#askMember(target, request, Math.max(1, waitMs));
      this.#learnFrom(outcome);
      if (outcome.type === wanted) {
        if (isForLeader) this.#group.leader = target;
        return outcome as Extract<StoreReply, { type: T }>;
      }
      if (outcome.type !== 'StoreFailed') {
        throw new StoreError('Timeout', `the store answered ${outcome.type} to ${request.type}`, false);
      }
      // Whoever did not answer well is not asked first the next time.
      if (isForLeader && outcome.code !== 'Refused') this.#group.leader = this.#members.after(target);
      const retry =
        kind === 'write' ? outcome.code === 'NoLeader' && outcome.definite : outcome.code !== 'Refused';
      if (!retry || deadline - clock.monotonicMs() <= storeLimits.retryDelayMs) throw toError(outcome);
      const hinted = this.#placeOf(outcome);
      const known = hinted !== -1 && hinted !== target;
      target = known && isForLeader ? hinted : this.#members.after(target);
      if (!known) await sleep(this.#system, storeLimits.retryDelayMs);
    }
  }

  /** Of the member that is said to lead; -1: nobody is. */
  #placeOf({ leader, leaderNode }: Failure): number {
    if (leader !== undefined) this.#members.meet(leader, leaderNode);
    return this.#members.placeOf(leader);
  }

  /** Members may have joined or left since this client began. */
  #learnFrom(reply: StoreReply | WatchLost): void {
    const members =
      reply.type === 'StoreStatusIs' ? reply.status.members : 'members' in reply ? reply.members : [];
    this.#members.learn(members ?? []);
  }

  #askMember(place: number, request: Omitted<StoreRequest>, timeoutMs: number): Promise<StoreReply> {
    const full = this.#caller ? { ...request, caller: this.#caller } : request;
    const isTraced = this.#system.cause() !== undefined;
    const shared = isTraced ? undefined : this.#group.letters.ask(place, full, timeoutMs);
    return shared ?? ask(this.#system, this.#members.at(place), full, timeoutMs);
  }
}

async function ask(
  system: ActorSystem,
  member: KnownMember,
  request: Omitted<StoreRequest> | ManyRequests,
  timeoutMs: number,
): Promise<StoreReply> {
  try {
    const reply = await system.ask<StoreMessage, StoreReply>(
      member.ref,
      (replyTo) => ({ ...request, replyTo }) as StoreMessage,
      { timeoutMs },
    );
    const why = malformedReply(reply);
    if (why === undefined) return reply;
    const message = `store member ${member.name} answered what cannot be read: ${why}`;
    return { type: 'StoreFailed', code: 'Timeout', message, definite: false };
  } catch (error) {
    if (!(error instanceof AskError)) throw error;
    // A letter that certainly was not handled is the same as no leader: another member may be asked.
    const code: StoreErrorCode = error.definite ? 'NoLeader' : 'Timeout';
    const message = `store member ${member.name}: ${error.message}`;
    const failure: Failure = { type: 'StoreFailed', code, message, definite: error.definite, cause: error };
    return failure;
  }
}

function toError(failure: Failure): StoreError {
  const cause = causeOf(failure);
  return new StoreError(failure.code, failure.message, failure.definite, cause && { cause });
}

function causeOf({ kvCode, membership, message, cause }: Failure): Error | undefined {
  if (cause) return cause;
  if (membership) return new RaftError('Membership', message, { definite: true, reason: membership });
  return kvCode === undefined ? undefined : new KvError(kvCode as KvErrorCode, message);
}

function sleep(system: ActorSystem, delayMs: number): Promise<void> {
  return new Promise((resolve) => system.env.clock.setTimer(delayMs, resolve));
}
