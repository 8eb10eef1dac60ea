import { strict as assert } from 'node:assert';
import { decideStatefulSet } from '../../../actors/controllers/stateful-set-decision.js';
import { persistentVolumeClaims, pods, statefulSets } from '../../../actors/client/index.js';
import type { StatefulSet, StatefulSetSpec } from '../../../actors/objects/types/apps.js';
import type { Pod } from '../../../actors/objects/types/core.js';
import { controllersWorld, namesOf, podSpec } from './controllers-world.js';

describe('stateful set decision', () => {
  const judge = (of: StatefulSet, all: readonly Pod[], update = 'db-new') => {
    const { create, remove, status } = decideStatefulSet(of, all, update, 0);
    return {
      create: create.map(({ ordinal, revision }) => `${ordinal} ${revision}`),
      remove: remove.map(({ metadata }) => metadata?.name),
      status,
    };
  };

  it('makes the next pod only when the one before is ready', () => {
    assert.deepEqual(judge(set({ replicas: 3 }), []).create, ['0 db-new']);
    assert.deepEqual(judge(set({ replicas: 3 }), [pod(0, { ready: false })]).create, []);
    assert.deepEqual(judge(set({ replicas: 3 }), [pod(0)]).create, ['1 db-new']);
  });

  it('all at once when the set says Parallel', () => {
    const { create } = judge(set({ replicas: 3, podManagementPolicy: 'Parallel' }), [pod(1)]);
    assert.deepEqual(create, ['0 db-new', '2 db-new']);
  });

  it('ends the highest ordinal first, and one at a time', () => {
    const all = [pod(0), pod(1), pod(2)];
    assert.deepEqual(judge(set({ replicas: 1 }), all).remove, ['db-2']);
    assert.deepEqual(judge(set({ replicas: 1 }), [pod(0), pod(1), pod(2, { going: true })]).remove, []);
  });

  it('updates from the last down to the partition', () => {
    const old = (ordinal: number) => pod(ordinal, { revision: 'db-old' });
    const rolling = set({ replicas: 3 }, 'db-old');
    assert.deepEqual(judge(rolling, [old(0), old(1), old(2)]).remove, ['db-2']);
    assert.deepEqual(judge(rolling, [old(0), old(1), pod(2, { ready: false })]).remove, []);
    assert.deepEqual(judge(rolling, [old(0), old(1), pod(2)]).remove, ['db-1']);
    const partition = { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } };
    const held = set({ replicas: 3, ...partition }, 'db-old');
    assert.deepEqual(judge(held, [old(0), old(1), pod(2)]).remove, []);
    assert.deepEqual(judge(held, [old(0)]).create, ['1 db-old']);
  });

  it('the update revision becomes the current one when all pods have it', () => {
    const all = [pod(0), pod(1)];
    const { status } = judge(set({ replicas: 2 }, 'db-old'), all);
    assert.deepEqual([status.currentRevision, status.currentReplicas], ['db-new', 2]);
  });

  it('replaces a pod that failed', () => {
    assert.deepEqual(judge(set({ replicas: 1 }), [pod(0, { phase: 'Failed' })]).remove, ['db-0']);
  });
});

describe('a stateful set', () => {
  it('has pods and claims by name, in order, and rolls in reverse', async () => {
    const { client, run, eventually } = await controllersWorld();
    await run(
      client.create(statefulSets, {
        metadata: { name: 'db', namespace: 'default' },
        spec: {
          serviceName: 'db',
          replicas: 2,
          selector: { matchLabels: { app: 'db' } },
          template: { metadata: { labels: { app: 'db' } }, spec: podSpec('db:1') },
          volumeClaimTemplates: [
            {
              metadata: { name: 'data' },
              spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
            },
          ],
        },
      }),
    );
    const find = () => client.get(statefulSets, 'default', 'db');
    const settled = (count: number) =>
      eventually(
        find,
        ({ metadata, status }) =>
          status?.observedGeneration === metadata?.generation &&
          (status?.availableReplicas ?? 0) === count &&
          status?.updatedReplicas === count &&
          status.currentRevision === status.updateRevision,
      );
    await settled(2);
    const listPods = async () => (await client.list(pods, { namespace: 'default' })).items;
    const [first] = await run(listPods());
    assert.equal(first?.spec?.hostname, 'db-0');
    assert.equal(first?.spec?.volumes?.[0]?.persistentVolumeClaim?.claimName, 'data-db-0');
    assert.deepEqual(namesOf(await run(listPods())), ['db-0', 'db-1']);
    const image = { spec: { template: { spec: { containers: [{ name: 'web', image: 'db:2' }] } } } };
    await run(client.patch(statefulSets, 'default', 'db', 'strategic', image));
    await settled(2);
    assert.ok((await run(listPods())).every(({ spec }) => spec?.containers[0]?.image === 'db:2'));
    await run(client.patch(statefulSets, 'default', 'db', 'merge', { spec: { replicas: 1 } }));
    await settled(1);
    const claims = await run(client.list(persistentVolumeClaims, { namespace: 'default' }));
    assert.deepEqual(namesOf(claims.items), ['data-db-0', 'data-db-1']);
  });
});

function set(spec: Partial<StatefulSetSpec>, currentRevision?: string): StatefulSet {
  return {
    metadata: { name: 'db', uid: 'db' },
    spec: { selector: {}, template: {}, ...spec },
    ...(currentRevision !== undefined && { status: { replicas: 0, currentRevision } }),
  };
}

interface PodOptions {
  readonly ready?: boolean;
  readonly going?: boolean;
  readonly revision?: string;
  readonly phase?: string;
}

function pod(ordinal: number, options: PodOptions = {}): Pod {
  const { ready = true, going = false, revision = 'db-new', phase = 'Running' } = options;
  return {
    metadata: {
      name: `db-${ordinal}`,
      labels: { 'controller-revision-hash': revision },
      ...(going && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    },
    status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}
