import { strict as assert } from 'node:assert';
import { daemonPodSpec, decideDaemonSet } from '../../../actors/controllers/daemon-set-decision.js';
import { controllerRevisions, daemonSets, pods } from '../../../actors/client/index.js';
import type { DaemonSet, RollingUpdateDaemonSet } from '../../../actors/objects/types/apps.js';
import type { Node, Pod, Taint } from '../../../actors/objects/types/core.js';
import { controllersWorld, podSpec } from './controllers-world.js';

const nowMs = Date.parse('2026-01-01T00:10:00Z');

describe('daemon set decision', () => {
  const judge = (of: DaemonSet, nodes: readonly Node[], all: readonly Pod[]) => {
    const { create, remove, status } = decideDaemonSet(of, nodes, all, 'new', nowMs);
    return { create, remove: remove.map(({ metadata }) => metadata?.name), status };
  };

  it('makes a pod on each node that it fits, and none where a taint keeps it away', () => {
    const nodes = [node('a'), node('b'), node('c', [{ key: 'mine', effect: 'NoSchedule' }])];
    const { create, status } = judge(set(), nodes, [pod('p', 'a')]);
    assert.deepEqual(create, ['b']);
    assert.deepEqual(
      [status.desiredNumberScheduled, status.currentNumberScheduled, status.numberReady],
      [2, 1, 1],
    );
  });

  it('stays on nodes in trouble, leaves nodes that evict it and nodes that are gone', () => {
    const down = node('a', [{ key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' }]);
    const evicting = node('b', [{ key: 'mine', effect: 'NoExecute' }]);
    const all = [pod('p', 'a'), pod('q', 'b'), pod('r', 'gone')];
    assert.deepEqual(judge(set(), [down, evicting], all).remove, ['q', 'r']);
  });

  it('respects the node selector', () => {
    const picky = set({ template: { spec: { containers: [], nodeSelector: { disk: 'ssd' } } } });
    const fast = { ...node('a'), metadata: { name: 'a', labels: { disk: 'ssd' } } };
    assert.deepEqual(judge(picky, [fast, node('b')], []).create, ['a']);
  });

  it('replaces at most maxUnavailable old pods at a time, broken ones first of all', () => {
    const nodes = ['a', 'b', 'c'].map((name) => node(name));
    const old = nodes.map(({ metadata }) => pod(`p-${metadata?.name}`, metadata?.name ?? '', 'old'));
    assert.deepEqual(judge(set(), nodes, old).remove, ['p-a']);
    const broken = [...old.slice(0, 2), pod('p-c', 'c', 'old', false)];
    assert.deepEqual(judge(set(), nodes, broken).remove, ['p-c']);
    assert.deepEqual(judge(set({ updateStrategy: { type: 'OnDelete' } }), nodes, old).remove, []);
  });

  it('with a surge the new pod is ready before the old one goes', () => {
    const surging = rolling({ maxSurge: 1, maxUnavailable: 0 });
    const nodes = [node('a'), node('b')];
    const old = [pod('a0', 'a', 'old'), pod('b0', 'b', 'old')];
    assert.deepEqual(judge(surging, nodes, old).create, ['a']);
    const waiting = judge(surging, nodes, [...old, pod('a1', 'a', 'new', false)]);
    assert.deepEqual([waiting.create, waiting.remove], [[], []]);
    assert.deepEqual(judge(surging, nodes, [...old, pod('a1', 'a')]).remove, ['a0']);
  });

  it('binds its pod to the node by affinity, beside what the template asks', () => {
    const { affinity, tolerations } = daemonPodSpec({ spec: { containers: [] } }, 'a');
    assert.deepEqual(affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution, {
      nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] }],
    });
    assert.ok(tolerations?.some(({ key }) => key === 'node.kubernetes.io/unschedulable'));
  });
});

describe('a daemon set', () => {
  it('runs one pod per node, keeps its history, and rolls to a new image', async () => {
    const { client, run, eventually, kubelets } = await controllersWorld();
    kubelets.obeysAffinity = true;
    await run(
      client.create(daemonSets, {
        metadata: { name: 'agent', namespace: 'default' },
        spec: {
          selector: { matchLabels: { app: 'agent' } },
          template: { metadata: { labels: { app: 'agent' } }, spec: podSpec('agent:1') },
        },
      }),
    );
    const find = () => client.get(daemonSets, 'default', 'agent');
    await eventually(find, ({ status }) => status?.numberAvailable === 2);
    const { items } = await run(client.list(pods, { namespace: 'default' }));
    assert.deepEqual(items.map(({ spec }) => spec?.nodeName).sort(), ['node-1', 'node-2']);
    const image = { spec: { template: { spec: { containers: [{ name: 'web', image: 'agent:2' }] } } } };
    await run(client.patch(daemonSets, 'default', 'agent', 'strategic', image));
    await eventually(
      find,
      ({ metadata, status }) =>
        status?.observedGeneration === metadata?.generation &&
        status?.updatedNumberScheduled === 2 &&
        status.numberAvailable === 2,
    );
    const revisions = await run(client.list(controllerRevisions, { namespace: 'default' }));
    assert.deepEqual(revisions.items.map(({ revision }) => revision).sort(), [1, 2]);
  });
});

function set(spec: Partial<DaemonSet['spec']> = {}): DaemonSet {
  return { metadata: { name: 'd', uid: 'd' }, spec: { selector: {}, template: {}, ...spec } };
}

function rolling(rollingUpdate: RollingUpdateDaemonSet): DaemonSet {
  return set({ updateStrategy: { type: 'RollingUpdate', rollingUpdate } });
}

function node(name: string, taints: Taint[] = []): Node {
  return { metadata: { name }, spec: { taints } };
}

function pod(name: string, nodeName: string, hash = 'new', ready = true): Pod {
  return {
    metadata: { name, labels: { 'controller-revision-hash': hash } },
    spec: { containers: [], nodeName },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}
