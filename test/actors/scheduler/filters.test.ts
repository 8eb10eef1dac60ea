/** One row per rule of a filter: which of the nodes a, b and c are left, and what is said of the others. */
import { strict as assert } from 'node:assert';
import type {
  Node,
  Pod,
  PodAffinityTerm,
  TopologySpreadConstraint,
} from '../../../actors/objects/types/core.js';
import { type Decision, podInfo, schedulePod } from '../../../actors/scheduler/index.js';
import { seededRandom } from '../client/manual-env.js';
import { node, pod, type PodShape, snapshotOf } from './cluster-builder.js';

interface Row {
  readonly says: string;
  readonly pod: PodShape;
  readonly nodes?: readonly Node[];
  readonly there?: readonly Pod[];
  /** Nodes that must be possible, all of them. */
  readonly fits?: string;
  /** The reasons, when none is. */
  readonly because?: string;
}

const zone = 'topology.kubernetes.io/zone';
const three = [
  node('a', { labels: { disk: 'ssd', [zone]: 'z1', cores: '4' } }),
  node('b', { labels: { disk: 'hdd', [zone]: 'z1', cores: '8' } }),
  node('c', { labels: { [zone]: 'z2' } }),
];
const tainted = (effect: string) =>
  three.map((each) => ({ ...each, spec: { taints: [{ key: 'gpu', value: 'yes', effect }] } }));
