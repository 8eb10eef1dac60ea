/** Bounds of backups. */
export const backupLimits = {
  /** What a member hands out at a time; several chunks of a snapshot, a turn of its loop each. */
  pieceBytes: 256 * 1024,
  /** Backups that one member serves at a time: each keeps compaction from freeing anything. */
  sessionsMax: 4,
  /** A backup that nobody reads from is given up after this. */
  sessionIdleMs: 60_000,
  readTimeoutMs: 10_000,
  /** Between two tries of a request that did not leave. */
  retryDelayMs: 100,
  /** Tries of one read, before the member counts as lost. */
  readTriesMax: 3,
  /** Backups that one front makes, or has ready, at a time. */
  spoolsMax: 4,
  /** Records sorted in memory at once: the rest waits in sorted runs on disk. */
  runBytes: 4 * 1024 * 1024,
  runRecordsMax: 20_000,
  /** Read ahead of each run. */
  runBufferBytes: 64 * 1024,
  /** Records handed on at a time; then others have their turn. */
  batchRecords: 512,
  batchBytes: 256 * 1024,
  /** Pages gathered for one write. */
  writeBytes: 256 * 1024,
  /** Read at a time, and how many of them are kept. */
  readBytes: 64 * 1024,
  readsKept: 64,
  /** One record of a file that somebody gives us; etcd's own bound is its request limit, which can be set. */
  recordBytesMax: 256 * 1024 * 1024,
  /** Levels of a tree of pages: more than 2^48 pages would fill. */
  treeDepthMax: 24,
  /** Sent at a time. */
  blockBytes: 64 * 1024,
} as const;
