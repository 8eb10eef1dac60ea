/** Bounds of the log and the snapshots on disk, in one place. */
export const DISK_LIMITS = {
  /** A segment is closed by the first record that takes it past this size. */
  segmentBytes: 64 * 1024 * 1024,
  /** Queued batches are merged into one record (one write, one fdatasync) up to this size. */
  groupCommitBytesMax: 8 * 1024 * 1024,
  /** A record that claims more than this is not a record: its length field is damaged. */
  recordBytesMax: 1024 * 1024 * 1024,
  snapshotsKept: 2,
  /** A snapshot that is being written is synced each time that so much of it is not. */
  snapshotSyncBytes: 4 * 1024 * 1024,
  /** What a file says of itself before its content; of a snapshot, the members of the group too. */
  fileHeadBytesMax: 1024 * 1024,
  /** What a disk may lose or keep on its own: the unit of torn writes. */
  sectorBytes: 512,
} as const;
