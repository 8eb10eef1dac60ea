/**
 * What is said to a store member: client requests, watches under credit, and the letters of Raft between members.
 * One reply per request, on the ref that the request names.
 */
import type {
  AuthAnswer,
  AuthChange,
  AuthQuery,
  AuthSecrets,
  Caller,
  Configuration,
  Alarm,
  KeyValue,
  LeaseId,
  MembershipRefusal,
  RangeOp,
  RangeResult,
  Letter,
  Revision,
  TxnOp,
  TxnResult,
  WatchBatch,
  WatchRequest,
} from 'raft-consensus';
import type { ActorRef } from '../runtime/index.js';
import type { BackupOpened, BackupPiece } from './backup/messages.js';
import type { Need } from './caller-store.js';
import type { MemberMeasures } from './measures.js';
import type { DigestPoint } from './hash-check.js';
import type { MemberAddress, MemberChange } from './member-address.js';
import type {
  HashOfMember,
  LeaseKeptAlive,
  LeaseTimeToLive,
  StoreErrorCode,
  StoreMemberInfo,
  StoreStatus,
} from './client.js';

/** With a caller, what he has no right to is refused (rights.ts); without one it comes from a machine of the group. */
type Reply = { readonly replyTo: ActorRef<StoreReply>; readonly caller?: Caller };

export type StoreRequest =
  | ({ readonly type: 'StoreTxn'; readonly txn: TxnOp; readonly context?: string } & Reply)
  /** `inPieces`: of a long answer the first piece will do, the rest is asked for with StoreRangeRead. */
  | ({
      readonly type: 'StoreRange';
      readonly op: RangeOp;
      readonly serializable: boolean;
      readonly inPieces?: boolean;
    } & Reply)
  | ({ readonly type: 'StoreRangeRead'; readonly id: string; readonly number: number } & Reply)
  | ({ readonly type: 'StoreCurrentRevision' } & Reply)
  | ({ readonly type: 'StoreCompact'; readonly revision: Revision } & Reply)
  | ({ readonly type: 'StoreLeaseGrant'; readonly ttlMs: number; readonly id: LeaseId } & Reply)
  | ({ readonly type: 'StoreLeaseKeepAlive'; readonly id: LeaseId } & Reply)
  | ({ readonly type: 'StoreLeaseTimeToLive'; readonly id: LeaseId; readonly keys: boolean } & Reply)
  | ({ readonly type: 'StoreLeases' } & Reply)
  | ({ readonly type: 'StoreLeaseRevoke'; readonly id: LeaseId } & Reply)
  | ({ readonly type: 'StoreHashKv'; readonly revision: Revision } & Reply)
  | ({ readonly type: 'StoreAlarms' } & Reply)
  | ({ readonly type: 'StoreAlarm'; readonly action: 'raise' | 'disarm'; readonly alarm: Alarm } & Reply)
  /** Hands leadership to the named member, or to the one whose log is most complete. */
  | ({ readonly type: 'StoreTransfer'; readonly to?: string } & Reply)
  | ({ readonly type: 'StoreStatus' } & Reply)
  | ({ readonly type: 'StoreMemberList'; readonly serializable: boolean } & Reply)
  | ({
      readonly type: 'StoreMemberAdd';
      readonly name: string;
      readonly address: MemberAddress;
      readonly learner: boolean;
    } & Reply)
  | ({ readonly type: 'StoreMemberUpdate'; readonly name: string; readonly change: MemberChange } & Reply)
  | ({ readonly type: 'StoreMemberRemove'; readonly name: string } & Reply)
  | ({ readonly type: 'StoreMemberPromote'; readonly name: string } & Reply)
  /** The member's state of this moment, to be read piece by piece; unless `serializable`, not older than the request. */
  | ({ readonly type: 'StoreBackupOpen'; readonly serializable: boolean } & Reply)
  | ({ readonly type: 'StoreBackupRead'; readonly id: string; readonly number: number } & Reply)
  /** What the member counts of its own work. */
  | ({ readonly type: 'StoreMeasures' } & Reply)
  /** May the caller do this? */
  | ({ readonly type: 'StoreAuthorize'; readonly need: Need } & Reply)
  | ({ readonly type: 'StoreAuth'; readonly change: AuthChange } & Reply)
  | ({ readonly type: 'StoreAuthQuery'; readonly query: AuthQuery } & Reply)
  /** Answered to machines of the group only. */
  | ({ readonly type: 'StoreAuthSecrets'; readonly user?: string } & Reply);

