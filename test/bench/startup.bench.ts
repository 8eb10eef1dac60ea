/** From `kabuki up` in an empty folder to five Ready nodes, and where the time goes. */
import { BenchCluster } from './cluster.js';
import { cpuMsOf } from './figures.js';
import type { Bench } from './suite.js';
import { median } from './table.js';

export const startupBench: Bench = async ({ folder, rounds, say }) => {
  const parts = {
    ready: [] as number[],
    processes: [] as number[],
    answers: [] as number[],
    again: [] as number[],
    cpu: [] as number[],
  };
  for (let round = 0; round < rounds; round++) {
    const path = `${folder}/cluster-${round}`;
    let begun = performance.now();
    const cluster = await BenchCluster.up(path);
    parts.ready.push((performance.now() - begun) / 1000);
    parts.processes.push(cluster.printedAt('processes run'));
    parts.answers.push(cluster.printedAt('nodes are Ready'));
    parts.cpu.push(cpuMsOf([cluster.launcherPid, ...(await cluster.pids())]) / 1000);
    await cluster.down();
    begun = performance.now();
    const again = await BenchCluster.up(path);
    parts.again.push((performance.now() - begun) / 1000);
    await again.down();
    say(
      Object.entries(parts)
        .map(([part, times]) => `${part} ${times.at(-1)?.toFixed(1)} s`)
        .join(', '),
    );
  }
  return [
    { name: 'startup: kabuki up to five Ready nodes', ours: median(parts.ready), unit: 's', aim: '< 4' },
    { name: 'startup: until the five processes run', ours: median(parts.processes), unit: 's' },
    { name: 'startup: until the API answers (store has a leader)', ours: median(parts.answers), unit: 's' },
    { name: 'startup: again, with the data of the last run', ours: median(parts.again), unit: 's' },
    { name: 'startup: CPU time until then, all processes', ours: median(parts.cpu), unit: 's' },
  ];
};
