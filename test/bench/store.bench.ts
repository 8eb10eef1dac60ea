/**
 * Puts per second of our store over ZeroMQ against Debian's etcd over gRPC: three members each, on this machine's
 * loopback and disk, the same keys and values, the same closed loop, in alternating rounds. One Node process makes the
 * load for both, so the cost of the client counts on both sides; the CPU time of the servers does not depend on it.
 */
import { compared, type BenchRow, median } from './table.js';
import { startEtcdGroup } from './etcd-group.js';
import { syncLatencyMs } from './figures.js';
import { loadGets, loadPuts, type PutRound, type PutTarget } from './put-load.js';
import type { Bench, BenchOptions } from './suite.js';
import { startStoreGroup } from './store-group.js';

const clientCounts = [1, 64, 256];
/** What runs for days is measured warm: compiled, its files and connections open. */
const warmUpMs = 4_000;

export const storeBench: Bench = async (options) => {
  const { folder, seconds, nodeFlags, etcd } = options;
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
      const what = clients === 1 ? '1 client' : `${clients} clients`;
      const puts = await inTurn(targets, options, `put, ${what}`, (target) =>
        loadPuts(target, clients, seconds * 1000),
      );
      rows.push(...putRows(what, puts));
    }
    const gets = await inTurn(targets, options, 'get, 64 clients', (target) =>
      loadGets(target, 64, seconds * 1000),
    );
    rows.push(...getRows('64 clients', gets));
  } finally {
    await Promise.all(targets.map(([, target]) => target.stop()));
  }
  return rows;
};

type Found = ReadonlyMap<string, readonly PutRound[]>;

async function inTurn(
  targets: readonly (readonly [string, PutTarget])[],
  { rounds, say }: BenchOptions,
  what: string,
  measure: (target: PutTarget) => Promise<PutRound>,
): Promise<Found> {
  const found = new Map<string, PutRound[]>(targets.map(([side]) => [side, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [side, target] of targets) {
      const result = await measure(target);
      found.get(side)?.push(result);
      say(`${side}, ${what}: ${describe(result)}`);
    }
  }
  return found;
}

/** Without journals, as `store run` starts a store unless told otherwise, and as etcd runs; with them beside it. */
function putRows(clients: string, found: Found): BenchRow[] {
  const name = `put zeromq ${clients}`;
  const traced = `${name}, with journal`;
  return [
    rowOf(found, name, 'untraced', 'perSecond', 'puts/s', clients === '1 client' ? undefined : '>= 3.0'),
    rowOf(found, `${name}, p50`, 'untraced', 'p50Ms', 'ms', clients === '1 client' ? '<= 1.0' : undefined),
    rowOf(found, `${name}, p99`, 'untraced', 'p99Ms', 'ms'),
    rowOf(found, `${name}, CPU of the servers`, 'untraced', 'serverCpuMs', 'ms/1000 puts'),
    rowOf(found, `${name}, CPU of the client`, 'untraced', 'clientCpuMs', 'ms/1000 puts'),
    rowOf(found, `${name}, written to disk`, 'untraced', 'bytesWritten', 'bytes/put'),
    rowOf(found, traced, 'traced', 'perSecond', 'puts/s'),
    rowOf(found, `${traced}, p50`, 'traced', 'p50Ms', 'ms'),
    rowOf(found, `${traced}, CPU of the servers`, 'traced', 'serverCpuMs', 'ms/1000 puts'),
  ];
}

function getRows(clients: string, found: Found): BenchRow[] {
  const name = `get zeromq ${clients}, linearizable`;
  return [
    rowOf(found, name, 'untraced', 'perSecond', 'gets/s', '>= 2.0'),
    rowOf(found, `${name}, p99`, 'untraced', 'p99Ms', 'ms'),
    rowOf(found, `${name}, CPU of the servers`, 'untraced', 'serverCpuMs', 'ms/1000 gets'),
    rowOf(found, `${name}, with journal`, 'traced', 'perSecond', 'gets/s'),
  ];
}

function rowOf(
  found: Found,
  name: string,
  side: string,
  field: keyof PutRound,
  unit: string,
  aim?: string,
): BenchRow {
  const middle = (of: string) => {
    const rounds = found.get(of);
    return rounds && median(rounds.map((round) => round[field]));
  };
  const ours = middle(side) as number;
  const peer = middle('etcd');
  const row = peer === undefined ? { name, ours, unit } : compared(name, ours, peer, unit);
  return { ...row, ...(aim !== undefined && { aim }) };
}

function describe(round: PutRound): string {
  return (
    `${round.perSecond.toFixed(0)} puts/s, p50 ${round.p50Ms.toFixed(1)} ms, p99 ${round.p99Ms.toFixed(1)} ms, ` +
    `CPU per 1,000: servers ${round.serverCpuMs.toFixed(0)} ms, client ${round.clientCpuMs.toFixed(0)} ms`
  );
}