/** What can share a letter with others of its kind: its answer is short, or it may be asked for again. */
export type SharedRequest = Unaddressed<Extract<StoreRequest, { type: 'StoreTxn' | 'StoreRange' }>>;
export type Unaddressed<R> = R extends StoreRequest ? Omit<R, 'replyTo'> : never;

/** Requests that left a client together. Each is served as if it had come alone; their answers come together. */
export interface StoreMany {
  readonly type: 'StoreMany';
  readonly requests: readonly SharedRequest[];
  readonly replyTo: ActorRef<StoreReply>;
}

export type StoreWatchMessage =
  | {
      readonly type: 'StoreWatch';
      /** Chosen by the client, and nobody else's at this member. */
      readonly watchId: string;
      readonly request: WatchRequest;
      /** Of the client, for all its watches: a letter may be for many of them. */
      readonly replyTo: ActorRef<StoreWatchReply>;
      /** Batches that may be on their way, sent and not yet acknowledged by a StoreWatchCredit. */
      readonly credit: number;
    }
  /** Batches taken since the watch began: a sum, so that one that is lost is made good by the next. */
  | { readonly type: 'StoreWatchCredit'; readonly watchId: string; readonly batches: number }
  /** A batch without events is wanted, if all up to now was sent. */
  | { readonly type: 'StoreWatchProgress'; readonly watchId: string }
  | { readonly type: 'StoreWatchCancel'; readonly watchId: string };

/** The message kind is visible to traces and fault rules: `RaftAppend`, `RaftVote` ... */
export interface RaftLetter {
  readonly type: `Raft${string}`;
  readonly raft: Letter;
  /** Where the sender lives, in letters that open a talk: whoever is behind does not know the newest members. */
  readonly node?: string;
}

/** From a member that hears of no leader: do I belong to the group still? Nobody writes to one that was removed. */
export interface StoreMemberAsk {
  readonly type: 'StoreMemberAsk';
  readonly name: string;
  readonly node: string;
}

/** The answer to one that does not. It changes nothing in Raft; it lets go of its watches and says who is left. */
export interface StoreMemberGone {
  readonly type: 'StoreMemberGone';
  readonly configuration: Configuration;
}

/** Between members: the leader collects digests of the state (hash-check.ts). */
export type StoreDigestLetter =
  | { readonly type: 'StoreDigestAsk'; readonly from: string }
  | { readonly type: 'StoreDigests'; readonly from: string; readonly points: readonly DigestPoint[] };

/** Nobody will read any more of it. */
export interface StoreBackupClose {
  readonly type: 'StoreBackupClose';
  readonly id: string;
}

/** Sent by the member to itself. */
export type StoreTick =
  | { readonly type: 'StoreTick' | 'StoreCompactStep' }
  /** Whoever had watches at this address has ended. */
  | { readonly type: 'StoreWatcherGone'; readonly client: string };

export type StoreMessage =
  | StoreRequest
  | StoreMany
  | StoreWatchMessage
  | RaftLetter
  | StoreDigestLetter
  | StoreMemberAsk
  | StoreMemberGone
  | StoreBackupClose
  | StoreTick;

/** To be read from the member that gave the first piece, and soon. */
export interface RangeRest {
  readonly id: string;
  readonly member: string;
  /** Of all, the first one included. */
  readonly pieces: number;
}

