export { ByteReader, MalformedBytes } from './byte-reader.js';
export { ByteWriter } from './byte-writer.js';
export { crc32c } from './crc32c.js';
export type { Disk, DiskFile } from './disk.js';
export { StorageError, type StorageErrorCode } from './errors.js';
export { encodeFileHead, type FileKind, type FileOwner, readFileHead, readingFile } from './file-head.js';
export { checkFolder, type CheckedFolder, type CheckedSnapshot, type Finding } from './folder-check.js';
export { DISK_LIMITS } from './limits.js';
export { ReadOnlyDisk } from './read-only-disk.js';
export { ReadOnlyFile } from './read-only-file.js';
export { RealDisk } from './real-disk.js';
export {
  SimDisk,
  type DiskDone,
  type DiskFault,
  type DiskOperation,
  type SimDiskImage,
  type SimFileState,
} from './sim-disk.js';
export { DiskSnapshots, type SnapshotStoreOptions } from './snapshots.js';
export { Wal, type WalOptions } from './wal.js';
