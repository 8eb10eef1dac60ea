export type {
  Configuration,
  Entry,
  EntryType,
  HardState,
  LogIndex,
  MemberId,
  SnapshotMeta,
  Term,
} from './core/types.js';
export { logIndex, memberId, term } from './core/types.js';
export type { Disk, DiskFile } from './disk/disk.js';
export { KvError, type KvErrorCode } from './kv/errors.js';
export type {
  Command,
  Compare,
  DeleteOp,
  DeleteResult,
  Key,
  KeyRange,
  KeyValue,
  LeaseId,
  LeaseStatus,
  Op,
  OpResult,
  PutOp,
  PutResult,
  RangeOp,
  RangeResult,
  Revision,
  TxnOp,
  TxnResult,
  WatchBatch,
  WatchEvent,
  WatchRequest,
  WithRevision,
} from './kv/types.js';
export { leaseId, revision } from './kv/types.js';
