/**
 * Links that lose, delay, double and reorder letters while objects are written. When they are whole again the cluster must
 * be too, and soon: nothing acknowledged is lost, and no watch anywhere stands still without knowing.
 */
import { strict as assert } from 'node:assert';
import {
  type ApiClient,
  ApiError,
  configMaps,
  createApiClient,
  deployments,
  pods,
} from '../../actors/client/index.js';
import type { ApiServerMessage } from '../../actors/apiserver/messages.js';
import { actorRef } from '../../actors/runtime/index.js';
import type { Deployment } from '../../actors/objects/types/apps.js';
import type { FaultRule } from '../../transport/index.js';
import { mainNode, masters } from '../../deploy/cluster-spec.js';
import { SimCluster } from './cluster.js';

const badMs = 15_000;
const writers = 12;
/** Of one writer. */
const writesMax = 10;
/** A lost letter shows within seconds; what waits for a lost answer gives up after 10 s. */
const mendedWithinMs = 25_000;

const cases: Readonly<Record<string, FaultRule['action']>> = {
  'lose a fifth of all letters': { type: 'drop', probability: 0.2 },
  'delay letters by up to 400 ms': { type: 'delay', minMs: 0, maxMs: 400 },
  'deliver a fifth of all letters twice': { type: 'duplicate', probability: 0.2 },
  'let a fifth of all letters be overtaken': { type: 'reorder', probability: 0.2, windowMs: 100 },
};

describe('the whole cluster on links that', function () {
  this.timeout(120_000);
  const seed = process.env['KABUKI_SEED'] ?? String(Date.now() % 1_000_000);

  for (const [what, action] of Object.entries(cases)) {
    it(`${what} loses no acknowledged write and is soon well after the heal`, async () => {
      try {
        await play(`${seed}`, action);
      } catch (error) {
        console.error(`replay: KABUKI_SEED=${seed} npx mocha dist/test/sim/bad-links.test.js -g '${what}'`);
        throw error;
      }
    });
  }
});

async function play(seed: string, action: FaultRule['action']): Promise<void> {
  const cluster = new SimCluster(seed, { masters: 3, workers: 2 });
  const { world, client } = cluster;
  await cluster.eventually(async () => (await client.create(deployments, web())) !== undefined);
  await rolledOut(cluster, client, 2, 60_000);
  world.network.faults.add({ id: 'bad', from: ['*'], to: ['*'], action });
  const untilMs = world.simulation.nowMs + badMs;
  const acknowledged = await world.settled(writeMeanwhile(cluster, untilMs));
  await world.run(() => world.simulation.nowMs >= untilMs);
  world.heal();
  const healedAtMs = world.simulation.nowMs;
  assert.ok(acknowledged.length > 0, 'something was written on the bad links');
  // One rollout through each apiserver: every informer on the way, and each apiserver's own cache, must have caught up.
  for (const [round, { name }] of masters(cluster.spec).entries()) {
    const own = createApiClient({
      system: cluster.adminSystem,
      apiservers: [actorRef<ApiServerMessage>(mainNode({ name }), '/apiserver')],
      userAgent: 'kubectl',
    });
    const replicas = 3 + round;
    await cluster.eventually(async () => {
      await own.patch(deployments, 'default', 'web', 'merge', { spec: { replicas } });
      return true;
    }, mendedWithinMs);
    await rolledOut(cluster, own, replicas, mendedWithinMs);
    const { items } = await world.settled(own.list(configMaps, { namespace: 'default' }));
    const present = new Set(items.map((item) => item.metadata?.name));
    assert.deepEqual(
      acknowledged.filter((written) => !present.has(written)),
      [],
    );
  }
  const tookMs = world.simulation.nowMs - healedAtMs;
  assert.ok(tookMs < mendedWithinMs + 15_000, `three rollouts after the heal took ${tookMs} ms`);
}

/** Names of what was acknowledged. Many write at once: a lost letter holds its writer up for most of the time there is. */
async function writeMeanwhile({ world, client }: SimCluster, untilMs: number): Promise<string[]> {
  const acknowledged: string[] = [];
  const write = async (writer: number) => {
    for (let i = 0; i < writesMax && world.simulation.nowMs < untilMs; i += 1) {
      const metadata = { name: `c${writer}-${i}`, namespace: 'default' };
      try {
        await client.create(configMaps, { metadata });
        acknowledged.push(metadata.name);
      } catch (error) {
        assert(error instanceof ApiError, String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  return acknowledged;
}

async function rolledOut(cluster: SimCluster, client: ApiClient, replicas: number, maxMs: number) {
  await cluster.eventually(async () => {
    const { items } = await client.list(pods, { namespace: 'default', labelSelector: 'app=web' });
    const running = items.filter(
      (pod) => pod.status?.phase === 'Running' && !pod.metadata?.deletionTimestamp,
    );
    const { status } = await client.get(deployments, 'default', 'web');
    return running.length === replicas && items.length === replicas && status?.readyReplicas === replicas;
  }, maxMs);
}

function web(): Deployment {
  return {
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'c', image: 'nginx' }] },
      },
    },
  };
}
