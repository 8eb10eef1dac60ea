import { strict as assert } from 'node:assert';
import { configMaps, deployments, nodes, pods } from '../../actors/client/index.js';
import type { Deployment } from '../../actors/objects/types/apps.js';
import type { Node, Pod } from '../../actors/objects/types/core.js';
import { SimCluster } from './cluster.js';

describe('the whole cluster in the simulator', () => {
  it('five nodes become Ready and a deployment runs', async function () {
    this.timeout(60_000);
    const cluster = new SimCluster('walk', { masters: 3, workers: 2 });
    await allReady(cluster, 5);
    await create(cluster, 'web', 3);
    await running(cluster, 'web', 3);
    assert.ok(cluster.world.simulation.nowMs < 20_000, `took ${cluster.world.simulation.nowMs} virtual ms`);
  });

  it('reaches the desired state although the store leader is cut off, and after the heal too', async function () {
    this.timeout(60_000);
    await play('cut', 3);
  });

  it('a killed master comes back and nothing acknowledged is lost', async function () {
    this.timeout(60_000);
    const cluster = new SimCluster('kill', { masters: 3, workers: 2 });
    await create(cluster, 'before', 2);
    const leader = await cluster.storeLeader();
    cluster.kill(leader);
    await create(cluster, 'after', 2);
    await running(cluster, 'before', 2);
    await running(cluster, 'after', 2);
    cluster.start(leader);
    await allReady(cluster, 5);
    await running(cluster, 'before', 2);
  });

  it('letters that the network doubles make nothing twice', async function () {
    this.timeout(60_000);
    const cluster = new SimCluster('doubled', { masters: 3, workers: 2 });
    await allReady(cluster, 5);
    cluster.world.network.faults.add({
      id: 'doubled',
      from: ['*'],
      to: ['*'],
      action: { type: 'duplicate', probability: 1 },
    });
    const created = { metadata: { generateName: 'once-', namespace: 'default', labels: { once: 'yes' } } };
    for (let i = 0; i < 5; i += 1) {
      await cluster.eventually(() => cluster.client.create(configMaps, created).then(() => true));
    }
    const { items } = await cluster.world.settled(
      cluster.client.list(configMaps, { labelSelector: 'once=yes' }),
    );
    assert.equal(items.length, 5);
    await create(cluster, 'web', 3);
    await running(cluster, 'web', 3);
  });

  it('the same seed gives the same journal byte for byte, and another seed another one', async function () {
    this.timeout(120_000);
    const first = await play('replay', 2);
    assert.ok(
      first.includes('/scheduler') && first.includes('StoreTxn') && first.split('\n').length > 2_000,
      'the journal tells',
    );
    assert.equal(await play('replay', 2), first);
    assert.notEqual(await play('another', 2), first);
  });
});

/** Creates a deployment, cuts the store leader's machine off, scales, heals, and returns the journal. */
async function play(seed: string, replicas: number): Promise<string> {
  const cluster = new SimCluster(seed, { masters: 3, workers: 2 });
  await create(cluster, 'web', replicas);
  await running(cluster, 'web', replicas);
  const leader = await cluster.storeLeader();
  cluster.world.isolate(leader);
  await cluster.eventually(async () => {
    const patch = { spec: { replicas: replicas + 2 } };
    await cluster.client.patch(deployments, 'default', 'web', 'merge', patch);
    return true;
  });
  await running(cluster, 'web', replicas + 2);
  cluster.world.heal();
  await allReady(cluster, 5);
  await running(cluster, 'web', replicas + 2);
  return cluster.world.journal.toNdjson();
}

async function create(cluster: SimCluster, name: string, replicas: number): Promise<void> {
  await cluster.eventually(async () => {
    const there = await cluster.client.list(deployments, { namespace: 'default' });
    if (there.items.some((item) => item.metadata?.name === name)) return true;
    await cluster.client.create(deployments, deployment(name, replicas));
    return true;
  });
}

async function running(cluster: SimCluster, app: string, count: number): Promise<void> {
  await cluster.eventually(async () => {
    const { items } = await cluster.client.list(pods, { namespace: 'default', labelSelector: `app=${app}` });
    return items.filter(isRunning).length === count && items.length === count;
  }, 120_000);
}

async function allReady(cluster: SimCluster, count: number): Promise<void> {
  await cluster.eventually(async () => {
    const { items } = await cluster.client.list(nodes);
    return items.filter(isReady).length === count;
  }, 120_000);
}

function isRunning(pod: Pod): boolean {
  return pod.status?.phase === 'Running' && !pod.metadata?.deletionTimestamp;
}

function isReady(node: Node): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

function deployment(name: string, replicas: number): Deployment {
  return {
    metadata: { name, namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'c', image: 'nginx' }] },
      },
    },
  };
}
