/**
 * Our store against Debian's etcd behind the same API, etcd's own: `kabuki store run` and `etcd`, three members each, on this
 * machine's loopback and disk, loaded by the same client in alternating rounds.
 */
import { memoryOf, syncLatencyMs } from './figures.js';
import { type GrpcGroup, startEtcd, startOurs } from './grpc-groups.js';
import { failover, puts, putsWhileCompacting, reads, watchDelivery } from './grpc-load.js';
import type { PutRound } from './put-load.js';
import type { Bench, BenchOptions } from './suite.js';
import { type BenchRow, compared, median } from './table.js';

const warmUpMs = 4_000;
const watchEveryMs = 5;

interface Sides {
  readonly ours: GrpcGroup;
  readonly etcd: GrpcGroup | undefined;
}

export const grpcBench: Bench = async (options) => {
  const { folder, etcd: version, nodeFlags, client } = options;
  const sides: Sides = {
    ours: await startOurs(`${folder}/grpc-ours`, nodeFlags, client),
    etcd: version === undefined ? undefined : await startEtcd(`${folder}/grpc-etcd`, client),
  };
  try {
    for (const group of groupsOf(sides)) await puts(group, 256, warmUpMs);
    const rows: BenchRow[] = [
      { name: 'disk: fdatasync after a small append, median', ours: syncLatencyMs(folder), unit: 'ms' },
    ];
    for (const clients of [1, 64, 256]) rows.push(...(await putRows(sides, clients, options)));
    rows.push(memoryRow(sides, options));
    rows.push(...(await readRows(sides, 64, options)));
    rows.push(await compactionRow(sides, options));
    rows.push(await watchRow(sides, options));
    rows.push(await failoverRow(sides, options));
    return rows;
  } finally {
    await Promise.all(groupsOf(sides).map((group) => group.stop()));
  }
};

function groupsOf({ ours, etcd }: Sides): readonly GrpcGroup[] {
  return etcd ? [ours, etcd] : [ours];
}

/** The rounds of both sides in turn; of each the values that count. */
async function alternating<T>(
  { ours, etcd }: Sides,
  { rounds, say }: BenchOptions,
  what: string,
  measure: (group: GrpcGroup) => Promise<T>,
  describe: (result: T) => string,
): Promise<{ readonly ours: readonly T[]; readonly etcd: readonly T[] | undefined }> {
  const found = { ours: [] as T[], etcd: etcd && ([] as T[]) };
  for (let round = 0; round < rounds; round++) {
    for (const [side, group] of [
      ['ours', ours],
      ['etcd', etcd],
    ] as const) {
      if (!group) continue;
      const result = await measure(group);
      found[side]?.push(result);
      say(`${side}, ${what}: ${describe(result)}`);
    }
  }
  return found;
}

async function putRows(sides: Sides, clients: number, options: BenchOptions): Promise<BenchRow[]> {
  const name = `put grpc ${clients} ${clients === 1 ? 'client' : 'clients'}`;
  const measure = (group: GrpcGroup) => puts(group, clients, options.seconds * 1000);
  const found = await alternating(sides, options, name, measure, describeRound);
  return [
    rowOf(name, found, (round) => round.perSecond, 'puts/s', clients === 1 ? undefined : '>= 1.2'),
    rowOf(`${name}, p50`, found, (round) => round.p50Ms, 'ms', clients === 1 ? '<= 1.0' : undefined),
    rowOf(`${name}, p99`, found, (round) => round.p99Ms, 'ms'),
    rowOf(`${name}, CPU of the servers`, found, (round) => round.serverCpuMs, 'ms/1000 puts'),
    rowOf(`${name}, written to disk`, found, (round) => round.bytesWritten, 'bytes/put'),
    rowOf(`${name}, fsyncs of the servers`, found, (round) => round.fsyncs, 'fsyncs/put'),
  ];
}

function memoryRow({ ours, etcd }: Sides, { say }: BenchOptions): BenchRow {
  const name = 'resident memory of the servers after the puts';
  const rss = (group: GrpcGroup) => memoryOf(group.pids()).rssMiB;
  const row = etcd ? compared(name, rss(ours), rss(etcd), 'MiB') : { name, ours: rss(ours), unit: 'MiB' };
  say(`${name}: ${row.ours.toFixed(0)} MiB`);
  return row;
}

async function readRows(sides: Sides, clients: number, options: BenchOptions): Promise<BenchRow[]> {
  const name = `get grpc ${clients} clients, linearizable`;
  const measure = (group: GrpcGroup) => reads(group, clients, options.seconds * 1000);
  const found = await alternating(sides, options, name, measure, describeRound);
  return [
    rowOf(name, found, (round) => round.perSecond, 'gets/s', '>= 0.8'),
    rowOf(`${name}, p99`, found, (round) => round.p99Ms, 'ms'),
    rowOf(`${name}, CPU of the servers`, found, (round) => round.serverCpuMs, 'ms/1000 gets'),
  ];
}

async function compactionRow(sides: Sides, options: BenchOptions): Promise<BenchRow> {
  const name = 'put grpc 64 clients while compacting, p99';
  const measure = (group: GrpcGroup) => putsWhileCompacting(group, 64, options.seconds * 1000);
  const found = await alternating(sides, options, name, measure, describeRound);
  return rowOf(name, found, (round) => round.p99Ms, 'ms', '<= 0.5');
}

async function watchRow(sides: Sides, options: BenchOptions): Promise<BenchRow> {
  const name = `watch grpc, ${1000 / watchEveryMs} puts/s, call to event, p99`;
  const measure = async (group: GrpcGroup) => {
    const delays = await watchDelivery(group, options.seconds * 1000, watchEveryMs);
    return delays[Math.floor(delays.length * 0.99)] ?? Number.NaN;
  };
  const found = await alternating(sides, options, name, measure, (ms) => `${ms.toFixed(1)} ms`);
  return rowOf(name, found, (ms) => ms, 'ms', '<= 1.0');
}

async function failoverRow(sides: Sides, options: BenchOptions): Promise<BenchRow> {
  const name = 'leader killed to first put, worst';
  const found = await alternating(sides, options, name, failover, (ms) => `${ms.toFixed(0)} ms`);
  const worst = { ours: [Math.max(...found.ours)], etcd: found.etcd && [Math.max(...found.etcd)] };
  return rowOf(name, worst, (ms) => ms, 'ms', '<= 0.5');
}

function rowOf<T>(
  name: string,
  found: { readonly ours: readonly T[]; readonly etcd: readonly T[] | undefined },
  value: (result: T) => number,
  unit: string,
  aim?: string,
): BenchRow {
  const ours = median(found.ours.map(value));
  const row = found.etcd ? compared(name, ours, median(found.etcd.map(value)), unit) : { name, ours, unit };
  return { ...row, ...(aim !== undefined && { aim }) };
}

function describeRound(round: PutRound): string {
  const { perSecond, p50Ms, p99Ms, serverCpuMs } = round;
  return `${perSecond.toFixed(0)}/s, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, CPU of the servers ${serverCpuMs.toFixed(0)} ms`;
}
