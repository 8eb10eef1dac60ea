import { strict as assert } from 'node:assert';
import { labelSelectorFromMap } from '../../../actors/objects/index.js';
import type { Pod } from '../../../actors/objects/types/core.js';
import {
  type Budget,
  defaultProfile,
  findVictims,
  podInfo,
  type Preemption,
  schedulePod,
  type Snapshot,
} from '../../../actors/scheduler/index.js';
import { seededRandom } from '../client/manual-env.js';
import { node, pod, type PodShape, snapshotOf } from './cluster-builder.js';

const two = [node('a'), node('b')];

function on(nodeName: string, name: string, cpu: string, priority: number, more: PodShape = {}): Pod {
  return pod(name, { nodeName, requests: { cpu }, priority, ...more });
}

function preempt(snapshot: Snapshot, shape: PodShape, budgets: readonly Budget[] = []): Preemption {
  const incoming = podInfo(pod('high', { priority: 100, ...shape }));
  const refusal = schedulePod(incoming, snapshot, seededRandom(1));
  assert(refusal.type === 'unschedulable');
  const { unresolvable } = refusal;
  const random = seededRandom(2);
  return findVictims({ pod: incoming, snapshot, profile: defaultProfile, unresolvable, budgets, random });
}

function chosen(preemption: Preemption): string {
  assert(preemption.type === 'victims', JSON.stringify(preemption));
  const names = preemption.victims.map(({ pod: victim }) => victim.metadata?.name);
  return `${preemption.node}: ${names.join(' ')}`;
}

describe('preemption', () => {
  it('takes away as little as will do and leaves the snapshot as it was', () => {
    const snapshot = snapshotOf(two, [
      on('a', 'x', '1', 5),
      on('a', 'y', '2', 1),
      on('a', 'z', '1', 3),
      on('b', 'full', '4', 200),
    ]);
    assert.equal(chosen(preempt(snapshot, { requests: { cpu: '2' } })), 'a: y');
    assert.equal(snapshot.node('a')?.podCount, 3);
    assert.equal(snapshot.node('a')?.requested.get('cpu'), 4000);
  });

  it('prefers the node whose worst loss is the least important', () => {
    const snapshot = snapshotOf(two, [on('a', 'x', '4', 50), on('b', 'y', '2', 10), on('b', 'z', '2', 10)]);
    assert.equal(chosen(preempt(snapshot, { requests: { cpu: '4' } })), 'b: y z');
  });

  it('prefers the smaller loss among equals', () => {
    const snapshot = snapshotOf(two, [on('a', 'x', '4', 10), on('b', 'y', '2', 10), on('b', 'z', '2', 10)]);
    assert.equal(chosen(preempt(snapshot, { requests: { cpu: '4' } })), 'a: x');
  });

  it('respects disruption budgets where it can, and breaks them where it must', () => {
    const web = { labels: { app: 'web' } };
    const budget: Budget = {
      namespace: 'default',
      selector: labelSelectorFromMap({ app: 'web' }),
      disruptionsAllowed: 0,
    };
    const protectedNode = [on('a', 'x', '4', 1, web), on('b', 'y', '4', 50)];
    assert.equal(
      chosen(preempt(snapshotOf(two, protectedNode), { requests: { cpu: '4' } }, [budget])),
      'b: y',
    );
    const only = [on('a', 'x', '4', 1, web), on('b', 'y', '4', 200)];
    assert.equal(chosen(preempt(snapshotOf(two, only), { requests: { cpu: '4' } }, [budget])), 'a: x');
  });

  it('never takes equals, nor anything for a pod that may not preempt', () => {
    const snapshot = snapshotOf(two, [on('a', 'x', '4', 100), on('b', 'y', '4', 100)]);
    assert.deepEqual(preempt(snapshot, { requests: { cpu: '1' } }), {
      type: 'none',
      message: '0/2 nodes are available: 2 No preemption victims found for incoming pod.',
    });
    const low = snapshotOf(two, [on('a', 'x', '4', 1), on('b', 'y', '4', 1)]);
    const never = preempt(low, { requests: { cpu: '1' }, preemptionPolicy: 'Never' });
    assert.deepEqual(never, { type: 'none', message: 'not eligible due to preemptionPolicy=Never.' });
  });

  it('leaves nodes alone that no eviction would help', () => {
    const tainted = two.map((each) => ({ ...each, spec: { taints: [{ key: 't', effect: 'NoSchedule' }] } }));
    assert.deepEqual(preempt(snapshotOf(tainted, [on('a', 'x', '4', 1)]), {}), {
      type: 'none',
      message: '0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
    });
  });

  it('removes whoever is in the way of anti-affinity', () => {
    const far = {
      affinity: {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'noisy' } } },
          ],
        },
      },
    };
    const noisy = { labels: { app: 'noisy' } };
    const snapshot = snapshotOf(two, [
      on('a', 'x', '1', 1, noisy),
      on('b', 'y', '1', 200, noisy),
      on('a', 'z', '1', 1),
    ]);
    assert.equal(chosen(preempt(snapshot, far)), 'a: x');
  });

  it('waits while its victims are leaving', () => {
    const leaving = on('a', 'x', '4', 1);
    leaving.metadata!.deletionTimestamp = '2026-01-01T00:00:00Z';
    const snapshot = snapshotOf(two, [leaving, on('b', 'y', '4', 1)]);
    snapshot.nominate(podInfo(pod('high', { priority: 100 })), 'a');
    assert.equal(preempt(snapshot, { requests: { cpu: '4' } }).type, 'waiting');
  });

  it('keeps the room that it made from pods that are no more important', () => {
    const snapshot = snapshotOf([node('a')]);
    snapshot.nominate(podInfo(pod('high', { priority: 100, requests: { cpu: '3' } })), 'a');
    const decide = (priority: number) =>
      schedulePod(podInfo(pod('other', { priority, requests: { cpu: '2' } })), snapshot, seededRandom(1))
        .type;
    assert.equal(decide(100), 'unschedulable');
    assert.equal(decide(101), 'node');
    assert.equal(snapshot.node('a')?.podCount, 0);
  });
});
