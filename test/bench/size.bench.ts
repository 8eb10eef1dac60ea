/** What 100,000 keys take beside etcd's: three members each, their memory, and a restart of all of them. */
import { etcdVersion, startEtcdGroup } from './etcd-group.js';
import { memoryOf } from './figures.js';
import { fill, pause } from './registry-load.js';
import { startStoreGroup } from './store-group.js';
import type { Bench } from './suite.js';
import { type BenchRow, compared, median } from './table.js';

const manyKeys = { count: 100_000, valueBytes: 1024 };

export const sizeBench: Bench = async ({ folder, rounds, say, nodeFlags }) => {
  const found: Record<string, { readonly rssMiB: number; readonly restartMs: number }> = {};
  const sides = {
    ours: () => startStoreGroup(`${folder}/ours`, 'silent', nodeFlags),
    ...((await etcdVersion()) !== undefined && { etcd: () => startEtcdGroup(`${folder}/etcd`) }),
  };
  for (const [side, start] of Object.entries(sides)) {
    const group = await start();
    try {
      await fill(group, manyKeys);
      await pause(5_000);
      const rssMiB = memoryOf(group.pids).rssMiB / group.pids.length;
      const restarts: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const begun = performance.now();
        await group.restart();
        restarts.push(performance.now() - begun);
      }
      found[side] = { rssMiB, restartMs: median(restarts) };
      say(
        `${side}, 100,000 keys: ${rssMiB.toFixed(0)} MiB a member, restarts ${restarts.map((ms) => ms.toFixed(0)).join(', ')} ms`,
      );
    } finally {
      await group.stop();
    }
  }
  const { ours, etcd } = found;
  const row = (name: string, of: 'rssMiB' | 'restartMs', unit: string, aim: string): BenchRow => {
    const mine = ours![of];
    return { ...(etcd ? compared(name, mine, etcd[of], unit) : { name, ours: mine, unit }), aim };
  };
  return [
    row('100,000 keys of 1 KiB: resident memory of a member', 'rssMiB', 'MiB', 'ratio <= 1.5'),
    row(
      '100,000 keys of 1 KiB: restart of all members to the first write',
      'restartMs',
      'ms',
      'ratio <= 1.0',
    ),
  ];
};
