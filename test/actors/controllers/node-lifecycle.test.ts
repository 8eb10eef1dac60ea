import { strict as assert } from 'node:assert';
import { decideNode, disruptionOf } from '../../../actors/controllers/node-health-decision.js';
import { decidePodGarbage } from '../../../actors/controllers/pod-gc-decision.js';
import { decideTaintEviction } from '../../../actors/controllers/taint-eviction-decision.js';
import { deployments, endpointSlices, nodes, pods, services } from '../../../actors/client/index.js';
import type { Node, Pod, Service, Taint, Toleration } from '../../../actors/objects/types/core.js';
import { controllersWorld, deployment } from './controllers-world.js';

describe('node health decision', () => {
  const view = (of: Node, silentMs: number, eviction: 'go' | 'hold' | 'stop' = 'go') =>
    decideNode({ node: of, silentMs, graceMs: 40_000, nowMs: Date.parse('2026-01-01T00:01:00Z'), eviction });

  it('leaves a node that reports alone', () => {
    const { conditions, taints, held } = view(node({ Ready: 'True' }), 39_999);
    assert.deepEqual([conditions, taints, held], [undefined, undefined, false]);
  });

  it('a silent node becomes Unknown and unreachable', () => {
    const { conditions, taints, ready } = view(node({ Ready: 'True', MemoryPressure: 'True' }), 40_000);
    assert.equal(ready?.status, 'Unknown');
    assert.deepEqual(
      conditions?.map(({ type, status, reason }) => [type, status, reason]),
      [
        ['Ready', 'Unknown', 'NodeStatusUnknown'],
        ['MemoryPressure', 'Unknown', 'NodeStatusUnknown'],
        ['DiskPressure', 'Unknown', 'NodeStatusNeverUpdated'],
        ['PIDPressure', 'Unknown', 'NodeStatusNeverUpdated'],
      ],
    );
    assert.deepEqual(taints?.map(textOf), [
      'node.kubernetes.io/unreachable:NoSchedule',
      'node.kubernetes.io/unreachable:NoExecute',
    ]);
    assert.ok(taints?.every(({ timeAdded }) => timeAdded === '2026-01-01T00:01:00Z'));
  });

  it('a node that says itself that it is not ready gets the other taint', () => {
    assert.deepEqual(view(node({ Ready: 'False' }), 0).taints?.map(textOf), [
      'node.kubernetes.io/not-ready:NoSchedule',
      'node.kubernetes.io/not-ready:NoExecute',
    ]);
  });

  it('pressure and cordons become taints, and go with their cause; foreign taints stay', () => {
    const pressed = node({ Ready: 'True', DiskPressure: 'True' }, [taint('mine', 'NoExecute')], true);
    assert.deepEqual(view(pressed, 0).taints?.map(textOf), [
      'mine:NoExecute',
      'node.kubernetes.io/disk-pressure:NoSchedule',
      'node.kubernetes.io/unschedulable:NoSchedule',
    ]);
    const back = node({ Ready: 'True' }, [
      taint('mine', 'NoExecute'),
      taint('node.kubernetes.io/unreachable', 'NoExecute'),
      taint('node.kubernetes.io/disk-pressure', 'NoSchedule'),
    ]);
    assert.deepEqual(view(back, 0).taints?.map(textOf), ['mine:NoExecute']);
  });

  it('evicts nobody new on hold, and takes evictions back on stop', () => {
    const fresh = view(node({ Ready: 'Unknown' }), 50_000, 'hold');
    assert.deepEqual(
      [fresh.taints?.map(textOf), fresh.held],
      [['node.kubernetes.io/unreachable:NoSchedule'], true],
    );
    const evicting = node({ Ready: 'Unknown' }, [
      taint('node.kubernetes.io/unreachable', 'NoSchedule'),
      taint('node.kubernetes.io/unreachable', 'NoExecute'),
    ]);
    assert.equal(view(evicting, 50_000, 'hold').taints, undefined);
    assert.deepEqual(view(evicting, 50_000, 'stop').taints?.map(textOf), [
      'node.kubernetes.io/unreachable:NoSchedule',
    ]);
  });

  it('tells one node down from most of them and from all', () => {
    const of = (up: number, down: number) =>
      disruptionOf([...Array(up).fill({ down: false }), ...Array(down).fill({ down: true })]);
    assert.deepEqual(
      [of(4, 1), of(1, 2), of(2, 3), of(0, 2), of(0, 0)],
      ['none', 'none', 'partial', 'full', 'none'],
    );
  });
});

describe('taint eviction decision', () => {
  const cases: readonly [string, readonly Toleration[], number | 'stay'][] = [
    ['no toleration: at once', [], 0],
    [
      'for a time',
      [{ key: 'down', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }],
      300_000,
    ],
    ['for ever', [{ key: 'down', operator: 'Exists' }], 'stay'],
    ['everything', [{ operator: 'Exists' }], 'stay'],
    ['another effect', [{ key: 'down', operator: 'Exists', effect: 'NoSchedule' }], 0],
    ['another value', [{ key: 'down', value: 'x' }], 0],
    ['a negative time is none', [{ key: 'down', operator: 'Exists', tolerationSeconds: -1 }], 0],
  ];
  for (const [name, tolerations, expected] of cases) {
    it(name, () => {
      const verdict = decideTaintEviction({ spec: { containers: [], tolerations: [...tolerations] } }, [
        taint('down', 'NoExecute'),
      ]);
      assert.equal(verdict.type === 'stay' ? 'stay' : verdict.afterMs, expected);
    });
  }

  it('ignores taints that only keep new pods away', () => {
    assert.equal(decideTaintEviction({}, [taint('down', 'NoSchedule')]).type, 'stay');
  });
});

