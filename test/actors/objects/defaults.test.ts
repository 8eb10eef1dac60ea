import assert from 'node:assert/strict';
import type { JsonObject } from '../../../actors/objects/index.js';
import {
  applyDefaults,
  builtinRegistry,
  decodeValue,
  prepareForCreate,
  qosClassOf,
} from '../../../actors/objects/index.js';

function defaulted(group: string, version: string, resource: string, object: object): JsonObject {
  const info = builtinRegistry().find(group, version, resource)!;
  const decoded = decodeValue(object, info, 'Strict').object;
  applyDefaults(decoded, info);
  const once = structuredClone(decoded);
  applyDefaults(decoded, info);
  assert.deepEqual(decoded, once, 'defaulting twice changes nothing');
  return decoded;
}

const container = { name: 'c', image: 'nginx' };

describe('defaults', () => {
  it('of a pod', () => {
    const pod = defaulted('', 'v1', 'pods', {
      spec: {
        serviceAccountName: 'sa',
        volumes: [{ name: 'e' }, { name: 's', secret: { secretName: 'x' } }],
        containers: [
          {
            ...container,
            image: 'reg:5000/nginx:1.2',
            ports: [{ containerPort: 80 }],
            livenessProbe: { httpGet: { port: 80 } },
            env: [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
            resources: { limits: { cpu: '1' } },
          },
        ],
      },
    });
    assert.deepEqual(pod['spec'], {
      containers: [
        {
          name: 'c',
          image: 'reg:5000/nginx:1.2',
          imagePullPolicy: 'IfNotPresent',
          env: [{ name: 'IP', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } }],
          ports: [{ containerPort: 80, protocol: 'TCP' }],
          livenessProbe: {
            httpGet: { port: 80, path: '/', scheme: 'HTTP' },
            timeoutSeconds: 1,
            periodSeconds: 10,
            successThreshold: 1,
            failureThreshold: 3,
          },
          resources: { limits: { cpu: '1' }, requests: { cpu: '1' } },
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
        },
      ],
      volumes: [
        { name: 'e', emptyDir: {} },
        { name: 's', secret: { secretName: 'x', defaultMode: 420 } },
      ],
      serviceAccountName: 'sa',
      serviceAccount: 'sa',
      dnsPolicy: 'ClusterFirst',
      restartPolicy: 'Always',
      schedulerName: 'default-scheduler',
      securityContext: {},
      terminationGracePeriodSeconds: 30,
      enableServiceLinks: true,
    });
  });

  it('pull an image always when its tag may move', () => {
    for (const [image, policy] of [
      ['nginx', 'Always'],
      ['nginx:latest', 'Always'],
      ['localhost:5000/nginx', 'Always'],
      ['nginx:1', 'IfNotPresent'],
      ['nginx@sha256:0000', 'IfNotPresent'],
    ] as const) {
      const pod = defaulted('', 'v1', 'pods', { spec: { containers: [{ name: 'c', image }] } });
      assert.equal(
        (pod['spec'] as { containers: JsonObject[] }).containers[0]!['imagePullPolicy'],
        policy,
        image,
      );
    }
  });

  it('of a deployment and its template', () => {
    const deployment = defaulted('apps', 'v1', 'deployments', {
      spec: { selector: { matchLabels: { a: 'b' } }, template: { spec: { containers: [container] } } },
    });
    const spec = deployment['spec'] as JsonObject;
    assert.equal(spec['replicas'], 1);
    assert.equal(spec['progressDeadlineSeconds'], 600);
    assert.equal(spec['revisionHistoryLimit'], 10);
    assert.deepEqual(spec['strategy'], {
      type: 'RollingUpdate',
      rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' },
    });
    const template = (spec['template'] as { spec: JsonObject }).spec;
    assert.deepEqual(template['securityContext'], {});
    assert(!('enableServiceLinks' in template));
  });

  it('keep an explicit zero', () => {
    const deployment = defaulted('apps', 'v1', 'deployments', {
      spec: { replicas: 0, revisionHistoryLimit: 0, selector: {}, template: { spec: { containers: [] } } },
    });
    assert.equal((deployment['spec'] as JsonObject)['replicas'], 0);
    assert.equal((deployment['spec'] as JsonObject)['revisionHistoryLimit'], 0);
  });

  it('of services by type', () => {
    const plain = defaulted('', 'v1', 'services', { spec: { ports: [{ port: 80 }] } })['spec'];
    assert.deepEqual(plain, {
      type: 'ClusterIP',
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
      ipFamilyPolicy: 'SingleStack',
      ipFamilies: ['IPv4'],
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    });
    const balancer = defaulted('', 'v1', 'services', {
      spec: { type: 'LoadBalancer', sessionAffinity: 'ClientIP', ports: [{ port: 80, targetPort: 'http' }] },
    })['spec'] as JsonObject;
    assert.equal(balancer['externalTrafficPolicy'], 'Cluster');
    assert.equal(balancer['allocateLoadBalancerNodePorts'], true);
    assert.deepEqual(balancer['sessionAffinityConfig'], { clientIP: { timeoutSeconds: 10800 } });
    const external = defaulted('', 'v1', 'services', { spec: { type: 'ExternalName', externalName: 'x.y' } });
    assert(!('ipFamilies' in (external['spec'] as JsonObject)));
  });

  it('of jobs, cron jobs, daemon sets, stateful sets', () => {
    const template = { spec: { containers: [container], restartPolicy: 'Never' } };
    const job = defaulted('batch', 'v1', 'jobs', { spec: { template } })['spec'] as JsonObject;
    assert.deepEqual([job['completions'], job['parallelism'], job['backoffLimit']], [1, 1, 6]);
    const queue = defaulted('batch', 'v1', 'jobs', { spec: { parallelism: 2, template } })[
      'spec'
    ] as JsonObject;
    assert(!('completions' in queue));
    const cron = defaulted('batch', 'v1', 'cronjobs', {
      spec: { schedule: '* * * * *', jobTemplate: { spec: { template } } },
    });
    assert.equal((cron['spec'] as JsonObject)['concurrencyPolicy'], 'Allow');
    const daemon = defaulted('apps', 'v1', 'daemonsets', { spec: { selector: {}, template } })[
      'spec'
    ] as JsonObject;
    assert.deepEqual(daemon['updateStrategy'], {
      type: 'RollingUpdate',
      rollingUpdate: { maxSurge: 0, maxUnavailable: 1 },
    });
    const set = defaulted('apps', 'v1', 'statefulsets', {
      spec: { serviceName: 's', selector: {}, template },
    })['spec'] as JsonObject;
    assert.deepEqual(set['updateStrategy'], { type: 'RollingUpdate', rollingUpdate: { partition: 0 } });
  });

  it('fold stringData into data', () => {
    const secret = defaulted('', 'v1', 'secrets', { data: { a: 'YQ==' }, stringData: { b: 'b', a: 'c' } });
    assert.deepEqual(secret['data'], { a: 'Yw==', b: 'Yg==' });
    assert.equal(secret['type'], 'Opaque');
    assert(!('stringData' in secret));
  });

  it('name a namespace by label and give bindings their group', () => {
    const namespace = defaulted('', 'v1', 'namespaces', { metadata: { name: 'x' } });
    assert.deepEqual((namespace['metadata'] as JsonObject)['labels'], { 'kubernetes.io/metadata.name': 'x' });
    const binding = defaulted('rbac.authorization.k8s.io', 'v1', 'rolebindings', {
      roleRef: { kind: 'Role', name: 'r' },
      subjects: [{ kind: 'User', name: 'u' }],
    });
    assert.equal((binding['roleRef'] as JsonObject)['apiGroup'], 'rbac.authorization.k8s.io');
  });
});

