import assert from 'node:assert/strict';
import { printDuration, summarisePod, toTable } from '../../../actors/objects/index.js';

const nowMs = Date.parse('2024-01-01T01:00:00Z');

function pod(status: object, spec: object = {}, metadata: object = {}) {
  return {
    metadata: { name: 'p', creationTimestamp: '2024-01-01T00:00:00Z', ...metadata },
    spec: { containers: [{ name: 'a' }], ...spec },
    status,
  };
}

const running = { name: 'a', ready: true, restartCount: 0, state: { running: {} } };
const crashing = {
  name: 'a',
  ready: false,
  restartCount: 3,
  state: { waiting: { reason: 'CrashLoopBackOff' } },
  lastState: { terminated: { exitCode: 1, finishedAt: '2024-01-01T00:55:00Z' } },
};

describe('the STATUS of a pod', () => {
  const cases: [string, object, string, string][] = [
    ['a new pod', pod({ phase: 'Pending' }), 'Pending', '0/1'],
    ['a running pod', pod({ phase: 'Running', containerStatuses: [running] }), 'Running', '1/1'],
    ['a crashing pod', pod({ phase: 'Running', containerStatuses: [crashing] }), 'CrashLoopBackOff', '0/1'],
    ['an evicted pod', pod({ phase: 'Failed', reason: 'Evicted' }), 'Evicted', '0/1'],
    [
      'a pod whose container ended well',
      pod({
        phase: 'Succeeded',
        containerStatuses: [{ name: 'a', state: { terminated: { exitCode: 0, reason: 'Completed' } } }],
      }),
      'Completed',
      '0/1',
    ],
    [
      'a pod whose container was killed without a reason',
      pod({
        phase: 'Failed',
        containerStatuses: [{ name: 'a', state: { terminated: { exitCode: 137, signal: 9 } } }],
      }),
      'Signal:9',
      '0/1',
    ],
    [
      'a pod with one of two containers completed and not ready',
      pod(
        {
          phase: 'Running',
          conditions: [{ type: 'Ready', status: 'False' }],
          containerStatuses: [
            { name: 'a', state: { terminated: { exitCode: 0, reason: 'Completed' } } },
            running,
          ],
        },
        { containers: [{ name: 'a' }, { name: 'b' }] },
      ),
      'NotReady',
      '1/2',
    ],
    [
      'a pod in its first of two init containers',
      pod(
        { phase: 'Pending', initContainerStatuses: [{ name: 'i', state: { running: {} } }] },
        { initContainers: [{ name: 'i' }, { name: 'j' }] },
      ),
      'Init:0/2',
      '0/1',
    ],
    [
      'a pod whose init container failed',
      pod(
        {
          phase: 'Pending',
          initContainerStatuses: [{ name: 'i', state: { terminated: { exitCode: 2, reason: 'Error' } } }],
        },
        { initContainers: [{ name: 'i' }] },
      ),
      'Init:Error',
      '0/1',
    ],
    [
      'a pod whose init container backs off',
      pod(
        {
          phase: 'Pending',
          initContainerStatuses: [{ name: 'i', state: { waiting: { reason: 'CrashLoopBackOff' } } }],
        },
        { initContainers: [{ name: 'i' }] },
      ),
      'Init:CrashLoopBackOff',
      '0/1',
    ],
    [
      'a pod with a sidecar',
      pod(
        {
          phase: 'Running',
          initContainerStatuses: [{ name: 's', started: true, ready: true, state: { running: {} } }],
          containerStatuses: [running],
        },
        { initContainers: [{ name: 's', restartPolicy: 'Always' }] },
      ),
      'Running',
      '2/2',
    ],
    [
      'a gated pod',
      pod({
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }],
      }),
      'SchedulingGated',
      '0/1',
    ],
    [
      'a deleted pod',
      pod(
        { phase: 'Running', containerStatuses: [running] },
        {},
        { deletionTimestamp: '2024-01-01T00:59:00Z' },
      ),
      'Terminating',
      '1/1',
    ],
    [
      'a deleted pod on a lost node',
      pod({ phase: 'Running', reason: 'NodeLost' }, {}, { deletionTimestamp: '2024-01-01T00:59:00Z' }),
      'Unknown',
      '0/1',
    ],
    [
      'a deleted pod that has already ended',
      pod({ phase: 'Succeeded' }, {}, { deletionTimestamp: '2024-01-01T00:59:00Z' }),
      'Succeeded',
      '0/1',
    ],
  ];
  for (const [name, object, status, ready] of cases) {
    it(`${name} is ${status} ${ready}`, () => {
      const summary = summarisePod(object, nowMs);
      assert.equal(summary.status, status);
      assert.equal(`${summary.ready}/${summary.containers}`, ready);
    });
  }

  it('tells how long ago the last restart was', () => {
    const summary = summarisePod(pod({ phase: 'Running', containerStatuses: [crashing] }), nowMs);
    assert.equal(summary.restarts, '3 (5m ago)');
  });
});

