import { strict as assert } from 'node:assert';
import { deployments, pods } from '../../actors/client/index.js';
import type { Deployment } from '../../actors/objects/types/apps.js';
import { SimCluster } from './cluster.js';

describe('the whole cluster in the simulator', () => {
  it('creates the pods of a deployment', async () => {
    const cluster = new SimCluster('walk', { masters: 3, workers: 2 });
    await cluster.eventually(async () => {
      await cluster.client.create(deployments, web(3));
      return true;
    });
    await cluster.eventually(
      async () => (await cluster.client.list(pods, { namespace: 'default' })).items.length === 3,
    );
    assert.ok(cluster.world.simulation.nowMs < 20_000);
  });
});

function web(replicas: number): Deployment {
  return {
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'c', image: 'nginx' }] },
      },
    },
  };
}
