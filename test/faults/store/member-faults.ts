/**
 * Loaded by Node before a member's own code (`--import`): puts the write-back disk between the member and its folder, and
 * plants a bug where the test wants one. The product knows nothing of it.
 */
import { basename, dirname } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { RealDisk } from 'raft-consensus';
import { seededRandom } from '../../../actors/runtime/index.js';
import { DiskOrders } from './disk-orders.js';
import { WriteBackDisk } from './write-back-disk.js';

// The member lives on a thread of its own.
if (!isMainThread) {
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