describe('durations', () => {
  for (const [seconds, text] of [
    [-5, '<invalid>'],
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [305, '5m5s'],
    [660, '11m'],
    [179 * 60, '179m'],
    [3 * 3600, '3h'],
    [3 * 3600 + 300, '3h5m'],
    [9 * 3600 + 300, '9h'],
    [50 * 3600, '2d2h'],
    [72 * 3600, '3d'],
    [200 * 3600, '8d'],
    [800 * 86400, '2y70d'],
    [3000 * 86400, '8y'],
  ] as const) {
    it(`${seconds} s is ${text}`, () => assert.equal(printDuration(seconds * 1000), text));
  }
});

describe('tables', () => {
  const row = (group: string, kind: string, object: object) =>
    toTable([object], { group, kind, nowMs, includeObject: 'None' }).rows[0]!.cells;
  const metadata = { name: 'x', creationTimestamp: '2024-01-01T00:55:00Z' };

  it('carry columns, and rows with the metadata of the object', () => {
    const table = toTable([pod({ phase: 'Pending' })], {
      group: '',
      kind: 'Pod',
      nowMs,
      includeObject: 'Metadata',
      metadata: { resourceVersion: '7' },
    });
    assert.equal(table.kind, 'Table');
    assert.deepEqual(
      table.columnDefinitions.map((column) => `${column.name}${column.priority}`),
      [
        'Name0',
        'Ready0',
        'Status0',
        'Restarts0',
        'Age0',
        'IP1',
        'Node1',
        'Nominated Node1',
        'Readiness Gates1',
      ],
    );
    assert.deepEqual(table.rows[0]!.cells, [
      'p',
      '0/1',
      'Pending',
      '0',
      '60m',
      '<none>',
      '<none>',
      '<none>',
      '<none>',
    ]);
    assert.equal((table.rows[0]!.object as { kind: string }).kind, 'PartialObjectMetadata');
    assert.equal(table.metadata['resourceVersion'], '7');
  });

  it('print workloads', () => {
    const template = { spec: { containers: [{ name: 'c', image: 'i' }] } };
    const selector = { matchLabels: { app: 'x' } };
    assert.deepEqual(
      row('apps', 'Deployment', {
        metadata,
        spec: { replicas: 3, template, selector },
        status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 2 },
      }),
      ['x', '2/3', 3, 2, '5m', 'c', 'i', 'app=x'],
    );
    assert.deepEqual(
      row('batch', 'Job', {
        metadata,
        spec: { completions: 2, template, selector },
        status: { succeeded: 1, startTime: '2024-01-01T00:59:00Z' },
      }),
      ['x', 'Running', '1/2', '60s', '5m', 'c', 'i', 'app=x'],
    );
    assert.deepEqual(row('apps', 'StatefulSet', { metadata, spec: { replicas: 1, template }, status: {} }), [
      'x',
      '0/1',
      '5m',
      'c',
      'i',
    ]);
  });

  it('print services, endpoints and nodes', () => {
    assert.deepEqual(
      row('', 'Service', {
        metadata,
        spec: {
          type: 'NodePort',
          clusterIP: '10.96.0.1',
          ports: [
            { port: 80, nodePort: 30080 },
            { port: 53, protocol: 'UDP' },
          ],
        },
      }),
      ['x', 'NodePort', '10.96.0.1', '<none>', '80:30080/TCP,53/UDP', '5m', '<none>'],
    );
    assert.equal(row('', 'Service', { metadata, spec: { type: 'LoadBalancer' } })[3], '<pending>');
    const addresses = ['1', '2', '3', '4'].map((digit) => ({ ip: `10.0.0.${digit}` }));
    assert.equal(
      row('', 'Endpoints', { metadata, subsets: [{ addresses, ports: [{ port: 80 }] }] })[1],
      '10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more...',
    );
    assert.deepEqual(
      row('', 'Node', {
        metadata: { ...metadata, labels: { 'node-role.kubernetes.io/control-plane': '' } },
        spec: { unschedulable: true },
        status: { conditions: [{ type: 'Ready', status: 'True' }], nodeInfo: { kubeletVersion: 'v1.36.0' } },
      }).slice(0, 5),
      ['x', 'Ready,SchedulingDisabled', 'control-plane', '5m', 'v1.36.0'],
    );
  });

  it('print events of both groups alike', () => {
    const core = {
      metadata,
      involvedObject: { kind: 'Pod', name: 'p' },
      reason: 'Started',
      type: 'Normal',
      message: 'm',
      lastTimestamp: '2024-01-01T00:59:00Z',
    };
    const modern = {
      metadata,
      regarding: { kind: 'Pod', name: 'p' },
      reason: 'Started',
      type: 'Normal',
      note: 'm',
      deprecatedLastTimestamp: '2024-01-01T00:59:00Z',
    };
    assert.deepEqual(row('', 'Event', core), row('events.k8s.io', 'Event', modern));
    assert.deepEqual(row('', 'Event', core).slice(0, 4), ['60s', 'Normal', 'Started', 'pod/p']);
  });

  it('print autoscalers, budgets and bindings', () => {
    const spec = {
      scaleTargetRef: { kind: 'Deployment', name: 'd' },
      minReplicas: 1,
      maxReplicas: 3,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
        },
      ],
    };
    assert.equal(row('autoscaling', 'HorizontalPodAutoscaler', { metadata, spec })[2], 'cpu: <unknown>/80%');
    assert.deepEqual(row('policy', 'PodDisruptionBudget', { metadata, spec: { minAvailable: '50%' } }), [
      'x',
      '50%',
      'N/A',
      0,
      '5m',
    ]);
    assert.deepEqual(
      row('rbac.authorization.k8s.io', 'RoleBinding', {
        metadata,
        roleRef: { kind: 'Role', name: 'r' },
        subjects: [
          { kind: 'User', name: 'u' },
          { kind: 'ServiceAccount', namespace: 'n', name: 's' },
        ],
      }),
      ['x', 'Role/r', '5m', 'u', '', 'n/s'],
    );
  });

  it('print name and age of everything else', () => {
    assert.deepEqual(row('example.com', 'Widget', { metadata }), ['x', '5m']);
    assert.deepEqual(row('example.com', 'Widget', { metadata: { name: 'y' } }), ['y', '<unknown>']);
  });

  it('have as many cells as columns for every kind, whatever is missing', () => {
    for (const kind of [
      'Pod',
      'Service',
      'Node',
      'Event',
      'Secret',
      'ConfigMap',
      'PersistentVolume',
      'PersistentVolumeClaim',
      'ResourceQuota',
      'Namespace',
      'Endpoints',
    ]) {
      const table = toTable([{ metadata: {} }], { group: '', kind, nowMs, includeObject: 'None' });
      assert.equal(table.rows[0]!.cells.length, table.columnDefinitions.length, kind);
    }
  });
});
