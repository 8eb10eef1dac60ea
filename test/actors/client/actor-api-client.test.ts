import { strict as assert } from 'node:assert';
import {
  type ApiClient,
  ApiError,
  configMaps,
  createApiClient,
  leases,
  pods,
} from '../../../actors/client/index.js';
import type { RunningActorSystem } from '../../../actors/runtime/index.js';
import { nodeId } from '../../../transport/index.js';
import { SimWorld } from '../../sim/world.js';
import { ScriptedApiServer, statusBody } from './scripted-apiserver.js';

async function rejection(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(
    () => assert.fail('did not reject'),
    (reason: unknown) => reason,
  );
  assert(error instanceof ApiError, String(error));
  return error;
}

describe('API client over actor messages', () => {
  let world: SimWorld;
  let systems: RunningActorSystem[];
  let local: ScriptedApiServer;
  let remote: ScriptedApiServer;
  let client: ApiClient;

  beforeEach(async () => {
    world = new SimWorld(7);
    systems = ['m1.client', 'm1', 'm2'].map((name) => world.system(nodeId(name)));
    local = new ScriptedApiServer(systems[1]!);
    remote = new ScriptedApiServer(systems[2]!);
    client = createApiClient({
      system: systems[0]!,
      apiservers: [local.ref, remote.ref],
      userAgent: 'tester/1',
    });
    await world.pass(50);
  });

  const settled = <T>(promise: Promise<T>) => world.settled(promise);
  const bodyOf = (server: ScriptedApiServer) =>
    JSON.parse(new TextDecoder().decode(server.requests.at(-1)!.body)) as Record<string, unknown>;

  it('asks the apiserver of its own machine and nobody else', async () => {
    local.answer = () => ({ status: 200, body: { metadata: { name: 'a' } } });
    const got = await settled(client.get(configMaps, 'default', 'a'));
    assert.equal(got.metadata?.name, 'a');
    assert.equal(local.requests[0]?.path, '/api/v1/namespaces/default/configmaps/a');
    assert.equal(local.requests[0]?.headers['user-agent'], 'tester/1');
    assert.equal(remote.requests.length, 0);
  });

  it('says what it wants in the words of the REST API', async () => {
    await settled(
      client.list(pods, { labelSelector: 'a in (b,c)', limit: 5 }).catch((error: unknown) => error),
    );
    assert.equal(local.requests.at(-1)!.path, '/api/v1/pods');
    assert.equal(local.requests.at(-1)!.query, 'labelSelector=a%20in%20(b%2Cc)&limit=5');
    const lease = { metadata: { name: 'l', namespace: 'kube-system' } };
    await settled(client.update(leases, lease, { fencing: 'kube-system/l=me/3' }));
    const put = local.requests.at(-1)!;
    assert.equal(put.path, '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l');
    assert.equal(put.headers['kabuki-fencing'], 'kube-system/l=me/3');
    assert.equal(bodyOf(local)['kind'], 'Lease');
    await settled(client.patch(pods, 'default', 'p', 'strategic', { a: 1 }, { subresource: 'status' }));
    const patch = local.requests.at(-1)!;
    assert.equal(patch.path, '/api/v1/namespaces/default/pods/p/status');
    assert.equal(patch.headers['content-type'], 'application/strategic-merge-patch+json');
    await settled(client.patch(pods, 'default', 'p', 'apply', {}));
    assert.equal(local.requests.at(-1)!.query, 'fieldManager=tester');
    await settled(client.delete(pods, 'default', 'p', { preconditions: { uid: 'u' }, dryRun: true }));
    assert.deepEqual(bodyOf(local)['preconditions'], { uid: 'u' });
    assert.equal(local.requests.at(-1)!.query, 'dryRun=All');
  });

  it('gives list items the type that lists leave out', async () => {
    local.answer = () => ({
      status: 200,
      body: { metadata: { resourceVersion: '1' }, items: [{ metadata: {} }] },
    });
    const list = await settled(client.list(configMaps));
    assert.deepEqual(list.items[0], { apiVersion: 'v1', kind: 'ConfigMap', metadata: {} });
  });

  it('turns a Status into an error with its reason, at once and for good', async () => {
    local.answer = () => ({ status: 404, body: statusBody(404, 'NotFound', 'configmaps "a" not found') });
    const error = await rejection(settled(client.get(configMaps, 'default', 'a')));
    assert.deepEqual([error.status, error.reason, error.definite], [404, 'NotFound', true]);
    assert.match(error.message, /configmaps "a" not found/);
    assert.equal(local.requests.length, 1);
  });

  it('fails over, also with a write, when the apiserver says 503', async () => {
    local.answer = () => ({ status: 503, body: statusBody(503, 'ServiceUnavailable') });
    await settled(client.create(configMaps, { metadata: { name: 'a', namespace: 'default' } }));
    assert.equal(remote.requests.length, 1);
    // The one that failed is asked last for a while.
    await settled(client.create(configMaps, { metadata: { name: 'b', namespace: 'default' } }));
    assert.equal(local.requests.length, 1);
  });

  it('fails over, also with a write, when the node is gone before the request', async () => {
    world.kill(systems[1]!.node);
    await world.pass(10_000);
    await settled(client.create(configMaps, { metadata: { name: 'a', namespace: 'default' } }));
    assert.equal(remote.requests.length, 1);
  });

  it('repeats a read on the next apiserver when the answer does not come', async () => {
    local.answer = () => 'silence';
    await settled(client.get(configMaps, 'default', 'a'));
    assert.equal(local.requests.length, 1);
    assert.equal(remote.requests.length, 1);
  });

  for (const answer of ['silence', 'crash'] as const) {
    it(`never repeats a write that met ${answer}: it may have been done`, async () => {
      local.answer = () => answer;
      const write = client.create(configMaps, { metadata: { name: 'a', namespace: 'default' } });
      const error = await rejection(settled(write));
      assert.equal(error.definite, false);
      assert.equal(local.requests.length, 1);
      assert.equal(remote.requests.length, 0);
    });
  }

  it('never repeats a write that was answered with 504', async () => {
    local.answer = () => ({ status: 504, body: statusBody(504, 'Timeout') });
    const write = client.create(configMaps, { metadata: { name: 'a', namespace: 'default' } });
    assert.equal((await rejection(settled(write))).definite, false);
    assert.equal(remote.requests.length, 0);
  });

  it('waits as long as a 429 asks for, then tries again', async () => {
    local.answer = () =>
      local.requests.length === 1
        ? { status: 429, body: statusBody(429, 'TooManyRequests'), headers: { 'retry-after': '2' } }
        : { status: 201, body: {} };
    const before = world.simulation.nowMs;
    await settled(client.create(configMaps, { metadata: { name: 'a', namespace: 'default' } }));
    assert.ok(world.simulation.nowMs - before >= 2000);
    assert.equal(local.requests.length, 2);
  });

  it('gives up after its deadline when nobody can be reached', async () => {
    for (const server of [local, remote]) server.answer = () => ({ status: 503 });
    const error = await rejection(settled(client.get(configMaps, 'default', 'a')));
    assert.deepEqual([error.status, error.definite], [503, true]);
    assert.ok(world.simulation.nowMs < 12_000);
  });
});

