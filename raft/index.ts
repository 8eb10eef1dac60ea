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
export type { Message, MessageType } from './core/messages.js';
export type { Fsm, FsmSnapshot } from './fsm.js';
export type { LogStorage, SaveBatch, SavedLog, SnapshotStore, StoredSnapshot } from './storage.js';
export type { Clock, Transport } from './transport.js';
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
