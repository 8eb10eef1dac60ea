/** Snapshots that take their time between two chunks: others write meanwhile, and members crash. */
import type { SnapshotMeta, SnapshotSink } from 'raft-consensus';
import type { MemberStorage } from '../../../actors/store/index.js';

/** Writing a small snapshot takes no time of its own. */
export function withSlowSnapshots(storage: MemberStorage, pause: () => Promise<void>): MemberStorage {
  const { snapshots } = storage;
  const create = async (meta: SnapshotMeta): Promise<SnapshotSink> => {
    const sink = await snapshots.create(meta);
    const write = sink.write.bind(sink);
    sink.write = async (chunk) => {
      await write(chunk);
      await pause();
    };
    return sink;
  };
  return { ...storage, snapshots: { create, open: () => snapshots.open() } };
}
