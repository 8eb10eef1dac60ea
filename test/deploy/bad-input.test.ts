import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { createConnection } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Dealer } from 'zeromq';
import { machineNamed } from '../../deploy/cluster-spec.js';
import { waitFor } from '../../deploy/wait.js';
import type { HttpAnswer, ProcessCluster } from '../harness/process-cluster.js';
import { freshNamespace, sharedCluster } from '../harness/shared-cluster.js';

describe('bad input to a running cluster', function () {
  this.timeout(120_000);
  let cluster: ProcessCluster;
  let path: string;
  let pidsBefore: number[];
  let restartsBefore: string[];
  const restarts = async () => {
    const trees = await Promise.all(cluster.spec.machines.map(({ name }) => cluster.tree(name)));
    return trees.flatMap((tree, i) =>
      tree.filter((node) => node.restarts > 0).map((node) => `${i} ${node.path} ${node.restarts}`),
    );
  };
  before(async () => {
    cluster = await sharedCluster();
    const kubectl = await freshNamespace('bad');
    path = `/api/v1/namespaces/${kubectl.namespace}/configmaps`;
    await kubectl.run('create', 'configmap', 'witness', '--from-literal=a=1');
    pidsBefore = await cluster.pids();
    restartsBefore = await restarts();
  });
  after('nothing crashed, nothing is lost', async () => {
    assert.deepEqual(await cluster.pids(), pidsBefore);
    assert.deepEqual(await restarts(), restartsBefore);
    const { body } = await cluster.http({ path: `${path}/witness` });
    assert.deepEqual((JSON.parse(body) as { data: unknown }).data, { a: '1' });
  });

  const post = (body: string | Buffer, type = 'application/json', query = '') =>
    cluster.http({ method: 'POST', path: `${path}${query}`, body, headers: { 'content-type': type } });
  const message = (answer: HttpAnswer) => {
    const parsed = JSON.parse(answer.body) as { kind: string; status: string; message: string };
    assert.deepEqual([parsed.kind, parsed.status], ['Status', 'Failure']);
    return parsed.message;
  };
  const configMap = (more: object) => JSON.stringify({ metadata: { name: 'bad' }, ...more });

  for (const [what, type, body] of [
    ['malformed JSON', 'application/json', '{"metadata": {"name": "bad"'],
    ['malformed YAML', 'application/yaml', 'metadata:\n  name: [bad\n'],
    ['an empty body', 'application/json', ''],
    ['a list instead of an object', 'application/json', '[]'],
    ['a number', 'application/json', '42'],
    ['bytes that are no text', 'application/json', Buffer.from([0xff, 0xfe, 0x00, 0x80])],
    [
      'garbage as protobuf',
      'application/vnd.kubernetes.protobuf',
      Buffer.from('k8s\0\xff\xff\xff\xff', 'latin1'),
    ],
    ['protobuf without its magic', 'application/vnd.kubernetes.protobuf', Buffer.from('hello')],
    ['JSON of endless depth', 'application/json', `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`],
    ['another kind', 'application/json', configMap({ apiVersion: 'v1', kind: 'Secret' })],
    ['a name that is none', 'application/json', JSON.stringify({ metadata: { name: 'Not A Name' } })],
    ['no name', 'application/json', '{"metadata":{}}'],
    ['a string where a map belongs', 'application/json', configMap({ data: 'text' })],
    ['a number where a string belongs', 'application/json', configMap({ data: { a: 1 } })],
    [
      'a namespace that is not the one in the path',
      'application/json',
      JSON.stringify({ metadata: { name: 'bad', namespace: 'kube-system' } }),
    ],
  ] as const) {
    it(`${what}: a Status with 400 or 422, and no object`, async () => {
      const answer = await post(body, type);
      assert([400, 422].includes(answer.status), `${answer.status} ${answer.body}`);
      assert.notEqual(message(answer), '');
      assert.equal((await cluster.http({ path: `${path}/bad` })).status, 404);
    });
  }

  it('unknown and duplicate fields: refused by Strict, told by Warn, passed by Ignore', async () => {
    const body =
      '{"metadata":{"name":"fields","colour":"red"},"data":{"a":"1"},"data":{"a":"2"},"shape":"round"}';
    const strict = await post(body, 'application/json', '?fieldValidation=Strict');
    assert.equal(strict.status, 400);
    for (const text of [
      'unknown field "metadata.colour"',
      'unknown field "shape"',
      'duplicate field "data"',
    ]) {
      assert(message(strict).includes(text), message(strict));
    }
    const warned = await post(body, 'application/json', '?fieldValidation=Warn&dryRun=All');
    assert.equal(warned.status, 201);
    assert.match(String(warned.headers['warning']), /^299 - "unknown field/);
    const ignored = await post(body, 'application/json', '?fieldValidation=Ignore&dryRun=All');
    assert.deepEqual([ignored.status, ignored.headers['warning']], [201, undefined]);
    assert.equal((await post(body, 'application/json', '?fieldValidation=Loose')).status, 422);
  });

  it('wrong types deep inside name the field', async () => {
    const body = JSON.stringify({
      metadata: { name: 'bad' },
      spec: { replicas: 'three', selector: {}, template: {} },
    });
    const answer = await cluster.http({
      method: 'POST',
      path: path.replace('/api/v1', '/apis/apps/v1').replace('configmaps', 'deployments'),
      body,
      headers: { 'content-type': 'application/json' },
    });
    assert.equal(answer.status, 400, answer.body);
    assert.match(message(answer), /spec\.replicas/);
  });

  it('a body that is too large: 413', async () => {
    const answer = await post(configMap({ data: { a: 'x'.repeat(4 * 1024 * 1024) } }));
    assert.equal(answer.status, 413);
  });

  it('an object that is too large for the store: refused, not lost', async () => {
    const answer = await post(configMap({ data: { a: 'x'.repeat(2 * 1024 * 1024) } }));
    assert([413, 422].includes(answer.status), `${answer.status} ${answer.body.slice(0, 200)}`);
  });

  it('another media type: 415; nothing acceptable: 406; unknown path: 404; wrong method: 405', async () => {
    assert.equal((await post('a,b', 'text/csv')).status, 415);
    assert.equal((await cluster.http({ path, headers: { accept: 'image/png' } })).status, 406);
    assert.equal((await cluster.http({ path: '/apis/nothing.example.com/v1/things' })).status, 404);
    assert.equal((await cluster.http({ path: '/api/v1/unknownthings' })).status, 404);
    assert.equal(
      (
        await cluster.http({
          method: 'PUT',
          path,
          body: '{}',
          headers: { 'content-type': 'application/json' },
        })
      ).status,
      405,
    );
  });

  for (const [type, body, status] of [
    ['application/json-patch+json', '{"op":"remove"}', 400],
    ['application/json-patch+json', '[{"op":"test","path":"/data/a","value":"9"}]', 422],
    ['application/merge-patch+json', '[1]', 400],
    ['application/strategic-merge-patch+json', 'nonsense', 400],
    ['application/x-patch', '{}', 415],
    ['application/apply-patch+yaml', 'a: [', 400],
  ] as const) {
    it(`the patch ${body} as ${type}: ${status}`, async () => {
      const headers = { 'content-type': type };
      // Without a field manager every patch of apply is refused.
      const target = `${path}/witness?fieldManager=test`;
      const answer = await cluster.http({ method: 'PATCH', path: target, body, headers });
      assert.equal(answer.status, status, answer.body);
    });
  }

  it('selectors, limits and versions that are none: 400 or 422', async () => {
    const get = async (query: string) => {
      const { status } = await cluster.http({ path: `${path}?${query}` });
      return status === 422 ? 400 : status;
    };
    assert.equal(await get('labelSelector=a+in+('), 400);
    assert.equal(await get('fieldSelector=metadata.colour%3Dred'), 400);
    assert.equal(await get('limit=many'), 400);
    assert.equal(await get('continue=nonsense'), 400);
    assert.equal(await get('resourceVersion=old'), 400);
    assert.equal(await get('watch=true&resourceVersion=old'), 400);
  });

  it('garbage on the HTTPS ports ends only its own connection', async () => {
    const ports = [
      cluster.spec.frontPort,
      ...cluster.spec.machines.flatMap(({ httpsPort }) => httpsPort ?? []),
    ];
    for (const port of ports) {
      for (const bytes of [randomBytes(4_096), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(0)]) {
        await sendBytes(port, bytes);
      }
      const answer = await garbageInsideTls(port);
      assert(answer === '' || answer.startsWith('HTTP/1.1 400'), answer);
    }
    assert.equal((await cluster.http({ path: `${path}/witness` })).status, 200);
  });

  it("garbage on the machines' own ports: put on record, and the links go on", async () => {
    const master = machineNamed(cluster.spec, 'master-1');
    for (const address of [master.address, master.storeAddress as string]) {
      const port = Number(address.slice(address.lastIndexOf(':') + 1));
      await sendBytes(port, randomBytes(4_096));
      await sendBytes(port, Buffer.from('\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL', 'latin1'));
      // A ZeroMQ peer without keys never gets past the doorkeeper.
      const stranger = new Dealer({ linger: 0, sendTimeout: 200 });
      stranger.connect(address);
      await stranger.send([Buffer.from('hello'), randomBytes(256)]).catch(() => {});
      stranger.close();
    }
    await cluster.allReady();
    const write = await post(JSON.stringify({ metadata: { name: 'after-the-garbage' } }));
    assert.equal(write.status, 201);
    await waitFor('every master to have it', 15_000, async () => {
      const ports = cluster.spec.machines.flatMap(({ httpsPort }) => httpsPort ?? []);
      const answers = await Promise.all(
        ports.map((port) => cluster.http({ path: `${path}/after-the-garbage`, port })),
      );
      return answers.every(({ status }) => status === 200);
    });
  });
});

/** Resolves when the other side has closed, or after it had its say. */
function sendBytes(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port }, () => socket.end(bytes));
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.setTimeout(2_000, () => socket.destroy());
    socket.resume();
  });
}

function garbageInsideTls(port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }, () =>
      socket.write('this is no request\r\n\r\n'),
    );
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
    socket.setTimeout(2_000, () => socket.destroy());
  });
}