const term = (labels: Record<string, string>, topologyKey: string, more: Partial<PodAffinityTerm> = {}) => ({
  topologyKey,
  labelSelector: { matchLabels: labels },
  ...more,
});
const near = (...terms: PodAffinityTerm[]) => ({
  affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const far = (...terms: PodAffinityTerm[]) => ({
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const nodeTerms = (...nodeSelectorTerms: object[]) => ({
  affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
});
const expression = (key: string, operator: string, ...values: string[]) => ({
  matchExpressions: [{ key, operator, values }],
});
const spread = (more: Partial<TopologySpreadConstraint>): PodShape => ({
  labels: { app: 'web' },
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: zone,
      whenUnsatisfiable: 'DoNotSchedule',
      labelSelector: { matchLabels: { app: 'web' } },
      ...more,
    },
  ],
});
const web = (name: string, nodeName: string, more: PodShape = {}) =>
  pod(name, { labels: { app: 'web' }, nodeName, ...more });
const mainSpread = "node(s) didn't match pod topology spread constraints";

const rows: Readonly<Record<string, readonly Row[]>> = {
  'node name': [
    { says: 'takes only the node that it names', pod: { nodeName: 'b' }, fits: 'b' },
    {
      says: 'and no other',
      pod: { nodeName: 'x' },
      because: "3 node(s) didn't match the requested node name",
    },
  ],
  'node unschedulable': [
    {
      says: 'keeps off cordoned nodes',
      pod: {},
      nodes: three.map((each) => ({ ...each, spec: { unschedulable: true } })),
      because: '3 node(s) were unschedulable',
    },
    {
      says: 'unless the pod tolerates just that',
      pod: { tolerations: [{ key: 'node.kubernetes.io/unschedulable', operator: 'Exists' }] },
      nodes: three.map((each) => ({ ...each, spec: { unschedulable: true } })),
      fits: 'abc',
    },
  ],
  'taints and tolerations': [
    {
      says: 'NoSchedule keeps away',
      pod: {},
      nodes: tainted('NoSchedule'),
      because: '3 node(s) had untolerated taint(s)',
    },
    {
      says: 'NoExecute keeps away',
      pod: {},
      nodes: tainted('NoExecute'),
      because: '3 node(s) had untolerated taint(s)',
    },
    { says: 'PreferNoSchedule does not', pod: {}, nodes: tainted('PreferNoSchedule'), fits: 'abc' },
    {
      says: 'a toleration must equal the value',
      pod: { tolerations: [{ key: 'gpu', value: 'no' }] },
      nodes: tainted('NoSchedule'),
      because: '3 node(s) had untolerated taint(s)',
    },
    {
      says: 'and then it does',
      pod: { tolerations: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] },
      nodes: tainted('NoSchedule'),
      fits: 'abc',
    },
    {
      says: 'Exists without a key tolerates everything',
      pod: { tolerations: [{ operator: 'Exists' }] },
      nodes: tainted('NoExecute'),
      fits: 'abc',
    },
    {
      says: 'a toleration of another effect does not count',
      pod: { tolerations: [{ key: 'gpu', operator: 'Exists', effect: 'NoExecute' }] },
      nodes: tainted('NoSchedule'),
      because: '3 node(s) had untolerated taint(s)',
    },
  ],
  'node affinity': [
    { says: 'nodeSelector', pod: { nodeSelector: { disk: 'ssd' } }, fits: 'a' },
    {
      says: 'terms are alternatives',
      pod: nodeTerms(expression('disk', 'In', 'ssd'), expression(zone, 'In', 'z2')),
      fits: 'ac',
    },
    {
      says: 'NotIn matches without the label',
      pod: nodeTerms(expression('disk', 'NotIn', 'ssd')),
      fits: 'bc',
    },
    { says: 'Exists', pod: nodeTerms(expression('disk', 'Exists')), fits: 'ab' },
    { says: 'DoesNotExist', pod: nodeTerms(expression('disk', 'DoesNotExist')), fits: 'c' },
    { says: 'Gt compares numbers', pod: nodeTerms(expression('cores', 'Gt', '4')), fits: 'b' },
    { says: 'Lt compares numbers', pod: nodeTerms(expression('cores', 'Lt', '8')), fits: 'a' },
    {
      says: 'fields name a node',
      pod: nodeTerms({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['c'] }] }),
      fits: 'c',
    },
    {
      says: 'an empty term matches nothing',
      pod: nodeTerms({}),
      because: "3 node(s) didn't match Pod's node affinity/selector",
    },
  ],
  'host ports': [
    {
      says: 'cannot be shared',
      pod: { hostPort: 80 },
      there: [pod('x', { hostPort: 80, nodeName: 'a' })],
      fits: 'bc',
    },
    {
      says: 'differ',
      pod: { hostPort: 81 },
      there: [pod('x', { hostPort: 80, nodeName: 'a' })],
      fits: 'abc',
    },
    {
      says: 'are said to be taken',
      pod: { hostPort: 80 },
      there: ['a', 'b', 'c'].map((name) => pod(name, { hostPort: 80, nodeName: name })),
      because: "3 node(s) didn't have free ports for the requested pod ports",
    },
  ],
  resources: [
    {
      says: 'must be free',
      pod: { requests: { cpu: '3' } },
      there: [pod('x', { requests: { cpu: '1001m' }, nodeName: 'b' })],
      fits: 'ac',
    },
    {
      says: 'may be used up exactly',
      pod: { requests: { cpu: '3' } },
      there: [pod('x', { requests: { cpu: '1' }, nodeName: 'b' })],
      fits: 'abc',
    },
    {
      says: 'are named, all of them',
      pod: { requests: { cpu: '5', memory: '9Gi' } },
      because: '3 Insufficient cpu, 3 Insufficient memory',
    },
    {
      says: 'may be extended ones',
      pod: { requests: { 'example.com/gpu': '1' } },
      because: '3 Insufficient example.com/gpu',
    },
    {
      says: 'include the number of pods',
      pod: {},
      nodes: three.map((each) => ({
        ...each,
        status: { allocatable: { cpu: '4', memory: '1Gi', pods: '0' } },
      })),
      because: '3 Too many pods',
    },
    {
      says: 'of init containers count by their peak, of sidecars always',
      pod: {
        requests: { cpu: '1' },
        initContainers: [
          { name: 'side', restartPolicy: 'Always', resources: { requests: { cpu: '1' } } },
          { name: 'init', resources: { requests: { cpu: '3' } } },
        ],
        overhead: { cpu: '1m' },
      },
      because: '3 Insufficient cpu',
    },
  ],
  'topology spread': [
    { says: 'keeps the skew', pod: spread({}), there: [web('x', 'a')], fits: 'c' },
    { says: 'allows what maxSkew allows', pod: spread({ maxSkew: 2 }), there: [web('x', 'a')], fits: 'abc' },
    {
      says: 'does not count pods of other namespaces',
      pod: spread({}),
      there: [web('x', 'a', { namespace: 'other' })],
      fits: 'abc',
    },
    { says: 'needs the label', pod: spread({ topologyKey: 'disk' }), fits: 'ab' },
    {
      says: 'says that the label is missing',
      pod: spread({ topologyKey: 'rack' }),
      because: `3 ${mainSpread} (missing required label)`,
    },
    {
      says: 'with fewer domains than minDomains the least is 0',
      pod: spread({ minDomains: 3 }),
      there: [web('x', 'a'), web('y', 'c')],
      because: `3 ${mainSpread}`,
    },
    {
      says: 'leaves out nodes that the pod cannot have',
      pod: { ...spread({}), nodeSelector: { [zone]: 'z1' } },
      there: [web('x', 'a')],
      fits: 'ab',
    },
    {
      says: 'unless told to count them',
      pod: { ...spread({ nodeAffinityPolicy: 'Ignore' }), nodeSelector: { [zone]: 'z1' } },
      there: [web('x', 'a')],
      because: `1 node(s) didn't match Pod's node affinity/selector, 2 ${mainSpread}`,
    },
    {
      says: 'tells revisions apart by matchLabelKeys',
      pod: { ...spread({ matchLabelKeys: ['rev'] }), labels: { app: 'web', rev: '2' } },
      there: [web('x', 'a', { labels: { app: 'web', rev: '1' } })],
      fits: 'abc',
    },
  ],
  'inter-pod affinity': [
    {
      says: 'wants company in the zone',
      pod: near(term({ app: 'web' }, zone)),
      there: [web('x', 'a')],
      fits: 'ab',
    },
    {
      says: 'finds none',
      pod: near(term({ app: 'web' }, zone)),
      because: "3 node(s) didn't match pod affinity rules",
    },
    {
      says: 'lets the first of its kind in',
      pod: { ...near(term({ app: 'web' }, zone)), labels: { app: 'web' } },
      fits: 'abc',
    },
    {
      says: 'looks only into its own namespace',
      pod: near(term({ app: 'web' }, zone)),
      there: [web('x', 'a', { namespace: 'other' })],
      because: "3 node(s) didn't match pod affinity rules",
    },
    {
      says: 'or into those that it names',
      pod: near(term({ app: 'web' }, zone, { namespaces: ['other'] })),
      there: [web('x', 'a', { namespace: 'other' })],
      fits: 'ab',
    },
    {
      says: 'or selects by label',
      pod: near(term({ app: 'web' }, zone, { namespaceSelector: { matchLabels: { team: 'b' } } })),
      there: [web('x', 'a', { namespace: 'other' })],
      fits: 'ab',
    },
    {
      says: 'keeps away from a zone',
      pod: far(term({ app: 'web' }, zone)),
      there: [web('x', 'a')],
      fits: 'c',
    },
    {
      says: 'cannot keep away from all',
      pod: far(term({ app: 'web' }, zone)),
      there: [web('x', 'a'), web('y', 'c')],
      because: "3 node(s) didn't match pod anti-affinity rules",
    },
    {
      says: 'is kept away by those that are there',
      pod: { labels: { app: 'db' } },
      there: [web('x', 'a', far(term({ app: 'db' }, 'kubernetes.io/hostname')))],
      fits: 'bc',
    },
    {
      says: 'and is told so',
      pod: { labels: { app: 'db' } },
      there: ['a', 'c'].map((name) => web(name, name, far(term({ app: 'db' }, zone)))),
      because: "3 node(s) didn't satisfy existing pods anti-affinity rules",
    },
  ],
  'what cannot be understood': [
    {
      says: 'is refused with the reason',
      pod: { requests: { cpu: 'many' } },
      because: 'quantities must match',
    },
  ],
};

