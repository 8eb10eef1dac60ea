import { strict as assert } from 'node:assert';
import { decideGarbage, type OwnerState } from '../../../actors/controllers/garbage-decision.js';
import { OwnerGraph } from '../../../actors/controllers/owner-graph.js';
import { configMaps, deployments, pods, replicaSets, secrets } from '../../../actors/client/index.js';
import type { ObjectMeta, OwnerReference } from '../../../actors/objects/meta.js';
import { type ControllersWorld, controllersWorld, deployment } from './controllers-world.js';

describe('garbage decision', () => {
  const judge = (
    states: readonly OwnerState[],
    metadata: ObjectMeta = {},
    dependents = { any: false, waiting: false },
  ) => {
    const verdict = decideGarbage(
      metadata,
      states.map((state, i) => ({ state, reference: owner(`o${i}`) })),
      dependents,
    );
    switch (verdict.type) {
      case 'delete':
        return `${verdict.policy}${verdict.unblock ? ' unblocked' : ''}`;
      case 'release':
        return `release ${verdict.uids.join()}`;
      default:
        return verdict.type;
    }
  };
  const going = { deletionTimestamp: '2026-01-01T00:00:00Z' };
  const cases: readonly (readonly [string, string, string])[] = [
    ['without owners', judge([]), 'keep'],
    ['an owner exists', judge(['present']), 'keep'],
    ['its only owner is gone', judge(['absent']), 'Background'],
    ['one of two owners is gone', judge(['absent', 'present']), 'release o0'],
    ['one of two owners waits for it', judge(['present', 'waiting']), 'release o1'],
    ['nobody may say that the owner is gone', judge(['unknown']), 'keep'],
    ['one gone, one unknown', judge(['absent', 'unknown']), 'keep'],
    ['an owner waits for it', judge(['waiting']), 'Background'],
    [
      'an owner waits for it and it has dependents',
      judge(['waiting'], {}, { any: true, waiting: false }),
      'Foreground',
    ],
    ['a circle', judge(['waiting'], {}, { any: true, waiting: true }), 'Foreground unblocked'],
    ['its finalizer asks to orphan', judge(['absent'], { finalizers: ['orphan'] }), 'Orphan'],
    ['already being deleted', judge(['absent'], going), 'keep'],
  ];
  for (const [name, seen, expected] of cases) it(`${name}: ${expected}`, () => assert.equal(seen, expected));
});

describe('owner graph', () => {
  const going = { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['foregroundDeletion'] };

  it('names the dependents of what went, known or not', () => {
    const graph = new OwnerGraph();
    assert.deepEqual(graph.put(pods, { uid: 'p', ownerReferences: [owner('r')] }), ['p']);
    assert.deepEqual(graph.put(replicaSets, { uid: 'r' }), []);
    assert.deepEqual(graph.put(pods, { uid: 'p', ownerReferences: [owner('r')], labels: { a: 'b' } }), []);
    assert.deepEqual(graph.remove('r'), ['p']);
  });

  it('names an owner that waits when a dependent goes or lets go of it', () => {
    const graph = new OwnerGraph();
    graph.put(pods, { uid: 'p', ownerReferences: [owner('r')] });
    graph.put(pods, { uid: 'q', ownerReferences: [owner('r')] });
    assert.deepEqual(graph.put(replicaSets, { uid: 'r', ...going }), ['r']);
    assert.deepEqual(graph.remove('p'), ['r']);
    assert.deepEqual(graph.put(pods, { uid: 'q' }), ['r']);
    assert.deepEqual(graph.dependentsOf('r'), []);
  });
});

