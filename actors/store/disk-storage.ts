/** The files of a member: its log and its snapshots in one folder, bound to the cluster and the member's name. */
import { type Disk, DiskSnapshots, type LogStorage, type SnapshotStore, Wal } from 'raft-consensus';

export interface MemberStorage {
  readonly log: LogStorage;
  readonly snapshots: SnapshotStore;
  close(): Promise<void>;
}

export interface DiskStorageOptions {
  /** The member has run with this folder: without a log in it, it is refused (StorageError `WalLost`). */
  readonly hasRunBefore?: boolean;
  /** Of one file of the log; default: `DISK_LIMITS.segmentBytes`. */
  readonly segmentBytes?: number;
}

export function openDiskStorage(
  disk: Disk,
  cluster: string,
  member: string,
  options: DiskStorageOptions = {},
): MemberStorage {
  const log = new Wal({ disk, cluster, member, ...options });
  return { log, snapshots: new DiskSnapshots({ disk, cluster, member }), close: () => log.close() };
}