export type StoreReply =
  | { readonly type: 'StoreTxnDone'; readonly revision: Revision; readonly result: TxnResult }
  | {
      readonly type: 'StoreRangeDone';
      readonly revision: Revision;
      readonly result: RangeResult;
      /** Of the answer, this is the first piece; this member has the others. */
      readonly rest?: RangeRest;
    }
  | { readonly type: 'StoreRangePiece'; readonly kvs: readonly KeyValue[] }
  | { readonly type: 'StoreRevision'; readonly revision: Revision }
  | { readonly type: 'StoreLeaseGranted'; readonly id: LeaseId }
  | { readonly type: 'StoreLeaseKept'; readonly kept: LeaseKeptAlive }
  | { readonly type: 'StoreLeaseTime'; readonly time: LeaseTimeToLive }
  | { readonly type: 'StoreLeaseIds'; readonly revision: Revision; readonly ids: readonly LeaseId[] }
  | { readonly type: 'StoreHash'; readonly hash: HashOfMember }
  | { readonly type: 'StoreAlarmList'; readonly alarms: readonly Alarm[] }
  | { readonly type: 'StoreDone'; readonly revision: Revision }
  | { readonly type: 'StoreStatusIs'; readonly status: StoreStatus }
  | { readonly type: 'StoreMembersAre'; readonly members: readonly StoreMemberInfo[] }
  | { readonly type: 'StoreBackupIs'; readonly opened: BackupOpened }
  | { readonly type: 'StoreBackupPiece'; readonly piece: BackupPiece }
  | { readonly type: 'StoreMeasuresAre'; readonly measures: MemberMeasures }
  | { readonly type: 'StoreAuthAnswer'; readonly revision: Revision; readonly answer: AuthAnswer }
  | { readonly type: 'StoreAuthSecretsAre'; readonly secrets: AuthSecrets }
  /** One for each request of a StoreMany, in their order. */
  | { readonly type: 'StoreManyAre'; readonly replies: readonly StoreReply[] }
  /** Among those: a read whose answer is too long for a letter of many. */
  | { readonly type: 'StoreAskAlone' }
  | {
      readonly type: 'StoreFailed';
      readonly code: StoreErrorCode;
      /** The KvError's code when `code` is `Refused`. */
      readonly kvCode?: string;
      /** Why a change of the members was refused; with the code `Refused`. */
      readonly membership?: MembershipRefusal;
      readonly message: string;
      readonly definite: boolean;
      /** Who leads, as far as this member knows. */
      readonly leader?: string;
      /** Where that one lives: it may have joined after the client began. */
      readonly leaderNode?: string;
      /** From a member that was removed: who is left, as far as it knows. */
      readonly members?: readonly StoreMemberInfo[];
    };

/** A watch, and which of its batches this is. */
export type WatchSeq = readonly [watchId: string, seq: number];

/**
 * A watch that stands. `seq` is that of its next batch; all up to `reached` was sent to it, 0: that cannot be said; and whether
 * the member waits to hear what was taken.
 */
export type WatchAlive = readonly [watchId: string, seq: number, reached: Revision, wantsCredit: boolean];

export type StoreWatchReply =
  /** The same for each of these watches. */
  | {
      readonly type: 'StoreWatchBatch';
      readonly watches: readonly WatchSeq[];
      readonly batch: WatchBatch;
    }
  /** The member lives. */
  | { readonly type: 'StoreWatchAlive'; readonly watches: readonly WatchAlive[] }
  | { readonly type: 'StoreWatchCompacted'; readonly watchId: string; readonly compactRevision: Revision }
  /** The member cannot read the request: of another version, perhaps, which the others need not be. */
  | { readonly type: 'StoreWatchRefused'; readonly watchId: string; readonly message: string }
  /** The member stops serving this watch (it ends, or fell behind its leader): resume elsewhere. */
  | {
      readonly type: 'StoreWatchLost';
      readonly watchId: string;
      /** From a member that was removed: who is left, as far as it knows. */
      readonly members?: readonly StoreMemberInfo[];
    };
