/**
 * Recovery of a store that has lost its quorum for good (raft/recovery.ts), in the folder of a survivor. The others of the
 * folder are marked as removed, so that no start brings two groups to life.
 */
import { memberId, RealDisk, recoverLostQuorum, type Recovery } from 'raft-consensus';
import { openDiskStorage, writeAddress } from '../actors/store/index.js';
import { type ClusterSpec, machineNamed, storeNode } from './cluster-spec.js';
import type { DataDir } from './data-dir.js';
import { lockDataDir } from './data-lock.js';
import { addressOf } from './store-peers.js';

/** Nothing may run in the folder. Rejects with what is wrong with the data, and then nothing has changed. */
export async function recoverStore(dir: DataDir, name: string): Promise<Recovery> {
  const spec = dir.readSpec();
  if (!spec.store) {
    throw new Error(
      `${dir.path} holds a Kubernetes cluster, whose masters all have a member: only a store that runs alone can be recovered so`,
    );
  }
  const machine = machineNamed(spec, name);
  if (dir.isRemoved(name)) throw new Error(`${name} was removed from its store: its data counts for nothing`);
  const lock = lockDataDir(dir);
  try {
    const storage = openDiskStorage(await RealDisk.open(`${dir.machineDir(name)}/store`), spec.id, name);
    const address = writeAddress({ node: storeNode(machine), ...addressOf(spec, machine) });
    const { log, snapshots } = storage;
    try {
      const recovery = await recoverLostQuorum({ id: memberId(name), address, storage: log, snapshots });
      for (const other of spec.machines) if (other.name !== name) dir.markRemoved(other.name);
      dir.writeSpec(aloneOf(spec, name));
      return recovery;
    } finally {
      await storage.close();
    }
  } finally {
    lock.release();
  }
}

function aloneOf(spec: ClusterSpec, name: string): ClusterSpec {
  const { store } = spec;
  const machines = spec.machines.filter((machine) => machine.name === name);
  // Whom it once joined it must not meet again.
  return { ...spec, machines, ...(store && { store: { ...store, ...(store.joined && { joined: [] }) } }) };
}
