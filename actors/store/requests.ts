/** What a member does for each request of its clients, and what it says when that fails. */
import {
  type Applied,
  type Caller,
  type CommandResult,
  KvError,
  type KvStore,
  type LeaseId,
  leaseId,
  isReadOnly,
  memberId,
  type Raft,
  RaftError,
  type TxnResult,
} from 'raft-consensus';
import type { ActorContext } from '../runtime/index.js';
import type { BackupSessions } from './backup/index.js';
import type { LeaseTimeToLive, StoreErrorCode, StoreStatus } from './client.js';
import type { GroupClock } from './group-clock.js';
import type { LeaderTimes } from './leader-times.js';
import type { StoreLimits } from './limits.js';
import type { LongRanges } from './long-ranges.js';
import { addressOf, infoOf, type MemberBook } from './membership.js';
import { changeMembers, isAboutMembers, type MembershipRequest } from './membership-requests.js';
import type { MemberMeasures, Measures } from './measures.js';
import type { SharedRequest, Unaddressed, StoreMessage, StoreReply, StoreRequest } from './messages.js';
import { unwrap } from './outcome.js';
import { deniesAtOnce, deniesNeed, isAhead } from './rights.js';
import type { Proposer, ProposerParts } from './proposer.js';
import type { Watchers } from './watchers.js';

export interface RequestsParts extends ProposerParts {
  readonly book: MemberBook;
  readonly proposer: Proposer;
  readonly watchers: Watchers;
  readonly times: LeaderTimes;
  readonly backups: BackupSessions;
  readonly ranges: LongRanges;
}

type BackupRequest = Extract<StoreRequest, { type: 'StoreBackupOpen' | 'StoreBackupRead' }>;

function isAboutBackups(request: StoreRequest): request is BackupRequest {
  return request.type === 'StoreBackupOpen' || request.type === 'StoreBackupRead';
}

export class Requests {
  readonly #name: string;
  readonly #raft: Raft<Applied | null>;
  readonly #store: KvStore;
  readonly #groupClock: GroupClock;
  readonly #limits: StoreLimits;
  readonly #ctx: ActorContext<StoreMessage>;
  readonly #book: MemberBook;
  readonly #proposer: Proposer;
  readonly #watchers: Watchers;
  readonly #measures: Measures;
  readonly #backups: BackupSessions;
  readonly #ranges: LongRanges;
  readonly #times: LeaderTimes;

  constructor(parts: RequestsParts) {
    this.#name = parts.name;
    this.#raft = parts.raft;
    this.#store = parts.store;
    this.#groupClock = parts.groupClock;
    this.#limits = parts.limits;
    this.#ctx = parts.ctx;
    this.#book = parts.book;
    this.#proposer = parts.proposer;
    this.#watchers = parts.watchers;
    this.#measures = parts.measures;
    this.#backups = parts.backups;
    this.#ranges = parts.ranges;
    this.#times = parts.times;
  }

