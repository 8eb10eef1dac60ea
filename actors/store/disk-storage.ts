/** The files of a member: its log and its snapshots in one folder, bound to the cluster and the member's name. */
import { type Disk, DiskSnapshots, type LogStorage, type SnapshotStore, Wal } from 'raft-consensus';

export interface MemberStorage {
  readonly log: LogStorage;
  readonly snapshots: SnapshotStore;
  close(): Promise<void>;
}

export function openDiskStorage(disk: Disk, cluster: string, member: string): MemberStorage {
  const log = new Wal({ disk, cluster, member });
  return { log, snapshots: new DiskSnapshots({ disk, cluster, member }), close: () => log.close() };
}
