/**
 * Puts per second of our store over ZeroMQ against Debian's etcd over gRPC: three members each, on this machine's
 * loopback and disk, the same keys and values, the same closed loop, in alternating rounds. One Node process makes the
 * load for both, so the cost of the client counts on both sides; the CPU time of the servers does not depend on it.
 */
import { compared, type BenchRow, median } from './table.js';
import { startEtcdGroup } from './etcd-group.js';
import { syncLatencyMs } from './figures.js';
import { loadPuts, type PutRound, type PutTarget } from './put-load.js';
import type { Bench } from './suite.js';
import { startStoreGroup } from './store-group.js';

const clientCounts = [1, 64, 256];
/** What runs for days is measured warm: compiled, its files and connections open. */
const warmUpMs = 4_000;

export const storeBench: Bench = async ({ folder, rounds, seconds, say, nodeFlags, etcd }) => {
  const rows: BenchRow[] = [
    { name: 'disk: fdatasync after a small append, median', ours: syncLatencyMs(folder), unit: 'ms' },
  ];
  const sides: Record<'traced' | 'untraced', PutTarget> & { etcd?: PutTarget } = {
    traced: await startStoreGroup(`${folder}/ours-traced`, 'file', nodeFlags),
    untraced: await startStoreGroup(`${folder}/ours-untraced`, 'silent', nodeFlags),
    ...(etcd !== undefined && { etcd: await startEtcdGroup(`${folder}/etcd`) }),
  };
  const targets = Object.entries(sides);
  try {
    for (const [, target] of targets) await loadPuts(target, 256, warmUpMs);
    for (const clients of clientCounts) {
      const found = new Map<string, PutRound[]>(targets.map(([side]) => [side, []]));
      for (let round = 0; round < rounds; round++) {
        for (const [side, target] of targets) {
          const result = await loadPuts(target, clients, seconds * 1000);
          found.get(side)?.push(result);
          say(`${side}, ${clients} clients: ${describe(result)}`);
        }
      }
      rows.push(...rowsOf(clients, found));
    }
  } finally {
    await Promise.all(targets.map(([, target]) => target.stop()));
  }
  return rows;
};

function rowsOf(clients: number, found: ReadonlyMap<string, readonly PutRound[]>): BenchRow[] {
  const middle = (side: string, field: keyof PutRound) => {
    const rounds = found.get(side);
    return rounds && median(rounds.map((round) => round[field]));
  };
  const many = `${clients} ${clients === 1 ? 'client' : 'clients'}`;
  const row = (name: string, side: string, field: keyof PutRound, unit: string): BenchRow => {
    const ours = middle(side, field) as number;
    const peer = middle('etcd', field);
    return peer === undefined ? { name, ours, unit } : compared(name, ours, peer, unit);
  };
  return [
    row(`put zeromq ${many}`, 'traced', 'perSecond', 'puts/s'),
    row(`put zeromq ${many}, p50`, 'traced', 'p50Ms', 'ms'),
    row(`put zeromq ${many}, p99`, 'traced', 'p99Ms', 'ms'),
    row(`put zeromq ${many}, CPU of the servers`, 'traced', 'serverCpuMs', 'ms/1000 puts'),
    row(`put zeromq ${many}, CPU of the client`, 'traced', 'clientCpuMs', 'ms/1000 puts'),
    row(`put zeromq ${many}, without journal`, 'untraced', 'perSecond', 'puts/s'),
    row(`put zeromq ${many}, without journal, CPU of the servers`, 'untraced', 'serverCpuMs', 'ms/1000 puts'),
  ];
}

function describe(round: PutRound): string {
  return (
    `${round.perSecond.toFixed(0)} puts/s, p50 ${round.p50Ms.toFixed(1)} ms, p99 ${round.p99Ms.toFixed(1)} ms, ` +
    `CPU per 1,000: servers ${round.serverCpuMs.toFixed(0)} ms, client ${round.clientCpuMs.toFixed(0)} ms`
  );
}
