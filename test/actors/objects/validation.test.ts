import assert from 'node:assert/strict';
import type { JsonObject } from '../../../actors/objects/index.js';
import {
  applyDefaults,
  builtinRegistry,
  decodeValue,
  invalidObject,
  validateCreate,
  validateUpdate,
} from '../../../actors/objects/index.js';

const registry = builtinRegistry();

function kind(group: string, name: string) {
  const [info] = registry.findKind(group, name);
  assert(info, name);
  return info;
}

/** Decoded and defaulted, as it comes to validation. */
function ready(group: string, name: string, object: JsonObject): JsonObject {
  const info = kind(group, name);
  const metadata = {
    name: 'x',
    ...(info.namespaced ? { namespace: 'default' } : {}),
    ...(object['metadata'] as object),
  };
  const { object: decoded } = decodeValue({ ...object, metadata }, info, 'Strict');
  applyDefaults(decoded, info);
  return decoded;
}

function faults(group: string, name: string, object: JsonObject): string[] {
  return validateCreate(ready(group, name, object), kind(group, name)).map(
    (each) => `${each.field}: ${each.message}`,
  );
}

function updateFaults(group: string, name: string, object: JsonObject, old: JsonObject): string[] {
  return validateUpdate(ready(group, name, object), ready(group, name, old), kind(group, name)).map(
    (each) => `${each.field}: ${each.message}`,
  );
}

const container = { name: 'c', image: 'i' };
const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [container] } };
const deployment = { spec: { selector: { matchLabels: { a: 'b' } }, template } };

describe('validation of metadata', () => {
  it('accepts a plain object', () => {
    assert.deepEqual(faults('', 'ConfigMap', { data: { a: 'b' } }), []);
  });

  it('refuses bad names with the rule that the kind follows', () => {
    assert.match(
      faults('', 'ConfigMap', { metadata: { name: 'A_b' } })[0]!,
      /^metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist/,
    );
    assert.match(
      faults('', 'Service', { metadata: { name: '1a' }, spec: { ports: [{ port: 1 }] } })[0]!,
      /a DNS-1035 label must consist/,
    );
    assert.deepEqual(faults('rbac.authorization.k8s.io', 'Role', { metadata: { name: 'system:x' } }), []);
    assert.deepEqual(faults('rbac.authorization.k8s.io', 'Role', { metadata: { name: 'a/b' } }), [
      'metadata.name: Invalid value: "a/b": may not contain \'/\'',
    ]);
    assert.deepEqual(faults('', 'ConfigMap', { metadata: { name: '' } }), [
      'metadata.name: Required value: name or generateName is required',
    ]);
  });

  it('wants a namespace where there is one, and none elsewhere', () => {
    assert.deepEqual(faults('', 'ConfigMap', { metadata: { namespace: '' } }), [
      'metadata.namespace: Required value',
    ]);
    assert.deepEqual(faults('', 'Node', { metadata: { namespace: 'x' } }), [
      'metadata.namespace: Forbidden: not allowed on this type',
    ]);
  });

  it('checks labels, annotations, finalizers and owners', () => {
    const owner = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u', controller: true };
    const list = faults('', 'ConfigMap', {
      metadata: {
        labels: { 'a b': 'c', d: '-' },
        annotations: { 'x/y/z': '' },
        finalizers: ['bad finalizer'],
        ownerReferences: [owner, { ...owner, name: 'q' }],
      },
    });
    assert.deepEqual(
      list.map((each) => each.split(':')[0]),
      [
        'metadata.labels',
        'metadata.labels',
        'metadata.annotations',
        'metadata.ownerReferences',
        'metadata.finalizers[0]',
      ],
    );
    assert.match(
      faults('', 'ConfigMap', { metadata: { annotations: { a: 'x'.repeat(262144) } } })[0]!,
      /Too long: may not be more than 262144 bytes/,
    );
  });

  it('keeps names and uids on update, and lets a dying object get no new finalizers', () => {
    const old = { metadata: { uid: 'u', deletionTimestamp: '2024-01-01T00:00:00Z', finalizers: ['a/b'] } };
    const now = {
      metadata: { uid: 'v', deletionTimestamp: '2024-01-01T00:00:00Z', finalizers: ['a/b', 'c/d'] },
    };
    assert.deepEqual(updateFaults('', 'ConfigMap', now, old), [
      'metadata.uid: Invalid value: "v": field is immutable',
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being ' +
        'deleted, found new finalizers []string{"c/d"}',
    ]);
  });
});