/** Every node that comes out over many draws: ties are drawn by lot, so scores are taken away. */
function possible(row: Row): string {
  const incoming = podInfo(pod('new', row.pod));
  const nodes = row.nodes ?? three;
  const fits = nodes.filter((one) => {
    // Only this node is free to be chosen; all of them are there to be counted.
    const all = snapshotOf(nodes, row.there);
    for (const other of nodes) if (other !== one) all.setNode(full(other));
    return schedulePod(incoming, all, seededRandom(1)).type === 'node';
  });
  return fits.map(({ metadata }) => metadata?.name).join('');
}

function full(each: Node): Node {
  return { ...each, status: { allocatable: { ...each.status?.allocatable, pods: '0' } } };
}

function decide(row: Row): Decision {
  return schedulePod(
    podInfo(pod('new', row.pod)),
    snapshotOf(row.nodes ?? three, row.there),
    seededRandom(1),
  );
}

for (const [plugin, table] of Object.entries(rows)) {
  describe(`scheduler filter: ${plugin}`, () => {
    for (const row of table) {
      it(row.says, () => {
        const decision = decide(row);
        if (row.fits !== undefined) {
          assert.equal(decision.type, 'node', JSON.stringify(decision));
          assert.equal(possible(row), row.fits);
          return;
        }
        assert(decision.type === 'unschedulable', JSON.stringify(decision));
        assert.ok(decision.message.includes(row.because!), decision.message);
      });
    }
  });
}

describe('scheduler decision', () => {
  it('explains itself as kubectl users know it', () => {
    const nodes = [
      ...['m1', 'm2', 'm3'].map((name) =>
        node(name, {
          spec: { taints: [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }] },
        }),
      ),
      node('w1'),
      node('w2'),
    ];
    const decision = schedulePod(
      podInfo(pod('big', { requests: { cpu: '64' } })),
      snapshotOf(nodes),
      seededRandom(1),
    );
    assert(decision.type === 'unschedulable');
    assert.equal(
      decision.message,
      '0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint(s).',
    );
    assert.deepEqual([...decision.plugins].sort(), ['NodeResourcesFit', 'TaintToleration']);
  });

  it('has a word for a cluster without nodes', () => {
    const decision = schedulePod(podInfo(pod('p')), snapshotOf([]), seededRandom(1));
    assert(decision.type === 'unschedulable');
    assert.equal(decision.message, 'no nodes available to schedule pods');
  });
});
