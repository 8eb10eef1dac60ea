/** Bounds of the key-value state machine, in one place. etcd's defaults where etcd has one. */
export const KV_LIMITS = {
  /**
   * Compares, success operations and failure operations of one transaction, each; what the longest list takes
   * is not there for transactions within (etcd --max-txn-ops).
   */
  txnOpsMax: 128,
  txnDepthMax: 8,
  /** An encoded command: etcd's --max-request-bytes and the overhead it grants. */
  commandBytesMax: 1536 * 1024 + 512 * 1024,
  /** What a version takes in memory beside its key and value (measured: 300 to 350), and what a lease does. */
  versionOverheadBytes: 320,
  leaseOverheadBytes: 250,
  /** Users, roles, and permissions of a role, and what each may be called. */
  authUsersMax: 10_000,
  authRolesMax: 10_000,
  authPermissionsMax: 10_000,
  authNameLengthMax: 1024,
  authTokenKeyBytesMin: 32,
  leaseTtlMaxMs: 9_000_000_000 * 1000,
  /** What a watcher may leave unread before it is switched to reading from history. */
  watchQueueEventsMax: 1024,
  watchQueueBytesMax: 4 * 1024 * 1024,
  /** Log records that one pull looks at when a watcher reads from history. */
  watchScanMax: 4096,
  watchBatchEventsMax: 512,
  watchBatchBytesMax: 1024 * 1024,
  snapshotChunkBytes: 64 * 1024,
  /** Keys that a snapshot looks at before it lets others have their turn. */
  snapshotScanMax: 2048,
  /** A chunk and the largest version after it, or all leases: more is not a frame. */
  snapshotFrameBytesMax: 1024 * 1024 * 1024,
} as const;
