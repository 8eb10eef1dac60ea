/**
 * How an apiserver uses the store: the contract of the store client. `ZeroMQ or local` is the ref's business.
 * A write whose outcome is unknown rejects with `definite: false` and is never retried here (ARCHITECTURE rule 7);
 * reads and requests that certainly did not reach a leader are retried until the deadline.
 */
import type {
  Alarm,
  LeaseId,
  Key,
  RangeOp,
  RangeResult,
  Revision,
  TxnOp,
  TxnResult,
  WatchBatch,
  WatchRequest,
  WithRevision,
} from 'raft-consensus';

import type { MemberAddress, MemberChange } from './member-address.js';

export type StoreErrorCode =
  | 'NoLeader' // no quorum, or none found within the deadline; definite for what was never proposed
  | 'Timeout' // proposed, outcome unknown
  | 'LeaderChanged' // proposed to a leader that lost its term, outcome unknown
  | 'Overloaded'
  | 'Refused'; // `cause` says why: the state machine's KvError, or a RaftError `Membership`

export class StoreError extends Error {
  readonly code: StoreErrorCode;
  /** True: certainly nothing was written. */
  readonly definite: boolean;

  constructor(code: StoreErrorCode, message: string, definite: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.code = code;
    this.definite = definite;
  }
}

export interface StoreWatch {
  close(): void;
  /** Asks the member to say now how far it is, with a batch without events; it does so by itself only now and then. */
  requestProgress(): void;
}

export interface WatchHandler {
  onBatch(batch: WatchBatch): void;
  /**
   * The watch ended and will not resume: `compacted` (the start revision is gone; list again), `refused` (no member can read
   * the request, of which one said why) or `closed`.
   * Loss of a member is not an end: the client resumes on another one from the last revision + 1.
   */
  onEnd(reason: WatchEnd): void;
}

export type WatchEnd =
  | { readonly type: 'compacted'; readonly compactRevision: Revision }
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'closed' };

/** How the store is, as the member or endpoint sees it that was asked. */
export interface StoreHealth {
  readonly member: string;
  readonly leader: string | null;
  readonly revision: Revision;
  /** What the quota is compared with: all versions held, history too. Compaction alone frees it. */
  readonly dbSizeBytes: number;
  /** What is wrong, for people: no leader, alarms. Empty: nothing. */
  readonly errors: readonly string[];
}

export interface StoreStatus extends StoreHealth {
  readonly role: string;
  /** For how long the member has known that one as leader; 0: nobody leads. */
  readonly leaderForMs: number;
  /** For how long it has lost no connection that its writes need: to its leader, or as leader to a majority. 0: nobody leads. */
  readonly connectedForMs: number;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly compactRevision: Revision;
  /** Whether room that a compaction gave up is still being freed. */
  readonly isFreeing: boolean;
  readonly members: readonly StoreMemberInfo[];
  /** The same: nothing is held that is not in use, so there is nothing to defragment. */
  readonly dbSizeInUseBytes: number;
  readonly quotaBytes: number;
  readonly alarms: readonly Alarm[];
  /** Whether callers from outside are asked for their rights. */
  readonly authEnabled: boolean;
}

export interface StoreMemberInfo {
  readonly name: string;
  /** False: a learner. */
  readonly voter: boolean;
  /** The node that it lives on; absent while the group is too young to have written it down. */
  readonly address?: string;
  /** Where its link listens, `tcp://host:port` or as an operator wrote it; absent in the simulator. */
  readonly url?: string;
  /** CURVE key of its machine; absent until it has started for the first time. */
  readonly publicKey?: string;
  /** What people call it, if not by `name`. */
  readonly title?: string;
  readonly clientUrls?: readonly string[];
  /** A learner that is to vote as soon as it has caught up. */
  readonly isToVote?: boolean;
}

export interface LeaseKeptAlive {
  readonly revision: Revision;
  /** Until the lease ends, counted from when the renewal took effect. */
  readonly ttlMs: number;
}

export interface LeaseTimeToLive {
  readonly revision: Revision;
  readonly grantedTtlMs: number;
  /** 0: its time is over, its end not yet in the log; a renewal can still save it. */
  readonly ttlMs: number;
  /** Sorted; empty unless asked for. */
  readonly keys: readonly Key[];
}

export interface HashOfMember {
  readonly hash: number;
  readonly hashRevision: Revision;
  readonly compactRevision: Revision;
}

interface Timeout {
  readonly timeoutMs?: number;
}

/**
 * What an apiserver needs of a store, and all that it uses. Two drivers offer it, and one suite is passed by both
 * (test/actors/store/api-store.case.ts): the built-in store, and a real etcd cluster (etcd-client/).
 */