  /** Each as if it had come alone; rejects only where `failure` would. */
  async serveMany(requests: readonly SharedRequest[]): Promise<StoreReply> {
    let bytes = 0;
    const replies = await Promise.all(
      requests.map(async (request): Promise<StoreReply> => {
        let reply: StoreReply;
        try {
          const denied = deniesAtOnce(this.#store, request);
          if (denied !== undefined) throw denied;
          reply = await this.#serveData(request);
        } catch (error) {
          return this.failure(error);
        }
        if (reply.type !== 'StoreRangeDone') return reply;
        for (const { key, value } of reply.result.kvs) bytes += key.length + value.length;
        return bytes > this.#limits.sharedReplyBytesMax ? { type: 'StoreAskAlone' } : reply;
      }),
    );
    return { type: 'StoreManyAre', replies };
  }

  async serve(request: StoreRequest): Promise<StoreReply> {
    const denied = deniesAtOnce(this.#store, request);
    if (denied !== undefined) throw denied;
    if (isAboutMembers(request)) return this.#serveMembership(request);
    if (request.type === 'StoreRangeRead') {
      return { type: 'StoreRangePiece', kvs: await this.#ranges.read(request) };
    }
    if (request.type === 'StoreRange' && request.inPieces) return this.#serveLongRange(request);
    return isAboutBackups(request) ? this.#serveBackup(request) : this.#serveData(request);
  }

  async #serveLongRange(request: Extract<StoreRequest, { type: 'StoreRange' }>): Promise<StoreReply> {
    await this.#mayRead(request);
    this.#measures.ranges += 1;
    return this.#ranges.open(unwrap(this.#store.openRange(request.op, request.caller)), request.caller);
  }

  async #serveMembership(request: MembershipRequest): Promise<StoreReply> {
    const { clock } = this.#ctx.env;
    const deadlineMs = clock.monotonicMs() + this.#limits.requestTimeoutMs;
    for (;;) {
      try {
        const leftMs = Math.max(1, deadlineMs - clock.monotonicMs());
        const members = await changeMembers(this.#raft, request, leftMs);
        return { type: 'StoreMembersAre', members };
      } catch (error) {
        // One change at a time: who comes second waits for its turn, and looks again.
        const waits = error instanceof RaftError && ['pending', 'prev-index'].includes(error.reason ?? '');
        if (!waits || clock.monotonicMs() + this.#limits.retryDelayMs >= deadlineMs) throw error;
        await new Promise<void>((resolve) => void clock.setTimer(this.#limits.retryDelayMs, resolve));
      }
    }
  }

  async #serveBackup(request: BackupRequest): Promise<StoreReply> {
    if (request.type === 'StoreBackupRead') {
      return { type: 'StoreBackupPiece', piece: await this.#backups.read(request.id, request.number) };
    }
    if (!request.serializable) await this.#raft.readIndex(this.#limits.requestTimeoutMs);
    return { type: 'StoreBackupIs', opened: this.#backups.open() };
  }

  async #serveData(
    request:
      Exclude<StoreRequest, MembershipRequest | BackupRequest | { type: 'StoreRangeRead' }> | SharedRequest,
  ): Promise<StoreReply> {
    const { caller } = request;
    const by = caller && { caller };
    switch (request.type) {
      case 'StoreTxn': {
        // A transaction that only reads needs no place in the log (etcd: read-only txn).
        if (isReadOnly(request.txn)) {
          await this.#catchUp();
          this.#measures.ranges += 1;
          const { revision, result } = unwrap(this.#store.readTxn(request.txn, caller));
          return { type: 'StoreTxnDone', revision, result };
        }
        const context = request.context === undefined ? {} : { context: request.context };
        const { revision, result } = await this.#proposer.propose({
          type: 'txn',
          txn: request.txn,
          ...context,
          ...by,
        });
        return { type: 'StoreTxnDone', revision, result: asTxn(result) };
      }
      case 'StoreRange': {
        await this.#mayRead(request);
        this.#measures.ranges += 1;
        const { revision, result } = unwrap(await this.#store.rangeInTurns(request.op, this.#turn, caller));
        return { type: 'StoreRangeDone', revision, result };
      }
      case 'StoreCurrentRevision':
        await this.#raft.readIndex(this.#limits.requestTimeoutMs);
        return { type: 'StoreRevision', revision: this.#store.revision };
      case 'StoreCompact': {
        const { revision } = await this.#proposer.propose({
          type: 'compact',
          revision: request.revision,
          ...by,
        });
        return { type: 'StoreDone', revision };
      }
      case 'StoreHashKv': {
        const {
          hash,
          revision: hashRevision,
          compactRevision,
        } = unwrap(await this.#store.hashInTurns(request.revision, this.#turn));
        return { type: 'StoreHash', hash: { hash, hashRevision, compactRevision } };
      }
      case 'StoreAlarms':
        await this.#raft.readIndex(this.#limits.requestTimeoutMs);
        return { type: 'StoreAlarmList', alarms: this.#store.alarms() };
      case 'StoreAlarm': {
        const { action, alarm } = request;
        const { result } = await this.#proposer.propose({ type: 'alarm', action, alarm, ...by });
        if (result.type !== 'alarm') throw new TypeError(`an alarm gave a result of type ${result.type}`);
        return { type: 'StoreAlarmList', alarms: result.changed };
      }
      case 'StoreTransfer':
        await this.#raft.leadershipTransfer(request.to === undefined ? undefined : memberId(request.to));
        return { type: 'StoreDone', revision: this.#store.revision };
      case 'StoreStatus':
        return { type: 'StoreStatusIs', status: this.#status() };
      case 'StoreMeasures':
        return { type: 'StoreMeasuresAre', measures: this.#measuresNow() };
      case 'StoreAuthorize':
      case 'StoreAuth':
      case 'StoreAuthQuery':
      case 'StoreAuthSecrets':
        return this.#serveAuth(request);
      default:
        return this.#serveLease(request);
    }
  }

  async #serveLease(request: Extract<StoreRequest, { type: `StoreLease${string}` }>): Promise<StoreReply> {
    const { caller } = request;
    const by = caller && { caller };
    switch (request.type) {
      case 'StoreLeaseGrant': {
        const id = request.id === 0 ? this.#freeLeaseId() : request.id;
        await this.#proposer.propose({ type: 'lease-grant', id, ttlMs: request.ttlMs, ...by });
        return { type: 'StoreLeaseGranted', id };
      }
      case 'StoreLeaseKeepAlive': {
        const { revision, result } = await this.#proposer.propose({
          type: 'lease-renew',
          id: request.id,
          ...by,
        });
        if (result.type !== 'lease') throw new TypeError(`a renewal gave a result of type ${result.type}`);
        return { type: 'StoreLeaseKept', kept: { revision, ttlMs: result.ttlMs } };
      }
      case 'StoreLeaseTimeToLive':
        return { type: 'StoreLeaseTime', time: await this.#timeToLive(request) };
      case 'StoreLeases':
        return this.#leaseIds(caller);
      case 'StoreLeaseRevoke': {
        const { revision } = await this.#proposer.propose({ type: 'lease-revoke', id: request.id, ...by });
        return { type: 'StoreDone', revision };
      }
      default:
        return request satisfies never;
    }
  }

  async #serveAuth(request: Extract<StoreRequest, { type: `StoreAuth${string}` }>): Promise<StoreReply> {
    const { caller } = request;
    const store = this.#store;
    switch (request.type) {
      case 'StoreAuthorize': {
        const { need } = request;
        if (need.type === 'read' || isAhead(store, caller)) await this.#catchUp();
        const denied = deniesNeed(store, need, caller);
        if (denied !== undefined) throw denied;
        return { type: 'StoreDone', revision: store.revision };
      }
      case 'StoreAuth': {
        const { change } = request;
        const { revision } = await this.#proposer.propose({
          type: 'auth',
          change,
          ...(caller && { caller }),
        });
        return { type: 'StoreDone', revision };
      }
      case 'StoreAuthQuery':
        await this.#catchUp();
        return {
          type: 'StoreAuthAnswer',
          revision: store.revision,
          answer: unwrap(store.auth.answer(request.query, caller)),
        };
      case 'StoreAuthSecrets':
        await this.#catchUp();
        return { type: 'StoreAuthSecretsAre', secrets: store.auth.secrets(request.user) };
      default:
        return request satisfies never;
    }
  }

  /** Nobody is judged by rights of before those that he was proven by, whatever else of the past will do. */
  async #mayRead({ serializable, caller }: Unaddressed<Extract<StoreRequest, { type: 'StoreRange' }>>) {
    if (!serializable || isAhead(this.#store, caller)) await this.#catchUp();
  }

  /** All that was applied anywhere before is applied here. */
  #catchUp(): Promise<unknown> {
    return this.#raft.readIndex(this.#limits.requestTimeoutMs);
  }

  /** Which leases there are is told to those who may read all their keys. */
  async #leaseIds(caller: Caller | undefined): Promise<StoreReply> {
    await this.#catchUp();
    const store = this.#store;
    const ids = store.leases();
    const denied = store.auth.deniesUser(caller);
    if (denied !== undefined) throw denied;
    for (const id of ids) {
      const hidden = store.deniesLeaseKeys(id, caller);
      if (hidden !== undefined) throw hidden;
    }
    return { type: 'StoreLeaseIds', revision: store.revision, ids };
  }

  readonly #turn = (): Promise<void> => new Promise((resolve) => this.#ctx.env.clock.defer(resolve));

  #freeLeaseId(): LeaseId {
    for (;;) {
      const id = leaseId(1 + this.#ctx.env.random.integer(0x7fff_ffff));
      if (!this.#store.hasLease(id)) return id;
    }
  }

  /** Of the leader only: the others' clocks are guesses. */
  async #timeToLive(
    request: Extract<StoreRequest, { type: 'StoreLeaseTimeToLive' }>,
  ): Promise<LeaseTimeToLive> {
    const { id, keys: withKeys, caller } = request;
    await this.#raft.readIndex(this.#limits.requestTimeoutMs);
    if (!this.#raft.isLeader()) {
      const leader = this.#raft.leader();
      throw new RaftError('NotLeader', 'only a leader knows how late it is', { definite: true, leader });
    }
    const { auth } = this.#store;
    const denied =
      auth.deniesUser(caller) ?? (withKeys ? this.#store.deniesLeaseKeys(id, caller) : undefined);
    if (denied !== undefined) throw denied;
    const { grantedTtlMs, deadlineMs, keys } = unwrap(this.#store.leaseStatus(id));
    const ttlMs = Math.max(0, deadlineMs - this.#groupClock.nowMs());
    return { revision: this.#store.revision, grantedTtlMs, ttlMs, keys: withKeys ? keys : [] };
  }

  #measuresNow(): MemberMeasures {
    const { proposalsFailed, ranges, puts, deletes, txns, logSaves, snapshotsReceived, slowApplies } =
      this.#measures;
    const store = this.#store;
    const { pendingProposals: proposalsPending, heartbeats, reads } = this.#raft.stats();
    return {
      keys: store.keyCount,
      leases: store.leaseCount,
      authRevision: store.auth.revision,
      watchers: this.#watchers.size,
      slowWatchers: this.#watchers.slowCount,
      pendingEvents: this.#watchers.queuedEvents,
      proposalsPending,
      proposalsFailed,
      ranges,
      puts,
      deletes,
      txns,
      logSaves,
      slowApplies,
      reads,
      heartbeats,
      snapshotsReceived,
    };
  }

  #status(): StoreStatus {
    const store = this.#store;
    const stats = this.#raft.stats();
    return {
      member: this.#name,
      role: stats.role,
      leader: stats.leader,
      leaderForMs: this.#times.leaderForMs(),
      connectedForMs: this.#times.connectedForMs(),
      term: stats.term,
      commitIndex: stats.commitIndex,
      appliedIndex: stats.appliedIndex,
      revision: this.#store.revision,
      compactRevision: store.compactRevision,
      isFreeing: store.compactionPending,
      members: infoOf(stats.configuration),
      dbSizeBytes: store.footprintBytes,
      dbSizeInUseBytes: store.footprintBytes,
      quotaBytes: this.#limits.quotaBytes,
      alarms: store.alarms(),
      authEnabled: store.auth.enabled,
      errors: [
        ...(stats.leader === null ? ['etcdserver: no leader'] : []),
        ...store.alarms().map(({ type, member }) => `alarm ${type} of ${member || 'the group'}`),
      ],
    };
  }

  failure(error: unknown): StoreReply {
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
    const without = this.#book.without(configuration);
    const leaderNode = leader === null ? undefined : addressOf(configuration, leader)?.node;
    return {
      type: 'StoreFailed',
      code: storeCode(error),
      message: `store member ${this.#name}: ${error.message}`,
      definite: error.definite,
      ...(leader !== null && { leader }),
      ...(leaderNode !== undefined && { leaderNode }),
      ...(without !== null && { members: infoOf(without) }),
    };
  }
}

const requestTypes: Readonly<Record<StoreRequest['type'], true>> = {
  StoreTxn: true,
  StoreRange: true,
  StoreRangeRead: true,
  StoreCurrentRevision: true,
  StoreCompact: true,
  StoreLeaseGrant: true,
  StoreLeaseRevoke: true,
  StoreLeaseKeepAlive: true,
  StoreLeaseTimeToLive: true,
  StoreLeases: true,
  StoreHashKv: true,
  StoreAlarms: true,
  StoreAlarm: true,
  StoreTransfer: true,
  StoreStatus: true,
  StoreMemberList: true,
  StoreMemberAdd: true,
  StoreMemberRemove: true,
  StoreMemberPromote: true,
  StoreMemberUpdate: true,
  StoreBackupOpen: true,
  StoreBackupRead: true,
  StoreAuthorize: true,
  StoreMeasures: true,
  StoreAuth: true,
  StoreAuthQuery: true,
  StoreAuthSecrets: true,
};

export function isRequest(message: StoreMessage): message is StoreRequest {
  return Object.hasOwn(requestTypes, message.type);
}

function storeCode(error: RaftError): StoreErrorCode {
  switch (error.code) {
    case 'NotLeader':
      return 'NoLeader';
    case 'Dropped':
      return 'Overloaded';
    // Of a leader whose disk failed: the others may have what it sent them.
    case 'Stopped':
    case 'LeadershipLost':
      return error.definite ? 'NoLeader' : 'LeaderChanged';
    default:
      return 'Timeout';
  }
}

function asTxn(result: CommandResult): TxnResult {
  if (result.type !== 'txn') throw new TypeError(`a transaction gave a result of type ${result.type}`);
  return result;
}
