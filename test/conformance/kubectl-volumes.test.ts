/** Volumes at their mount paths and the in-cluster configuration, in a cluster of processes with kubectl. */
import { strict as assert } from 'node:assert';
import { createServer } from 'node:net';
import type { Node } from '../../actors/objects/types/core.js';
import type { Kubectl } from '../harness/kubectl.js';
import { freshNamespace } from '../harness/shared-cluster.js';

const tokenFolder = '/var/run/secrets/kubernetes.io/serviceaccount';
const sleeper = { image: 'busybox', command: ['sleep', '1000'] };

describe('kubectl: volumes in pods', function () {
  this.timeout(120_000);
  let kubectl: Kubectl;
  before(async function () {
    kubectl = await freshNamespace('volumes');
    const { items } = await kubectl.json<{ items: Node[] }>('get', 'nodes');
    const isolation = items[0]?.metadata?.annotations?.['kabuki.dev/isolation'] ?? '';
    if (!isolation.startsWith('mounts:')) {
      console.log(`      skipped: ${isolation}`);
      this.skip();
    }
    await kubectl.run('create', 'configmap', 'settings', '--from-literal=key=first');
    await kubectl.run('create', 'secret', 'generic', 'keys', '--from-literal=password=hunter2');
  });

  const apply = (name: string, spec: object) =>
    kubectl.feed({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec }, 'apply', '-f', '-');
  const finished = (name: string) =>
    kubectl.run('wait', '--for=jsonpath={.status.phase}=Succeeded', `pod/${name}`, '--timeout=60s');
  const ready = (name: string) =>
    kubectl.run('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s');
  const shell = (pod: string, script: string) => kubectl.run('exec', pod, '--', 'sh', '-c', script);

  it('prints a key of a ConfigMap from where the pod mounts it', async () => {
    await apply('print', {
      restartPolicy: 'Never',
      volumes: [{ name: 'config', configMap: { name: 'settings' } }],
      containers: [
        {
          name: 'main',
          image: 'busybox',
          command: ['cat', '/etc/config/key'],
          volumeMounts: [{ name: 'config', mountPath: '/etc/config' }],
        },
      ],
    });
    await finished('print');
    assert.equal(await kubectl.run('logs', 'print'), 'first\n');
  });

  it('shares an emptyDir, keeps modes, mounts a subPath, and refuses writes to what is read-only', async () => {
    const data = { name: 'data', mountPath: '/data' };
    await apply('several', {
      volumes: [
        { name: 'data', emptyDir: {} },
        { name: 'keys', secret: { secretName: 'keys', defaultMode: 0o400 } },
        { name: 'config', configMap: { name: 'settings' } },
      ],
      containers: [
        {
          name: 'writer',
          image: 'busybox',
          command: ['sh', '-c', 'echo from-writer > /data/word; exec sleep 1000'],
          volumeMounts: [data],
        },
        {
          name: 'reader',
          ...sleeper,
          volumeMounts: [
            { ...data, readOnly: true },
            { name: 'keys', mountPath: '/etc/keys', readOnly: true },
            { name: 'config', mountPath: '/etc/app.conf', subPath: 'key' },
          ],
        },
      ],
    });
    await ready('several');
    const inReader = (script: string) =>
      kubectl.try('exec', 'several', '-c', 'reader', '--', 'sh', '-c', script);
    const read = await inReader(
      'until [ -e /data/word ]; do sleep 0.1; done; cat /data/word; stat -L -c %a /etc/keys/password; cat /etc/app.conf',
    );
    assert.equal(read.stdout, 'from-writer\n400\nfirst');
    const refused = await inReader('echo x > /data/mine');
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /Read-only file system/);
    await kubectl.run('delete', 'pod', 'several', '--grace-period=1');
  });

  it('lets a client in a pod reach the apiserver with its token and certificate', async () => {
    await apply('client', { containers: [{ name: 'main', ...sleeper }] });
    await ready('client');
    assert.equal(await shell('client', `cat ${tokenFolder}/namespace`), kubectl.namespace);
    const program = `
      const { readFileSync } = require('node:fs');
      const folder = '${tokenFolder}';
      const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
      const headers = { authorization: 'Bearer ' + readFileSync(folder + '/token', 'utf8') };
      const path = '/api/v1/namespaces/${kubectl.namespace}/pods';
      require('node:https').get({ host, port, path, headers, ca: readFileSync(folder + '/ca.crt') }, (answer) => {
        let text = '';
        answer.on('data', (bytes) => (text += bytes));
        answer.on('end', () => console.log(port, JSON.parse(text).message));
      });`;
    const node = await kubectl.run('exec', 'client', '--', process.execPath, '-e', program);
    const user = `system:serviceaccount:${kubectl.namespace}:default`;
    const port = (await mayBind443()) ? '443' : '6443';
    assert.match(node, new RegExp(`^${port} pods is forbidden: User "${user}"`));
    await kubectl.run('delete', 'pod', 'client', '--grace-period=1');
  });

  it('reads the termination message that a container wrote', async () => {
    await apply('message', {
      restartPolicy: 'Never',
      containers: [
        { name: 'main', image: 'busybox', command: ['sh', '-c', 'printf farewell > /dev/termination-log'] },
      ],
    });
    await finished('message');
    const path = '{.status.containerStatuses[0].state.terminated.message}';
    assert.equal(await kubectl.run('get', 'pod', 'message', '-o', `jsonpath=${path}`), 'farewell');
  });
});

function mayBind443(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(443, '127.0.0.250', () => server.close(() => resolve(true)));
  });
}
