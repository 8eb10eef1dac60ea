/**
 * How an apiserver uses the store: the contract of the store client. `ZeroMQ or local` is the ref's business.
 * A write whose outcome is unknown rejects with `definite: false` and is never retried here (DESIGN rule 7);
 * reads and requests that certainly did not reach a leader are retried until the deadline.
 */
import type {
  LeaseId,
  RangeOp,
  RangeResult,
  Revision,
  TxnOp,
  TxnResult,
  WatchBatch,
  WatchRequest,
  WithRevision,
} from 'raft-consensus';

export type StoreErrorCode =
  | 'NoLeader' // no quorum, or none found within the deadline; definite for what was never proposed
  | 'Timeout' // proposed, outcome unknown
  | 'LeaderChanged' // proposed to a leader that lost its term, outcome unknown
  | 'Overloaded'
  | 'Refused'; // the state machine refused: `cause` is the KvError

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
}

export interface WatchHandler {
  onBatch(batch: WatchBatch): void;
  /**
   * The watch ended and will not resume: `compacted` (the start revision is gone; list again) or `closed`.
   * Loss of a member is not an end: the client resumes on another one from the last revision + 1.
   */
  onEnd(
    reason: { readonly type: 'compacted'; readonly compactRevision: Revision } | { readonly type: 'closed' },
  ): void;
}

export interface StoreStatus {
  readonly member: string;
  readonly role: string;
  readonly leader: string | null;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly revision: Revision;
  readonly compactRevision: Revision;
  readonly members: readonly { readonly name: string; readonly voter: boolean }[];
}

export interface StoreClient {
  /** Linearizable; a transaction without a write is a linearizable read. */
  txn(
    txn: TxnOp,
    /** `context` comes back on the watch events of this write; default: the current cause. */
    options?: { readonly timeoutMs?: number; readonly context?: string },
  ): Promise<WithRevision<TxnResult>>;
  /** Linearizable unless `serializable`, which answers from the nearest member and may be behind. */
  range(
    op: RangeOp,
    options?: { readonly timeoutMs?: number; readonly serializable?: boolean },
  ): Promise<WithRevision<RangeResult>>;
  /** The revision that a linearizable read would see now (ReadIndex; no data moved). */
  currentRevision(options?: { readonly timeoutMs?: number }): Promise<Revision>;
  /** Batches also arrive without events, as progress, when the store moved on for other keys. */
  watch(request: WatchRequest, handler: WatchHandler): StoreWatch;
  compact(revision: Revision): Promise<void>;
  leaseGrant(ttlMs: number): Promise<LeaseId>;
  leaseRevoke(id: LeaseId): Promise<void>;
  /** Of the nearest member; for health endpoints and `kabuki status`. */
  status(options?: { readonly timeoutMs?: number }): Promise<StoreStatus>;
}
