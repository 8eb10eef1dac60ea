import { strict as assert } from 'node:assert';
import { decideBudget } from '../../../actors/controllers/disruption-decision.js';
import { ApiError, deployments, podDisruptionBudgets, pods } from '../../../actors/client/index.js';
import type { Pod } from '../../../actors/objects/types/core.js';
import type { PodDisruptionBudgetSpec } from '../../../actors/objects/types/policy.js';
import { controllersWorld, deployment } from './controllers-world.js';

const nowMs = Date.parse('2026-01-01T00:10:00Z');

describe('disruption decision', () => {
  const cases: readonly (readonly [string, PodDisruptionBudgetSpec, number, number, number])[] = [
    ['minAvailable 2 of 3 ready', { minAvailable: 2 }, 3, 3, 1],
    ['minAvailable 3 of 3 ready', { minAvailable: 3 }, 3, 3, 0],
    ['minAvailable 50% of 5, all ready', { minAvailable: '50%' }, 5, 5, 2],
    ['maxUnavailable 1 of 3 ready', { maxUnavailable: 1 }, 3, 3, 1],
    ['maxUnavailable 1, one not ready', { maxUnavailable: 1 }, 3, 2, 0],
    ['maxUnavailable 30% of 10 rounds up', { maxUnavailable: '30%' }, 10, 10, 3],
    ['no pods', { minAvailable: 0 }, 0, 0, 0],
  ];
  for (const [name, spec, total, ready, allowed] of cases) {
    it(`${name}: ${allowed} may go`, () => {
      const all = Array.from({ length: total }, (_, i) => pod(`p${i}`, i < ready));
      const { status } = decideBudget({ spec }, all, total, nowMs);
      assert.equal(status.disruptionsAllowed, allowed);
      assert.equal(status.currentHealthy, ready);
      assert.equal(status.conditions?.[0]?.status, allowed > 0 ? 'True' : 'False');
    });
  }

  it('an eviction under way is not counted as healthy until it happened or took too long', () => {
    const all = [pod('a', true), pod('b', true)];
    const budget = (time: string) => ({
      spec: { minAvailable: 1 },
      status: { disruptedPods: { a: time, gone: time } },
    });
    const fresh = decideBudget(budget('2026-01-01T00:09:00Z'), all, 2, nowMs);
    assert.deepEqual(fresh.status.disruptedPods, { a: '2026-01-01T00:09:00Z' });
    assert.deepEqual([fresh.status.disruptionsAllowed, fresh.requeueAfterMs], [0, 60_000]);
    const stale = decideBudget(budget('2026-01-01T00:07:00Z'), all, 2, nowMs);
    assert.deepEqual([stale.status.disruptionsAllowed, stale.status.disruptedPods], [1, undefined]);
  });

  it('when the size is not known nothing may be disrupted', () => {
    const { status } = decideBudget(
      { spec: { maxUnavailable: 1 } },
      [pod('a', true)],
      new Error('no'),
      nowMs,
    );
    assert.deepEqual([status.disruptionsAllowed, status.conditions?.[0]?.reason], [0, 'SyncFailed']);
  });
});

describe('a disruption budget', () => {
  it('lets one pod be evicted, and the next only when the first is replaced', async () => {
    const { client, run, eventually, kubelets } = await controllersWorld();
    await run(client.create(deployments, deployment('web', 2)));
    await run(
      client.create(podDisruptionBudgets, {
        metadata: { name: 'web', namespace: 'default' },
        spec: { maxUnavailable: 1, selector: { matchLabels: { app: 'web' } } },
      }),
    );
    const allowed = async () =>
      (await client.get(podDisruptionBudgets, 'default', 'web')).status?.disruptionsAllowed ?? 0;
    await eventually(allowed, (count) => count === 1);
    kubelets.getsReady = () => false;
    const [first, second] = (await run(client.list(pods, { namespace: 'default' }))).items;
    const evict = ({ metadata }: Pod) =>
      run(
        client.createSubresource(pods, 'default', metadata?.name ?? '', 'eviction', {
          apiVersion: 'policy/v1',
          kind: 'Eviction',
          metadata: { name: metadata?.name, namespace: 'default' },
        }),
      );
    await evict(first!);
    await assert.rejects(evict(second!), (error) => error instanceof ApiError && error.status === 429);
    await eventually(
      async () => (await client.list(pods, { namespace: 'default' })).items,
      (all) =>
        all.length === 2 &&
        all.every((each) => each.metadata?.name !== first?.metadata?.name && each.status?.podIP),
    );
    assert.equal(await run(allowed()), 0);
    const { items } = await run(client.list(pods, { namespace: 'default' }));
    for (const each of items) await run(kubelets.setReady(each, true));
    await eventually(allowed, (count) => count === 1);
  });
});

function pod(name: string, ready: boolean): Pod {
  return {
    metadata: { name },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}