describe('watch over actor messages', () => {
  let world: SimWorld;
  let systems: RunningActorSystem[];
  let server: ScriptedApiServer;
  let got: string[];
  let close: () => void;

  beforeEach(async () => {
    world = new SimWorld(11);
    systems = ['m1', 'm2'].map((name) => world.system(nodeId(name)));
    server = new ScriptedApiServer(systems[1]!);
    server.answer = () => 'stream';
    const client = createApiClient({
      system: systems[0]!,
      apiservers: [server.ref],
      userAgent: 'tester',
      limits: { watchCreditChunks: 8, watchIdleMs: 20_000 },
    });
    got = [];
    await world.pass(50);
    close = await world.settled(
      client.watch(
        configMaps,
        { namespace: 'default', resourceVersion: '5' },
        {
          onEvent: (type, object) => {
            if (object.metadata?.name === 'poison') throw new Error('cannot stomach it');
            got.push(`${type} ${object.metadata?.name ?? ''}`);
          },
          onClose: () => got.push('closed'),
        },
      ),
    );
  });

  const line = (type: string, name: string) =>
    `${JSON.stringify({ type, object: { metadata: { name } } })}\n`;
  const stream = () => server.streams[0]!;

  it('asks for bookmarks from a version on and decodes lines across chunks', async () => {
    assert.equal(stream().request.query, 'watch=true&resourceVersion=5&allowWatchBookmarks=true');
    const text = line('ADDED', 'a') + line('MODIFIED', 'b');
    stream().send(text.slice(0, 11));
    stream().send(text.slice(11));
    await world.pass(10);
    assert.deepEqual(got, ['ADDED a', 'MODIFIED b']);
  });

  it('returns credit as it consumes', async () => {
    for (let n = 0; n < 8; n += 1) stream().send(line('ADDED', String(n)));
    assert.equal(stream().taken, 0);
    await world.pass(10);
    assert.equal(stream().taken, 8);
  });

  it('closes at a gap and tells the server', async () => {
    stream().send(line('ADDED', 'a'));
    stream().skip();
    stream().send(line('ADDED', 'c'));
    await world.pass(10);
    assert.deepEqual(got, ['ADDED a', 'closed']);
    assert.equal(stream().cancelled, true);
  });

  it('closes when the end came before all chunks', async () => {
    stream().skip();
    stream().end();
    await world.pass(10);
    assert.deepEqual(got, ['closed']);
  });

  it('closes at once when the apiserver actor crashes', async () => {
    systems[1]!.crash('/apiserver', 'on purpose');
    await world.pass(100);
    assert.deepEqual(got, ['closed']);
  });

  it('closes when the node is lost', async () => {
    world.kill(systems[1]!.node);
    await world.run(() => got.includes('closed'), { maxVirtualMs: 15_000 });
  });

  it('closes after a long silence: the last letter may be the lost one', async () => {
    await world.pass(19_000);
    assert.deepEqual(got, []);
    await world.pass(2_000);
    assert.deepEqual(got, ['closed']);
  });

  it('closes when its handler throws, so that the informer starts a new one', async () => {
    stream().send(line('ADDED', 'poison'));
    await world.pass(10);
    assert.deepEqual(got, ['closed']);
  });

  it('says nothing more once the consumer has closed it', async () => {
    close();
    stream().send(line('ADDED', 'late'));
    await world.pass(10);
    assert.deepEqual(got, []);
    assert.equal(stream().cancelled, true);
  });
});