describe('validation of pods', () => {
  it('accepts a plain pod', () =>
    assert.deepEqual(faults('', 'Pod', { spec: { containers: [container] } }), []));

  const cases: [string, JsonObject, string][] = [
    ['without containers', {}, 'spec.containers: Required value'],
    ['without an image', { containers: [{ name: 'c' }] }, 'spec.containers[0].image: Required value'],
    [
      'with one name twice',
      { containers: [container, container] },
      'spec.containers[1].name: Duplicate value: "c"',
    ],
    [
      'with an unknown restart policy',
      { containers: [container], restartPolicy: 'Sometimes' },
      'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
    ],
    [
      'with a mount of no volume',
      { containers: [{ ...container, volumeMounts: [{ name: 'v', mountPath: '/v' }] }] },
      'spec.containers[0].volumeMounts[0].name: Not found: "v"',
    ],
    [
      'with requests above limits',
      { containers: [{ ...container, resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } }] },
      'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to ' +
        'cpu limit of 1',
    ],
    [
      'with a port out of range',
      { containers: [{ ...container, ports: [{ containerPort: 70000 }] }] },
      'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and ' +
        '65535, inclusive',
    ],
    [
      'with a probe that does nothing',
      { containers: [{ ...container, livenessProbe: {} }] },
      'spec.containers[0].livenessProbe: Required value: must specify a handler type',
    ],
    [
      'with an unsafe sysctl name',
      { containers: [container], securityContext: { sysctls: [{ name: 'foo-', value: 'x' }] } },
      'spec.securityContext.sysctls[0].name: Invalid value: "foo-"',
    ],
  ];
  for (const [name, spec, expected] of cases) {
    it(`refuses one ${name}`, () => {
      const list = faults('', 'Pod', { spec });
      assert.equal(list.length, 1, list.join('\n'));
      assert(list[0]!.startsWith(expected), list[0]);
    });
  }

  it('lets an update change images, more tolerations and fewer gates only', () => {
    const old = { spec: { containers: [container] } };
    assert.deepEqual(
      updateFaults(
        '',
        'Pod',
        { spec: { containers: [{ ...container, image: 'j' }], tolerations: [{ operator: 'Exists' }] } },
        old,
      ),
      [],
    );
    assert.match(
      updateFaults('', 'Pod', { spec: { containers: [container], nodeName: 'n' } }, old)[0]!,
      /^spec: Forbidden: pod updates may not change fields other than/,
    );
    assert.match(
      updateFaults(
        '',
        'Pod',
        { spec: { containers: [container] } },
        { spec: { containers: [container], activeDeadlineSeconds: 5 } },
      )[0]!,
      /must not update from a positive integer to nil value/,
    );
    const gated = { spec: { containers: [container], schedulingGates: [{ name: 'a' }] } };
    assert.deepEqual(updateFaults('', 'Pod', old, gated), []);
    assert.match(updateFaults('', 'Pod', gated, old)[0]!, /only deletion is allowed/);
  });
});

describe('validation of workloads', () => {
  it('accepts a plain deployment', () => assert.deepEqual(faults('apps', 'Deployment', deployment), []));

  it('wants a selector that selects the template', () => {
    assert.deepEqual(
      faults('apps', 'Deployment', { spec: { selector: { matchLabels: { a: 'c' } }, template } }),
      [
        'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match ' +
          'template `labels`',
      ],
    );
    assert.deepEqual(faults('apps', 'Deployment', { spec: { template } }), [
      'spec.selector: Required value',
      'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`',
    ]);
  });

  it('refuses negative counts, a stuck rollout, and pods that do not restart', () => {
    const list = faults('apps', 'Deployment', {
      spec: {
        ...deployment.spec,
        replicas: -1,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } },
        template: { ...template, spec: { containers: [container], restartPolicy: 'Never' } },
      },
    });
    assert.deepEqual(list, [
      'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
      'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0',
    ]);
  });

  it('keeps selectors', () => {
    const other = {
      spec: {
        selector: { matchLabels: { a: 'b', c: 'd' } },
        template: { ...template, metadata: { labels: { a: 'b', c: 'd' } } },
      },
    };
    assert.match(
      updateFaults('apps', 'Deployment', other, deployment)[0]!,
      /^spec.selector: Invalid value: .*: field is immutable$/,
    );
    assert.match(
      updateFaults(
        'apps',
        'StatefulSet',
        { spec: { ...deployment.spec, serviceName: 'b' } },
        { spec: { ...deployment.spec, serviceName: 'a' } },
      )[0]!,
      /updates to statefulset spec for fields other than 'replicas'/,
    );
  });

  it('wants jobs to end and keeps their template', () => {
    const job = { spec: { template: { spec: { containers: [container], restartPolicy: 'Never' } } } };
    assert.deepEqual(faults('batch', 'Job', job), []);
    assert.deepEqual(faults('batch', 'Job', { spec: { template } }), [
      'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ]);
    const changed = {
      spec: { template: { spec: { containers: [{ ...container, image: 'j' }], restartPolicy: 'Never' } } },
    };
    assert.match(updateFaults('batch', 'Job', changed, job)[0]!, /^spec.template: .*field is immutable/);
  });
});

