import { strict as assert } from 'node:assert';
import { deployments, pods, replicaSets } from '../../../actors/client/index.js';
import type { Deployment } from '../../../actors/objects/types/apps.js';
import type { Pod } from '../../../actors/objects/types/core.js';
import { controllersWorld, deployment } from './controllers-world.js';

const podsOf = (all: readonly Pod[], image: string) =>
  all.filter((pod) => pod.spec?.containers[0]?.image === image && !pod.metadata?.deletionTimestamp);
const isReady = (pod: Pod) =>
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;

async function started(replicas: number, more: object = {}) {
  const all = await controllersWorld();
  const { client, run, eventually } = all;
  await run(client.create(deployments, deployment('web', replicas, 'web:1', more)));
  const find = () => client.get(deployments, 'default', 'web');
  const listPods = async () => (await client.list(pods, { namespace: 'default' })).items;
  const settled = (count: number) =>
    eventually(find, ({ metadata, status }) => isSettled(count, metadata?.generation ?? 0, status), 60_000);
  await settled(replicas);
  return { ...all, find, listPods, settled };
}

function isSettled(count: number, generation: number, status: Deployment['status']): boolean {
  return (
    status?.observedGeneration === generation &&
    (status.replicas ?? 0) === count &&
    (status.updatedReplicas ?? 0) === count &&
    (status.availableReplicas ?? 0) === count
  );
}

const newImage = (image: string) => ({
  spec: { template: { spec: { containers: [{ name: 'web', image }] } } },
});

describe('a deployment', () => {
  it('makes three pods through a replica set', async () => {
    const { client, run, listPods } = await started(3);
    const { items } = await run(client.list(replicaSets, { namespace: 'default' }));
    assert.equal(items.length, 1);
    const all = await run(listPods());
    assert.equal(all.length, 3);
    for (const pod of all) {
      assert.equal(pod.metadata?.ownerReferences?.[0]?.uid, items[0]?.metadata?.uid);
      assert.ok(pod.metadata?.labels?.['pod-template-hash']);
    }
  });

  it('scales up and down', async () => {
    const { client, run, settled, listPods } = await started(1);
    for (const replicas of [5, 2, 0]) {
      await run(client.patch(deployments, 'default', 'web', 'merge', { spec: { replicas } }));
      await settled(replicas);
      await run(listPods());
    }
  });

  it('replaces a pod that was deleted', async () => {
    const { client, run, eventually, listPods } = await started(2);
    const before = (await run(listPods())).map(({ metadata }) => metadata?.name ?? '');
    await run(client.delete(pods, 'default', before[0] ?? ''));
    await eventually(listPods, (all) => {
      const names = all.filter(isReady).map(({ metadata }) => metadata?.name);
      return names.length === 2 && !names.includes(before[0]);
    });
  });

  it('rolls to a new image without ever having fewer ready pods than allowed', async () => {
    const { client, run, eventually, settled, listPods, kubelets } = await started(4);
    kubelets.endsAfterMs = 200;
    await run(client.patch(deployments, 'default', 'web', 'strategic', newImage('web:2')));
    await eventually(
      async () => {
        const all = await listPods();
        const ready = all.filter((pod) => isReady(pod) && !pod.metadata?.deletionTimestamp).length;
        assert.ok(ready >= 3, `${ready} ready of 4`);
        const there = all.filter((pod) => !pod.metadata?.deletionTimestamp).length;
        assert.ok(there <= 5, `${there} pods of 4`);
        return all;
      },
      (all) => podsOf(all, 'web:2').filter(isReady).length === 4 && podsOf(all, 'web:1').length === 0,
    );
    await settled(4);
  });

  it('Recreate ends all old pods before the first new one', async () => {
    const { client, run, eventually, settled, listPods, kubelets } = await started(3, {
      strategy: { type: 'Recreate' },
    });
    kubelets.endsAfterMs = 500;
    await run(client.patch(deployments, 'default', 'web', 'strategic', newImage('web:2')));
    await eventually(
      async () => {
        const images = new Set((await listPods()).map((pod) => pod.spec?.containers[0]?.image));
        assert.ok(images.size <= 1, [...images].join());
        return images;
      },
      (images) => images.has('web:2'),
    );
    await settled(3);
  });

  it('rolls back by the template of an old replica set, which becomes the newest revision', async () => {
    const { client, run, settled, find } = await started(2);
    await run(client.patch(deployments, 'default', 'web', 'strategic', newImage('web:2')));
    await settled(2);
    await run(client.patch(deployments, 'default', 'web', 'strategic', newImage('web:1')));
    await settled(2);
    const { metadata } = await run(find());
    assert.equal(metadata?.annotations?.['deployment.kubernetes.io/revision'], '3');
    assert.equal((await run(client.list(replicaSets, { namespace: 'default' }))).items.length, 2);
  });
});
