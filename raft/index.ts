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
export { RaftCore } from './core/core.js';
export type { ChangeResult, ProposeResult, TransferResult } from './core/outcomes.js';
export {
  afterSteps,
  decodeConfiguration,
  encodeConfiguration,
  isConfiguration,
  isJoint,
  isMember,
  membersOf,
  type ConfigurationChange,
  type MemberStep,
  type Transition,
} from './core/configuration.js';
export type { AddOptions, ChangeManyOptions, ChangeOptions } from './membership.js';
export { Quorum, type VoteResult } from './core/quorum.js';
export { MemoryLog, type LogReader } from './core/log.js';
export type { CoreLimits, CoreOptions, CoreState } from './core/options.js';
export { defaultCoreLimits } from './core/options.js';
export type { Persist, ReadState, Ready, Role, SoftState } from './core/ready.js';
export {
  bytes,
  type Check,
  count,
  finite,
  flag,
  isRecord,
  listOf,
  mapOf,
  oneOf,
  optional,
  record,
  type ShapeOf,
  type ShapesOf,
  text,
  union,
  whole,
  wrongField,
} from './shape.js';
export { RaftError, type MembershipRefusal, type RaftErrorCode } from './errors.js';
export { MemorySnapshots, MemoryStorage } from './memory.js';
export { type DurationHistogram, Durations } from './durations.js';
export type { ReadStats } from './read-waiters.js';
export { type HeartbeatStats, HeartbeatWatch } from './heartbeat-watch.js';
export type { CoreView, Observation, Observer } from './observer.js';
export type { PeerStats, RaftStats } from './stats.js';
export { Raft } from './raft.js';
export { defaultRaftLimits, noMembers, type RaftLimits, type RaftOptions } from './options.js';
export { checkReload, reloadableLimits, type ReloadableLimits } from './reload.js';
export { MemberCheck, type CheckedState, type MemberCheckOptions } from './member-check.js';
export { recoverLostQuorum, type Recovery, type RecoveryOptions } from './recovery.js';
export { joined, type Fsm, type FsmSnapshot } from './fsm.js';
export type {
  LogStorage,
  SaveBatch,
  SavedLog,
  SnapshotInfo,
  SnapshotSink,
  SnapshotSource,
  SnapshotStore,
} from './storage.js';
export type { Letter, SnapshotPiece, SnapshotPieceAccepted } from './snapshot-pieces.js';
export type { Clock, Transport } from './transport.js';
export {
  ByteReader,
  ByteWriter,
  DISK_LIMITS,
  DiskSnapshots,
  MalformedBytes,
  ReadOnlyDisk,
  ReadOnlyFile,
  RealDisk,
  SimDisk,
  type SimDiskImage,
  type SimFileState,
  StorageError,
  Wal,
  crc32c,
  type CheckedFolder,
  type CheckedSnapshot,
  type Disk,
  type DiskDone,
  type DiskFault,
  type DiskFile,
  type DiskOperation,
  type Finding,
  type SnapshotStoreOptions,
  type StorageErrorCode,
  type WalOptions,
} from './disk/index.js';
export {
  KV_LIMITS,
  KvError,
  KvFsm,
  KvSnapshot,
  KvSnapshotDecoder,
  KvSnapshotEncoder,
  KvStore,
  type RangeReading,
  ValueFiles,
  WatchHub,
  decodeCommand,
  digestOf,
  encodeBatch,
  encodeCommand,
  hasPut,
  isReadOnly,
  noSpace,
  type Applied,
  type AuthErrorCode,
  type Change,
  type CommandResult,
  type KvErrorCode,
  type KvFsmOptions,
  type KvListener,
  type KvSnapshotHead,
  type KvSnapshotVisitor,
  type StateHash,
  type ValueFilesOptions,
  type Version,
  type WatchBudget,
  type WatchStep,
  type Watcher,
  type WatcherLimits,
} from './kv/index.js';
export type {
  Access,
  AuthAnswer,
  AuthChange,
  AuthQuery,
  AuthSecrets,
  Caller,
  Permission,
} from './kv/auth-types.js';
export type {
  Alarm,
  AlarmType,
  Command,
  CommandBatch,
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
  SingleCommand,
  TxnOp,
  TxnResult,
  WatchBatch,
  WatchEvent,
  WatchRequest,
  WithRevision,
} from './kv/types.js';
export {
  alarmShape,
  authAnswerShape,
  authChangeShape,
  authQueryShape,
  authSecretsShape,
  callerShape,
  keyRangeShape,
  keyValuesShape,
  leaseIdShape,
  rangeResultShape,
  rangeShape,
  txnResultShape,
  txnShape,
  watchBatchShape,
  watchRequestShape,
} from './kv/shapes.js';
export { compareLeaseIds } from './kv/lease-id.js';
export { leaseId, revision } from './kv/types.js';
