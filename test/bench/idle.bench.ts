/** What a cluster costs that nobody uses: memory and CPU of its five processes, and of the launcher with the front. */
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchCluster } from './cluster.js';
import { cpuMsOf, memoryOf } from './figures.js';
import type { Bench } from './suite.js';

/** A minute, or the last compilations of start-up count as idling. */
const settleMs = 60_000;
const watchedMs = 30_000;

export const idleBench: Bench = async ({ folder, say }) => {
  const cluster = await BenchCluster.up(`${folder}/cluster`);
  try {
    const pids = await cluster.pids();
    await sleep(settleMs);
    const before = pids.map((pid) => cpuMsOf([pid]));
    const launcherBefore = cpuMsOf([cluster.launcherPid]);
    const begun = performance.now();
    await sleep(watchedMs);
    const elapsed = performance.now() - begun;
    const shares = pids.map((pid, i) => ((cpuMsOf([pid]) - (before[i] ?? 0)) / elapsed) * 100);
    const launcherShare = ((cpuMsOf([cluster.launcherPid]) - launcherBefore) / elapsed) * 100;
    const { rssMiB, pssMiB } = memoryOf(pids);
    const { rssMiB: launcherMiB } = memoryOf([cluster.launcherPid]);
    say(`CPU of each process: ${shares.map((share) => `${share.toFixed(1)}%`).join(' ')}`);
    say(`memory of each process: ${pids.map((pid) => `${memoryOf([pid]).rssMiB.toFixed(0)} MiB`).join(' ')}`);
    const cpu = shares.reduce((sum, share) => sum + share, 0);
    return [
      { name: 'idle: resident memory of the five processes', ours: rssMiB, unit: 'MiB', aim: '< 500' },
      { name: 'idle: the same, shared pages counted once (PSS)', ours: pssMiB, unit: 'MiB' },
      { name: 'idle: resident memory of the launcher', ours: launcherMiB, unit: 'MiB' },
      { name: 'idle: CPU of the five processes', ours: cpu, unit: '% of a core', aim: '< 10' },
      { name: 'idle: CPU of the launcher', ours: launcherShare, unit: '% of a core' },
    ];
  } finally {
    await cluster.down();
  }
};