describe('validation of the other kinds', () => {
  it('services', () => {
    assert.deepEqual(faults('', 'Service', {}), ['spec.ports: Required value']);
    assert.deepEqual(faults('', 'Service', { spec: { clusterIP: 'None' } }), []);
    assert.deepEqual(faults('', 'Service', { spec: { ports: [{ port: 1 }, { port: 1 }] } }), [
      'spec.ports[0].name: Required value',
      'spec.ports[1].name: Required value',
      'spec.ports[1]: Duplicate value: {"port":1,"protocol":"TCP"}',
    ]);
    const at = (clusterIP: string) => ({ spec: { clusterIP, ports: [{ port: 1 }] } });
    assert.deepEqual(updateFaults('', 'Service', at('10.0.0.2'), at('10.0.0.1')), [
      'spec.clusterIPs[0]: Invalid value: "10.0.0.2": may not change once set',
    ]);
  });

  it('config maps and secrets', () => {
    assert.match(faults('', 'ConfigMap', { data: { '': 'x' } })[0]!, /a valid config key must consist of/);
    assert.deepEqual(
      updateFaults(
        '',
        'ConfigMap',
        { immutable: true, data: { a: 'c' } },
        { immutable: true, data: { a: 'b' } },
      ),
      ['data: Forbidden: field is immutable when `immutable` is set'],
    );
    assert.deepEqual(faults('', 'Secret', { type: 'kubernetes.io/tls', data: {} }), [
      'data[tls.crt]: Required value',
      'data[tls.key]: Required value',
    ]);
    assert.deepEqual(updateFaults('', 'Secret', { type: 'a' }, { type: 'b' }), [
      'type: Invalid value: "a": field is immutable',
    ]);
  });

  it('endpoints, slices, leases, budgets and roles', () => {
    assert.deepEqual(faults('', 'Endpoints', { subsets: [{ addresses: [{ ip: '1.2.3' }] }] }), [
      'subsets[0].addresses[0].ip: Invalid value: "1.2.3": must be a valid IP address, (e.g. ' +
        '10.9.8.7 or 2001:db8::ffff)',
    ]);
    assert.deepEqual(
      faults('discovery.k8s.io', 'EndpointSlice', {
        addressType: 'IPv4',
        endpoints: [{ addresses: ['::1'] }],
      }).length,
      1,
    );
    assert.deepEqual(faults('coordination.k8s.io', 'Lease', { spec: { leaseDurationSeconds: 0 } }), [
      'spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0',
    ]);
    assert.equal(
      faults('policy', 'PodDisruptionBudget', { spec: { minAvailable: 1, maxUnavailable: 1 } }).length,
      1,
    );
    assert.deepEqual(
      faults('rbac.authorization.k8s.io', 'Role', {
        rules: [{ verbs: [], apiGroups: [''], resources: ['pods'] }],
      }),
      ['rules[0].verbs: Required value: verbs must contain at least one value'],
    );
    const binding = (name: string) => ({ roleRef: { kind: 'Role', name } });
    assert.match(
      updateFaults('rbac.authorization.k8s.io', 'RoleBinding', binding('b'), binding('a'))[0]!,
      /cannot change roleRef/,
    );
  });
});

describe('the answer for an invalid object', () => {
  it('names kind, object and every cause', () => {
    const info = kind('apps', 'Deployment');
    const errors = validateCreate(
      ready('apps', 'Deployment', { spec: { ...deployment.spec, replicas: -1, minReadySeconds: -1 } }),
      info,
    );
    const error = invalidObject(info, 'x', errors);
    assert.equal(error.status, 422);
    assert.equal(
      error.message,
      'Deployment.apps "x" is invalid: [spec.replicas: Invalid value: -1: must be greater than or ' +
        'equal to 0, ' +
        'spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0]',
    );
    assert.deepEqual(error.causes[0], {
      reason: 'FieldValueInvalid',
      message: 'Invalid value: -1: must be greater than or equal to 0',
      field: 'spec.replicas',
    });
  });
});