describe('preparing a new object', () => {
  it('starts pods as Pending with their class of service', () => {
    const pod: JsonObject = { spec: { containers: [container] }, status: { phase: 'Running' } };
    prepareForCreate(pod, { group: '', kind: 'Pod' });
    assert.deepEqual(pod['status'], { phase: 'Pending', qosClass: 'BestEffort' });
    const resources = { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '1000m', memory: '1Gi' } };
    assert.equal(qosClassOf({ containers: [{ resources }] }), 'Guaranteed');
    assert.equal(qosClassOf({ containers: [{ resources: { requests: { cpu: '1m' } } }] }), 'Burstable');
  });

  it('ties a job to its pods by uid', () => {
    const job: JsonObject = { metadata: { name: 'j', uid: 'u' }, spec: { template: {} } };
    prepareForCreate(job, { group: 'batch', kind: 'Job' });
    const spec = job['spec'] as { selector: JsonObject; template: { metadata: { labels: JsonObject } } };
    assert.deepEqual(spec.selector, { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u' } });
    assert.equal(spec.template.metadata.labels['job-name'], 'j');
  });

  it('gives namespaces their finalizer', () => {
    const namespace: JsonObject = { metadata: { name: 'n' } };
    prepareForCreate(namespace, { group: '', kind: 'Namespace' });
    assert.deepEqual(namespace['spec'], { finalizers: ['kubernetes'] });
  });
});
