/** The files of a member: its log, its snapshots and its values in one folder, bound to the cluster and the member's name. */
import {
  type Disk,
  DiskSnapshots,
  type LogStorage,
  type SnapshotStore,
  ValueFiles,
  Wal,
} from 'raft-consensus';

export interface MemberStorage {
  readonly log: LogStorage;
  readonly snapshots: SnapshotStore;
  /** Told when the disk fails, or a value that was read is not what was written. To be called once. */
  openValues(onFatal: (error: unknown) => void): Promise<ValueFiles>;
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
  let values: ValueFiles | undefined;
  return {
    log,
    snapshots: new DiskSnapshots({ disk, cluster, member }),
    openValues: async (onFatal) => (values = await ValueFiles.open({ disk, cluster, member, onFatal })),
    close: async () => {
      await log.close();
      await values?.close();
    },
  };
}
