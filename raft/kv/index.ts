export { noSpace } from './alarms.js';
export type { AuthErrorCode } from './auth-errors.js';
export { decodeCommand, encodeBatch, encodeCommand } from './command-codec.js';
export { KvError, type KvErrorCode } from './errors.js';
export { KvFsm, type KvFsmOptions } from './kv-fsm.js';
export type { RangeReading } from './range-reading.js';
export { KvStore, type Applied, type CommandResult, type KvListener, type StateHash } from './kv-store.js';
export type { Change } from './versions.js';
export { KV_LIMITS } from './limits.js';
export { KvSnapshot } from './snapshot.js';
export {
  KvSnapshotDecoder,
  KvSnapshotEncoder,
  type KvSnapshotHead,
  type KvSnapshotVisitor,
} from './snapshot-format.js';
export { digestOf } from './digest.js';
export { hasPut, isReadOnly } from './txn.js';
export { ValueFiles, type ValueFilesOptions, type Version } from './values/index.js';
export { WatchHub, type Watcher, type WatchBudget, type WatcherLimits, type WatchStep } from './watch.js';
