/**
 * What users feel when a master dies: SIGKILL of the store's leader to the first write accepted through the front
 * address, and SIGKILL of the scheduler's leader to another master holding its Lease. The master comes back each time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { masters } from '../../deploy/cluster-spec.js';
import { waitFor } from '../../deploy/wait.js';
import { BenchCluster, type HttpsClient } from './cluster.js';
import type { Bench } from './suite.js';
import { type BenchRow, median } from './table.js';

const boundMs = 30_000;
const tryMs = 1_000;
const configMaps = '/api/v1/namespaces/default/configmaps';
const schedulerLease = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler';

export const failoverBench: Bench = async ({ folder, rounds, say }) => {
  const cluster = await BenchCluster.up(`${folder}/cluster`);
  const client = cluster.client(1);
  try {
    const store: number[] = [];
    const scheduler: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await settled(cluster);
      store.push(await storeFailover(cluster, client, round));
      await settled(cluster);
      scheduler.push(await schedulerFailover(cluster, client));
      say(
        `round ${round + 1}: store ${store.at(-1)?.toFixed(0)} ms, scheduler ${scheduler.at(-1)?.toFixed(0)} ms`,
      );
    }
    return [
      ...rowsOf('store leader killed to first accepted write', store),
      ...rowsOf('scheduler leader killed to next lease holder', scheduler),
    ];
  } finally {
    client.close();
    await cluster.down();
  }
};

function rowsOf(name: string, timesMs: readonly number[]): BenchRow[] {
  return [
    { name: `failover: ${name}`, ours: median(timesMs), unit: 'ms', aim: '< 3000' },
    { name: `failover: ${name}, worst`, ours: Math.max(...timesMs), unit: 'ms' },
  ];
}

async function storeFailover(cluster: BenchCluster, client: HttpsClient, round: number): Promise<number> {
  const [first] = masters(cluster.spec);
  const leader = (await cluster.storeOf(first?.name ?? '')).leader;
  if (leader === null) throw new Error('the store has no leader');
  let attempt = 0;
  return afterKill(cluster, leader, async () => {
    attempt += 1;
    const name = `failover-${round}-${attempt}`;
    const body = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
    const { status } = await client.call('POST', configMaps, body, tryMs);
    return status === 201;
  });
}

async function schedulerFailover(cluster: BenchCluster, client: HttpsClient): Promise<number> {
  const holder = async () => {
    const { status, body } = await client.call('GET', schedulerLease, undefined, tryMs);
    return status === 200
      ? ((JSON.parse(body) as { spec: { holderIdentity?: string } }).spec.holderIdentity ?? '')
      : '';
  };
  let before = '';
  await waitFor('the scheduler to have a leader', boundMs, async () => (before = await holder()) !== '');
  return afterKill(cluster, before.split('_')[0] ?? '', async () => {
    const now = await holder();
    return now !== '' && now !== before;
  });
}

/** Kills the machine, measures until `holds`, and starts it again. */
async function afterKill(
  cluster: BenchCluster,
  machine: string,
  holds: () => Promise<boolean>,
): Promise<number> {
  const begun = performance.now();
  await cluster.order('kill', machine);
  await waitFor(`the others to go on without ${machine}`, boundMs, holds, 10);
  const elapsed = performance.now() - begun;
  await cluster.order('start', machine);
  return elapsed;
}

/** Every member follows or leads, and is as far as the others; then a while for leases. */
async function settled(cluster: BenchCluster): Promise<void> {
  await waitFor('all members of the store to be level', boundMs, async () => {
    const members = await Promise.all(masters(cluster.spec).map(({ name }) => cluster.storeOf(name)));
    const leaders = new Set(members.map(({ leader }) => leader));
    const applied = members.map(({ appliedIndex }) => appliedIndex);
    return leaders.size === 1 && !leaders.has(null) && Math.max(...applied) - Math.min(...applied) < 20;
  });
  await sleep(3_000);
}