describe('deleting an owner', () => {
  const start = async (): Promise<ControllersWorld & { podCount: () => Promise<number> }> => {
    const all = await controllersWorld();
    const { client, run, eventually } = all;
    await run(client.create(deployments, deployment('web', 3)));
    const podCount = async () => (await client.list(pods, { namespace: 'default' })).items.length;
    await eventually(
      async () => (await client.get(deployments, 'default', 'web')).status,
      (status) => status?.readyReplicas === 3,
    );
    return { ...all, podCount };
  };

  it('in the background: it goes at once, its replica set and pods follow', async () => {
    const { client, run, eventually, gone, podCount } = await start();
    await run(client.delete(deployments, 'default', 'web', { propagationPolicy: 'Background' }));
    await gone(deployments, 'default', 'web');
    await eventually(podCount, (count) => count === 0);
    assert.equal((await run(client.list(replicaSets, { namespace: 'default' }))).items.length, 0);
  });

  it('in the foreground: it goes last', async () => {
    const { client, run, eventually, kubelets, podCount } = await start();
    kubelets.endsAfterMs = 3_000;
    await run(client.delete(deployments, 'default', 'web', { propagationPolicy: 'Foreground' }));
    const state = async () => {
      const sets = (await client.list(replicaSets, { namespace: 'default' })).items.length;
      const owners = (await client.list(deployments, { namespace: 'default' })).items.length;
      return { owners, sets, pods: await podCount() };
    };
    const seen: string[] = [];
    await eventually(
      async () => {
        const { owners, sets, pods: left } = await state();
        assert.ok(owners >= sets && (sets > 0 || left === 0), JSON.stringify({ owners, sets, left, seen }));
        seen.push(`${owners}${sets}${left}`);
        return owners;
      },
      (owners) => owners === 0,
    );
    assert.deepEqual(await run(state()), { owners: 0, sets: 0, pods: 0 });
    assert.ok(seen.includes('113'), seen.join(' '));
  });

  it('as an orphaning delete: what it owned stays, owned by nobody', async () => {
    const { client, run, gone, podCount, pass } = await start();
    await run(client.delete(deployments, 'default', 'web', { propagationPolicy: 'Orphan' }));
    await gone(deployments, 'default', 'web');
    await pass(5_000);
    const { items } = await run(client.list(replicaSets, { namespace: 'default' }));
    assert.deepEqual(
      items.map(({ metadata }) => metadata?.ownerReferences ?? []),
      [[]],
    );
    assert.equal(await run(podCount()), 3);
    // A deployment of the same kind adopts them again.
    await run(client.create(deployments, deployment('web', 3)));
    await pass(2_000);
    assert.equal((await run(client.list(replicaSets, { namespace: 'default' }))).items.length, 1);
    assert.equal(await run(podCount()), 3);
  });
});

describe('an owner reference', () => {
  it('to what never existed, or to a namesake, lets the object go; to an unknown kind it does not', async () => {
    const { client, run, gone, pass } = await controllersWorld();
    const real = await run(client.create(secrets, { metadata: { name: 'real', namespace: 'default' } }));
    const make = (name: string, reference: OwnerReference) =>
      run(
        client.create(configMaps, {
          metadata: { name, namespace: 'default', ownerReferences: [reference] },
        }),
      );
    const secret = { apiVersion: 'v1', kind: 'Secret', name: 'real' };
    await make('kept', { ...secret, uid: real.metadata?.uid ?? '' });
    await make('foreign', { apiVersion: 'example.com/v1', kind: 'Thing', name: 'x', uid: 'some-thing' });
    await make('namesake', { ...secret, uid: '00000000-0000-4000-8000-000000000000' });
    await make('lost', { ...secret, name: 'never', uid: '00000000-0000-4000-8000-000000000001' });
    await gone(configMaps, 'default', 'namesake');
    await gone(configMaps, 'default', 'lost');
    await pass(5_000);
    await run(client.get(configMaps, 'default', 'kept'));
    await run(client.get(configMaps, 'default', 'foreign'));
    await run(client.delete(secrets, 'default', 'real'));
    await gone(configMaps, 'default', 'kept');
  });

  it('circles do not hold a foreground deletion', async () => {
    const { client, run, gone } = await controllersWorld();
    const make = (name: string) =>
      run(client.create(configMaps, { metadata: { name, namespace: 'default' } }));
    const [a, b] = [await make('a'), await make('b')];
    const own = (dependent: string, { metadata }: typeof a) =>
      run(
        client.patch(configMaps, 'default', dependent, 'merge', {
          metadata: {
            ownerReferences: [
              {
                apiVersion: 'v1',
                kind: 'ConfigMap',
                name: metadata?.name,
                uid: metadata?.uid,
                blockOwnerDeletion: true,
              },
            ],
          },
        }),
      );
    await own('a', b);
    await own('b', a);
    await run(client.delete(configMaps, 'default', 'a', { propagationPolicy: 'Foreground' }));
    await gone(configMaps, 'default', 'a');
    await gone(configMaps, 'default', 'b');
  });
});

function owner(uid: string): OwnerReference {
  return { apiVersion: 'v1', kind: 'Secret', name: uid, uid };
}