export interface ApiStore {
  /** Linearizable; a transaction without a write is a linearizable read. */
  txn(
    txn: TxnOp,
    /** `context` comes back on the watch events of this write; default: the current cause. */
    options?: { readonly timeoutMs?: number; readonly context?: string },
  ): Promise<WithRevision<TxnResult>>;
  /**
   * Linearizable unless `serializable`, which answers from the nearest member and may be behind. A long answer comes in pieces:
   * `timeoutMs` is for the first, and then for each.
   */
  range(
    op: RangeOp,
    options?: { readonly timeoutMs?: number; readonly serializable?: boolean },
  ): Promise<WithRevision<RangeResult>>;
  /**
   * The revision that a linearizable read would see now (ReadIndex; no data moved). The watches of this client get there soon,
   * also when none of their keys has changed.
   */
  currentRevision(options?: { readonly timeoutMs?: number }): Promise<Revision>;
  /** Batches also arrive without events, as progress, when the store moved on for other keys. */
  watch(request: WatchRequest, handler: WatchHandler): StoreWatch;
  /** The keys that are put under it go when it runs out. */
  leaseGrant(ttlMs: number, options?: Timeout): Promise<LeaseId>;
  /** Of the nearest member; for health endpoints. */
  status(options?: Timeout): Promise<StoreHealth>;
}

/** The built-in store as a whole. */
export interface StoreClient extends ApiStore {
  /** Resolves with the revision at that moment. */
  compact(revision: Revision, options?: Timeout): Promise<Revision>;
  /** Deletes the keys under it; resolves with the revision at that moment. Refused with LeaseNotFound. */
  leaseRevoke(id: LeaseId, options?: Timeout): Promise<Revision>;
  /** `id` absent or 0: the store picks one. Refused with LeaseExists, LeaseTtlTooLarge. */
  leaseGrant(ttlMs: number, options?: { readonly id?: LeaseId } & Timeout): Promise<LeaseId>;
  /** Through the log: once it resolves, no member ends the lease within `ttlMs`. Refused with LeaseNotFound. */
  leaseKeepAlive(id: LeaseId, options?: Timeout): Promise<LeaseKeptAlive>;
  /** Linearizable. Refused with LeaseNotFound. */
  leaseTimeToLive(id: LeaseId, options?: { readonly keys?: boolean } & Timeout): Promise<LeaseTimeToLive>;
  /** Linearizable; by id. */
  leases(options?: Timeout): Promise<WithRevision<readonly LeaseId[]>>;
  /** Of the nearest member's own state, up to `revision` (absent or 0: its newest). */
  hashKv(revision?: Revision, options?: Timeout): Promise<HashOfMember>;
  /** Linearizable. */
  alarms(options?: Timeout): Promise<readonly Alarm[]>;
  /** Both resolve with the alarms that changed by it. */
  alarmActivate(alarm: Alarm, options?: Timeout): Promise<readonly Alarm[]>;
  alarmDisarm(alarm: Alarm, options?: Timeout): Promise<readonly Alarm[]>;
  /** Hands leadership to the member of this name; resolves when it is on its way. */
  transfer(to: string, options?: Timeout): Promise<void>;
  /** Who belongs to the group; linearizable unless `serializable`. */
  members(options?: {
    readonly timeoutMs?: number;
    readonly serializable?: boolean;
  }): Promise<readonly StoreMemberInfo[]>;
  /**
   * Adds a member that runs, or soon will, on a node. It begins as a learner and votes as soon as it has caught up, or stays
   * one until it is promoted (`learner`). A change that must not be rejects as `Refused`, its `cause` a RaftError
   * `Membership` with the reason. Resolves with the members then.
   */
  memberAdd(
    name: string,
    /** Its node alone, or how it is reached, too. */
    address: string | MemberAddress,
    options?: { readonly learner?: boolean; readonly timeoutMs?: number },
  ): Promise<readonly StoreMemberInfo[]>;
  memberRemove(name: string, options?: { readonly timeoutMs?: number }): Promise<readonly StoreMemberInfo[]>;
  /** Its new address, key (once only) or client URLs; what is absent stays. */
  memberUpdate(
    name: string,
    change: MemberChange,
    options?: { readonly timeoutMs?: number },
  ): Promise<readonly StoreMemberInfo[]>;
  /** A learner becomes a voter, once it has caught up. */
  memberPromote(name: string, options?: { readonly timeoutMs?: number }): Promise<readonly StoreMemberInfo[]>;
  /** Of the nearest member; for health endpoints and `kabuki status`. */
  status(options?: { readonly timeoutMs?: number }): Promise<StoreStatus>;
}
