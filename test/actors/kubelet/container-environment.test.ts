import { strict as assert } from 'node:assert';
import type { Container, Pod, Service } from '../../../actors/objects/types/core.js';
import {
  argvOf,
  type EnvironmentSources,
  environmentOf,
  expand,
} from '../../../actors/kubelet/container-environment.js';

const pod: Pod = {
  metadata: { name: 'p', namespace: 'default', uid: 'u', labels: { app: 'web' }, annotations: { note: 'x' } },
  spec: { nodeName: 'n', serviceAccountName: 'sa', containers: [] },
};
const service = (name: string, namespace: string, clusterIP: string): Service => ({
  metadata: { name, namespace },
  spec: { clusterIP, ports: [{ name: 'http', port: 80, protocol: 'TCP' }] },
});
const sources: EnvironmentSources = {
  podIP: '127.64.0.5',
  hostIP: '127.0.0.1',
  allocatable: { cpu: '4', memory: '8Gi' },
  services: [
    service('kubernetes', 'default', '127.96.0.1'),
    service('redis-main', 'default', '127.96.0.2'),
    service('far', 'other', '127.96.0.3'),
  ],
  configMaps: new Map([['settings', { data: { A: '1', B: '2' } }]]),
  secrets: new Map([['keys', { data: { token: Buffer.from('s3cret').toString('base64') } }]]),
};
const envOf = (container: Partial<Container>, of = pod) =>
  Object.fromEntries(environmentOf(of, { name: 'main', ...container }, sources));

describe('container environment', () => {
  it('expands variables, keeps unknown ones and undoubles dollars', () => {
    const env = new Map([['A', '1']]);
    assert.equal(expand('$(A) $(B) $$(A) $$$(A) $A a$', env), '1 $(B) $(A) $1 $A a$');
  });

  it('offers the services of the namespace and the API, as Docker links did', () => {
    const env = envOf({});
    assert.equal(env['REDIS_MAIN_SERVICE_HOST'], '127.96.0.2');
    assert.equal(env['REDIS_MAIN_SERVICE_PORT_HTTP'], '80');
    assert.equal(env['REDIS_MAIN_PORT_80_TCP'], 'tcp://127.96.0.2:80');
    assert.equal(env['KUBERNETES_SERVICE_HOST'], '127.96.0.1');
    assert.equal(env['FAR_SERVICE_HOST'], undefined);
    const without = envOf({}, { ...pod, spec: { ...pod.spec!, enableServiceLinks: false } });
    assert.deepEqual(
      [without['REDIS_MAIN_SERVICE_HOST'], without['KUBERNETES_SERVICE_HOST']],
      [undefined, '127.96.0.1'],
    );
  });

  it('takes variables from where they are said to come', () => {
    const env = envOf({
      resources: { limits: { memory: '64Mi' }, requests: { cpu: '250m' } },
      envFrom: [{ configMapRef: { name: 'settings' }, prefix: 'X_' }, { secretRef: { name: 'keys' } }],
      env: [
        { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'token' } } },
        { name: 'MAYBE', valueFrom: { configMapKeyRef: { name: 'none', key: 'k', optional: true } } },
        { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
        { name: 'REQUEST', valueFrom: { resourceFieldRef: { resource: 'requests.cpu' } } },
        { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
        { name: 'ALL', value: '$(X_A)-$(NAME)-$(LATER)' },
        { name: 'LATER', value: 'l' },
      ],
    });
    const { X_A, X_B, token, NAME, APP, IP, TOKEN, MEMORY, REQUEST, CPU, ALL } = env;
    assert.deepEqual(
      { X_A, X_B, token, NAME, APP, IP, TOKEN, MEMORY, REQUEST, CPU, ALL },
      {
        X_A: '1',
        X_B: '2',
        token: 's3cret',
        NAME: 'p',
        APP: 'web',
        IP: '127.64.0.5',
        TOKEN: 's3cret',
        MEMORY: '64',
        REQUEST: '1',
        CPU: '4',
        ALL: '1-p-$(LATER)',
      },
    );
    assert.ok(!('MAYBE' in env));
  });

  it('says what is missing', () => {
    const from = (valueFrom: object) => () => envOf({ env: [{ name: 'A', valueFrom }] });
    assert.throws(
      from({ configMapKeyRef: { name: 'settings', key: 'C' } }),
      /couldn't find key C in ConfigMap default\/settings/,
    );
    assert.throws(from({ secretKeyRef: { name: 'none', key: 'C' } }), /secret "none" not found/);
    assert.throws(from({ fieldRef: { fieldPath: 'spec.magic' } }), /unsupported fieldPath/);
    assert.throws(
      () => envOf({ envFrom: [{ configMapRef: { name: 'none' } }] }),
      /configmap "none" not found/,
    );
  });

  it('replaces entrypoint and arguments as Kubernetes does', () => {
    const image = {
      image: 'i',
      imageId: 'i',
      entrypoint: ['entry'],
      cmd: ['default'],
      programs: { '/agnhost': ['node', 'agnhost.js'] },
      env: {},
    };
    const argv = (parts: Partial<Container>) =>
      argvOf({ name: 'main', ...parts }, image, new Map([['A', '1']]));
    assert.deepEqual(argv({}), ['entry', 'default']);
    assert.deepEqual(argv({ args: ['x', '$(A)'] }), ['entry', 'x', '1']);
    assert.deepEqual(argv({ command: ['run'] }), ['run']);
    assert.deepEqual(argv({ command: ['run'], args: ['x'] }), ['run', 'x']);
    assert.deepEqual(argv({ command: ['/agnhost', 'netexec'] }), ['node', 'agnhost.js', 'netexec']);
  });
});
