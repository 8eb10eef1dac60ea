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
  /** What a version takes in memory beside its key and value (measured: 200 to 220), and what a lease does. */
  versionOverheadBytes: 220,
  leaseOverheadBytes: 250,
  /** Users, roles, and permissions of a role, and what each may be called. */
  authUsersMax: 10_000,
  authRolesMax: 10_000,
  authPermissionsMax: 10_000,
  authNameLengthMax: 1024,
  authTokenKeyBytesMin: 32,
  /** Slabs of values: a quarter of what is in memory, within these, and never less than one value. */
  slabBytesMin: 64 * 1024,
  slabBytesMax: 8 * 1024 * 1024,
  /** Values in memory alone before the oldest are in files, too: a store of that size works as if there were no files. */
  valuesUnfiledBytesMax: 8 * 1024 * 1024,
  /** Values in memory before the oldest are in files alone. */
  valuesResidentBytesMax: 32 * 1024 * 1024,
  /** Beyond that, on their way to files: a member that has more takes no writes until its disk has caught up. */
  unfiledBytesMax: 256 * 1024 * 1024,
  /** Values read back from files that are kept at hand. */
  valueCacheBytesMax: 16 * 1024 * 1024,
  /** Room that compaction made in slabs is won back when it is as much as what is in use, and no less than so many of the least. */
  deadSlabsMin: 16,
  /** Moved to that end in one step. */
  movedBytesMax: 256 * 1024,
  /** Values of one answer to a range. */
  rangeBytesMax: 256 * 1024 * 1024,
  /** A longer answer is given in pieces of no more, or of one key and value. */
  rangePieceKeys: 2048,
  rangePieceBytes: 512 * 1024,
  /** Of a range, in one turn: keys, and values read from files. */
  rangeStepMax: 4096,
  rangeReadsMax: 64,
  /** Values of a file that lie no further apart are read at once, so many bytes at most (one value may be longer). */
  spanGapBytesMax: 4 * 1024,
  spanBytesMax: 1024 * 1024,
  leaseTtlMaxMs: 9_000_000_000 * 1000,
  /** What a watcher may leave unread before it is switched to reading from history. */
  watchQueueEventsMax: 1024,
  watchQueueBytesMax: 4 * 1024 * 1024,
  /** And all watchers together. */
  watchQueueBytesTotalMax: 64 * 1024 * 1024,
  /** Log records that one pull looks at when a watcher reads from history. */
  watchScanMax: 4096,
  watchBatchEventsMax: 512,
  watchBatchBytesMax: 1024 * 1024,
  /** Encoded in one turn: about half a millisecond. */
  snapshotChunkBytes: 64 * 1024,
  /** Of a hash, in one turn. */
  hashStepKeys: 512,
  hashStepBytes: 256 * 1024,
  /** Keys that a snapshot looks at before it lets others have their turn. */
  snapshotScanMax: 2048,
  /** A chunk and the largest version after it, or all leases: more is not a frame. */
  snapshotFrameBytesMax: 1024 * 1024 * 1024,
} as const;