describe('pod garbage', () => {
  it('finds orphans, pods deleted before they had a node, and ended ones above the bound', () => {
    const pod = (name: string, more: Pod): Pod => ({ ...more, metadata: { name, ...more.metadata } });
    const all = [
      pod('a', { spec: { containers: [], nodeName: 'gone' } }),
      pod('b', { spec: { containers: [], nodeName: 'there' } }),
      pod('c', { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }),
      pod('new', { status: { phase: 'Failed' }, metadata: { creationTimestamp: '2026-01-02T00:00:00Z' } }),
      pod('old', { status: { phase: 'Succeeded' }, metadata: { creationTimestamp: '2026-01-01T00:00:00Z' } }),
    ];
    const found = decidePodGarbage(
      all,
      (name) => (name === 'there' ? node({ Ready: 'True' }) : undefined),
      1,
    );
    const names = Object.fromEntries(
      Object.entries(found).map(([why, which]) => [why, (which as Pod[]).map((each) => each.metadata?.name)]),
    );
    assert.deepEqual(names, { orphaned: ['a'], unbound: ['c'], outOfService: [], surplus: ['old'] });
  });
});

describe('a node that stops renewing its lease', () => {
  it('becomes unreachable, its pods move on, and it is trusted again when it comes back', async () => {
    const { client, kubelets, run, eventually, pass, system } = await controllersWorld({
      nodes: ['node-1', 'node-2', 'node-3'],
    });
    const seconds = 20;
    const web = deployment('web', 3);
    web.spec!.template!.spec!.tolerations = [
      {
        key: 'node.kubernetes.io/unreachable',
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: seconds,
      },
    ];
    await run(client.create(deployments, web));
    await run(
      client.create(services, {
        metadata: { name: 'web', namespace: 'default' },
        spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
      } as Service),
    );
    const readyNodes = async () => {
      const { items } = await client.list(endpointSlices, {
        labelSelector: 'kubernetes.io/service-name=web',
      });
      return items
        .flatMap((slice) => slice.endpoints ?? [])
        .filter(({ conditions }) => conditions?.ready)
        .map(({ nodeName }) => nodeName ?? '')
        .sort();
    };
    await eventually(readyNodes, (names) => names.length === 3);
    await pass(30_000);
    assert.deepEqual((await run(client.get(nodes, undefined, 'node-2'))).spec?.taints ?? [], []);
    const fellSilentMs = system.env.clock.monotonicMs();
    kubelets.silence('node-2');
    const taints = async () =>
      ((await client.get(nodes, undefined, 'node-2')).spec?.taints ?? []).map(textOf).join();
    await eventually(taints, (text) => text.includes('unreachable:NoExecute'), 60_000);
    const passedMs = system.env.clock.monotonicMs() - fellSilentMs;
    assert.ok(passedMs >= 30_000 && passedMs < 42_000, `after ${passedMs} ms`);
    await eventually(readyNodes, (names) => names.length === 2, 2_000);
    const onSilent = async () =>
      (await client.list(pods, { fieldSelector: 'spec.nodeName=node-2' })).items.filter(
        (pod) => !pod.metadata?.deletionTimestamp,
      ).length;
    assert.equal(await run(onSilent()), 1);
    await eventually(onSilent, (count) => count === 0, (seconds + 2) * 1000);
    await eventually(readyNodes, (names) => names.length === 3 && !names.includes('node-2'), 5_000);
    await run(kubelets.revive('node-2'));
    await eventually(taints, (text) => text === '', 2_000);
  });

  it('pods of a node that vanished are collected', async () => {
    const { client, kubelets, run, eventually } = await controllersWorld();
    await run(client.create(deployments, deployment('web', 2)));
    const on = async (name: string) =>
      (await client.list(pods, { fieldSelector: `spec.nodeName=${name}` })).items;
    await eventually(
      () => on('node-1'),
      (all) => all.length === 1 && all[0]?.status?.phase === 'Running',
    );
    kubelets.silence('node-1');
    await run(client.delete(nodes, undefined, 'node-1'));
    await eventually(
      () => on('node-1'),
      (all) => all.length === 0,
      90_000,
    );
    await eventually(
      () => on('node-2'),
      (all) => all.length === 2,
    );
  });
});

function node(conditions: Record<string, string>, taints: Taint[] = [], unschedulable = false): Node {
  return {
    metadata: { name: 'node-1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { taints, ...(unschedulable && { unschedulable }) },
    status: { conditions: Object.entries(conditions).map(([type, status]) => ({ type, status })) },
  };
}

function taint(key: string, effect: string): Taint {
  return { key, effect };
}

function textOf({ key, effect }: Taint): string {
  return `${key}:${effect}`;
}
