/**
 * Loaded by Node before a member's own code (`--import`): puts the write-back disk between the member and its folder, lets it
 * take snapshots often and keep little log behind them, so that restarts and those who lag meet them, and plants a bug where the
 * test wants one. The product knows nothing of it.
 */
import { basename, dirname } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { Raft, RealDisk } from 'raft-consensus';
import { seededRandom } from '../../../actors/runtime/index.js';
import { DiskOrders } from './disk-orders.js';
import { WriteBackDisk } from './write-back-disk.js';

// The member lives on a thread of its own.
if (!isMainThread) {
  const start = Raft.start.bind(Raft);
  const often = { snapshotEveryEntries: 200, trailingEntriesMax: 20 };
  Raft.start = (options) => start({ ...options, limits: { ...options.limits, ...often } });
  const open = RealDisk.open.bind(RealDisk);
  RealDisk.open = async (folder) => {
    const machine = dirname(folder);
    const orders = new DiskOrders(machine);
    const { seed, bugs } = orders.read();
    for (const bug of bugs) (await import('./planted.js')).plant(bug, basename(machine));
    const random = seededRandom(seed, `disk of ${basename(machine)}`);
    const disk = await WriteBackDisk.over(await open(folder), { orders, random });
    return disk as unknown as RealDisk;
  };
}
