/** What wins when several nodes would do. */
import { strict as assert } from 'node:assert';
import type { Node, Pod } from '../../../actors/objects/types/core.js';
import { nodesToFind, podInfo, schedulePod } from '../../../actors/scheduler/index.js';
import { seededRandom } from '../client/manual-env.js';
import { node, pod, type PodShape, snapshotOf } from './cluster-builder.js';

const zone = 'topology.kubernetes.io/zone';

/** The nodes that win over many draws. */
function winners(shape: PodShape, nodes: readonly Node[], there: readonly Pod[] = []): string {
  const snapshot = snapshotOf(nodes, there);
  const found = new Set<string>();
  for (let seed = 0; seed < 30; seed += 1) {
    const decision = schedulePod(podInfo(pod('new', shape)), snapshot, seededRandom(seed));
    assert(decision.type === 'node', JSON.stringify(decision));
    found.add(decision.node);
  }
  return [...found].sort().join('');
}

const plain = ['a', 'b', 'c'].map((name) => node(name));

describe('scheduler scores', () => {
  it('draw lots among equals', () => {
    assert.equal(winners({}, plain), 'abc');
  });

  it('prefer the emptier node', () => {
    const there = [pod('x', { nodeName: 'a', requests: { cpu: '2', memory: '4Gi' } })];
    assert.equal(winners({ requests: { cpu: '100m' } }, plain, there), 'bc');
  });

  it('count pods that ask for nothing as a little', () => {
    assert.equal(winners({}, plain, [pod('x', { nodeName: 'a' })]), 'bc');
  });

  it('prefer that CPU and memory are used evenly', () => {
    const there = [
      pod('x', { nodeName: 'a', requests: { cpu: '2' } }),
      pod('y', { nodeName: 'b', requests: { memory: '4Gi' } }),
      pod('z', { nodeName: 'c', requests: { cpu: '4', memory: '8Gi' } }),
    ];
    assert.equal(winners({ requests: { memory: '2Gi' } }, plain, there), 'a');
  });

  it('avoid soft taints', () => {
    const [a, ...rest] = plain;
    const soft = { ...a!, spec: { taints: [{ key: 'slow', effect: 'PreferNoSchedule' }] } };
    assert.equal(winners({}, [soft, ...rest]), 'bc');
    assert.equal(winners({ tolerations: [{ operator: 'Exists' }] }, [soft, ...rest]), 'abc');
  });

  it('follow preferred node affinity by weight', () => {
    const nodes = [node('a', { labels: { disk: 'ssd' } }), node('b', { labels: { fast: 'yes' } }), node('c')];
    const prefer = (key: string, weight: number) => ({
      weight,
      preference: { matchExpressions: [{ key, operator: 'Exists' }] },
    });
    const shape = {
      affinity: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [prefer('disk', 10), prefer('fast', 40)],
        },
      },
    };
    assert.equal(winners(shape, nodes), 'b');
  });

  it('spread the pods of one controller over hosts by default', () => {
    const there = ['a', 'b'].map((name) => pod(name, { nodeName: name, owner: 'rs' }));
    const others = [pod('o', { nodeName: 'c', owner: 'another' })];
    assert.equal(winners({ owner: 'rs' }, plain, [...there, ...others]), 'c');
  });

  it('spread softly over zones', () => {
    const nodes = [
      node('a', { labels: { [zone]: 'z1' } }),
      node('b', { labels: { [zone]: 'z1' } }),
      node('c', { labels: { [zone]: 'z2' } }),
      node('d'),
    ];
    const shape: PodShape = {
      labels: { app: 'web' },
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: zone,
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: { app: 'web' } },
        },
      ],
    };
    const there = [pod('x', { nodeName: 'a', labels: { app: 'web' } })];
    const balance = [pod('y', { nodeName: 'b' }), pod('z', { nodeName: 'c' }), pod('w', { nodeName: 'd' })];
    assert.equal(winners(shape, nodes, [...there, ...balance]), 'c');
  });

  it('follow preferred pod affinity and anti-affinity, of both sides', () => {
    const term = (app: string) => ({
      weight: 100,
      podAffinityTerm: { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app } } },
    });
    const cache = pod('cache', { nodeName: 'a', labels: { app: 'cache' } });
    const near = {
      affinity: { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [term('cache')] } },
    };
    const far = {
      affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [term('cache')] } },
    };
    assert.equal(winners(near, plain, [cache]), 'a');
    assert.equal(winners(far, plain, [cache]), 'bc');
    const shy = pod('shy', {
      nodeName: 'a',
      affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [term('web')] } },
    });
    const level = ['b', 'c'].map((name) => pod(name, { nodeName: name }));
    assert.equal(winners({ labels: { app: 'web' } }, plain, [shy, ...level]), 'bc');
  });

  it('like nodes that have the image already', () => {
    const images = [{ names: ['big:latest'], sizeBytes: 2_000 * 1024 * 1024 }];
    const nodes = [node('a', { images }), node('b', { images }), node('c')];
    assert.equal(winners({ image: 'big' }, nodes), 'ab');
  });

  it('look at all of a small cluster and at a part of a large one', () => {
    assert.deepEqual([3, 100, 250, 1000, 5000, 20_000].map(nodesToFind), [3, 100, 120, 420, 500, 1000]);
  });
});
