/**
 * A store larger than the memory of its members: three of them with 2 GiB of values, of which each keeps 32 MiB in memory. What
 * they take, how fast they fill, and how long a restart of all takes.
 */
import { memoryOf } from './figures.js';
import { fillInBatches, pause, readSome } from './registry-load.js';
import { startStoreGroup } from './store-group.js';
import type { Bench } from './suite.js';

const large = { count: 420_000, valueBytes: 5 * 1024, batch: 16 };
export const largeBench: Bench = async ({ folder, say, nodeFlags }) => {
  const group = await startStoreGroup(`${folder}/large`, 'silent', nodeFlags);
  let peakMiB = 0;
  const watchMemory = setInterval(() => {
    peakMiB = Math.max(peakMiB, ...group.pids.map(residentMiB));
  }, 1_000);
  try {
    const { client } = group;
    const begun = performance.now();
    await fillInBatches(client, large, say);
    const fillSeconds = (performance.now() - begun) / 1000;
    await pause(10_000);
    const each = group.pids.map(residentMiB);
    say(`2 GiB filled in ${fillSeconds.toFixed(0)} s: ${each.map((mib) => mib.toFixed(0)).join(', ')} MiB`);
    const readMs = await readSome(client, large);
    const restarted = performance.now();
    await group.restart();
    const restartMs = performance.now() - restarted;
    await readSome(client, large);
    const afterRestart = group.pids.map(residentMiB);
    const aim = 'under 700';
    return [
      {
        name: '2 GiB of values: filled at',
        ours: (large.count * large.valueBytes) / 2 ** 20 / fillSeconds,
        unit: 'MiB/s',
      },
      {
        name: '2 GiB of values: resident memory of the largest member',
        ours: Math.max(...each),
        unit: 'MiB',
        aim,
      },
      { name: '2 GiB of values: the same, at any second', ours: peakMiB, unit: 'MiB', aim },
      {
        name: '2 GiB of values: the same, after a restart',
        ours: Math.max(...afterRestart),
        unit: 'MiB',
        aim,
      },
      { name: '2 GiB of values: linearizable read of a key, median', ours: readMs, unit: 'ms' },
      { name: '2 GiB of values: restart of all members to the first write', ours: restartMs, unit: 'ms' },
    ];
  } finally {
    clearInterval(watchMemory);
    await group.stop();
  }
};

/** 0 while it is being started again. */
function residentMiB(pid: number): number {
  try {
    return memoryOf([pid]).rssMiB;
  } catch {
    return 0;
  }
}
