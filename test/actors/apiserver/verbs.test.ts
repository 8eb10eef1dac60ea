import assert from 'node:assert/strict';
import { serverWorld, type ServerWorld } from './server-world.js';

const configMaps = '/api/v1/namespaces/default/configmaps';

async function clusterWithNamespace(): Promise<ServerWorld> {
  const cluster = await serverWorld({ authorizer: 'always-allow' });
  await cluster.call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'default' } } });
  return cluster;
}

describe('the verbs of the API', () => {
  it('create answers 201 with uid, creationTimestamp and resourceVersion, and get gives the same object', async () => {
    const cluster = await clusterWithNamespace();
    const created = await cluster.create(configMaps, { metadata: { name: 'a' }, data: { k: 'v' } });
    assert.equal(created.kind, 'ConfigMap');
    assert.equal(created.apiVersion, 'v1');
    assert.match(created.metadata.uid, /^[0-9a-f-]{36}$/);
    assert.match(created.metadata.resourceVersion, /^\d+$/);
    assert.match(created.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const got = await cluster.call('GET', `${configMaps}/a`);
    assert.equal(got.status, 200);
    assert.deepEqual(got.json, created);
  });

  it('a second create of the name is 409 AlreadyExists', async () => {
    const cluster = await clusterWithNamespace();
    await cluster.create(configMaps, { metadata: { name: 'a' } });
    const again = await cluster.call('POST', configMaps, { body: { metadata: { name: 'a' } } });
    assert.equal(again.status, 409);
    assert.equal(again.json.reason, 'AlreadyExists');
    assert.equal(again.json.message, 'configmaps "a" already exists');
    assert.deepEqual(again.json.details, { name: 'a', kind: 'configmaps' });
  });

  it('a list has its own resourceVersion and items without kind', async () => {
    const cluster = await clusterWithNamespace();
    await cluster.create(configMaps, { metadata: { name: 'b' } });
    await cluster.create(configMaps, { metadata: { name: 'a' } });
    const { json } = await cluster.call('GET', configMaps);
    assert.equal(json.kind, 'ConfigMapList');
    assert.deepEqual(
      json.items.map((item: { kind?: string; metadata: { name: string } }) => [
        item.kind,
        item.metadata.name,
      ]),
      [
        [undefined, 'a'],
        [undefined, 'b'],
      ],
    );
    assert.equal(json.metadata.resourceVersion, String(cluster.store.revision));
  });

  it('an update with an old resourceVersion is 409 Conflict, and one with the newest is written', async () => {
    const cluster = await clusterWithNamespace();
    const created = await cluster.create(configMaps, { metadata: { name: 'a' }, data: { k: '1' } });
    const second = await cluster.call('PUT', `${configMaps}/a`, { body: { ...created, data: { k: '2' } } });
    assert.equal(second.status, 200);
    assert.equal(second.json.data.k, '2');
    const stale = await cluster.call('PUT', `${configMaps}/a`, { body: { ...created, data: { k: '3' } } });
    assert.equal(stale.status, 409);
    assert.equal(
      stale.json.message,
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; ' +
        'please apply your changes to the latest version and try again',
    );
  });

  it('a write that changes nothing keeps the resourceVersion and reaches no watcher', async () => {
    const cluster = await clusterWithNamespace();
    const created = await cluster.create(configMaps, { metadata: { name: 'a' }, data: { x: '1', y: '2' } });
    const watch = await cluster.watch(
      `${configMaps}?watch=true&resourceVersion=${created.metadata.resourceVersion}`,
    );
    const same = await cluster.call('PUT', `${configMaps}/a`, {
      body: { ...created, data: { y: '2', x: '1' } },
    });
    assert.equal(same.json.metadata.resourceVersion, created.metadata.resourceVersion);
    await cluster.create(configMaps, { metadata: { name: 'b' } });
    await cluster.world.until(() => watch.lines.length > 0);
    assert.deepEqual(watch.seen, ['ADDED b']);
  });

  it('a merge patch changes what it names', async () => {
    const cluster = await clusterWithNamespace();
    await cluster.create(configMaps, { metadata: { name: 'a' }, data: { k: '1', l: '2' } });
    const patched = await cluster.call('PATCH', `${configMaps}/a`, {
      body: { data: { k: null, m: '3' } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    assert.equal(patched.status, 200, patched.text);
    assert.deepEqual(patched.json.data, { l: '2', m: '3' });
  });

  it('delete answers with a Status that names the object, and get says NotFound afterwards', async () => {
    const cluster = await clusterWithNamespace();
    const created = await cluster.create(configMaps, { metadata: { name: 'a' } });
    const deleted = await cluster.call('DELETE', `${configMaps}/a`);
    assert.equal(deleted.status, 200);
    assert.equal(deleted.json.status, 'Success');
    assert.deepEqual(deleted.json.details, { name: 'a', kind: 'configmaps', uid: created.metadata.uid });
    const gone = await cluster.call('GET', `${configMaps}/a`);
    assert.equal(gone.status, 404);
    assert.equal(gone.json.message, 'configmaps "a" not found');
  });

  it('a watch from a revision tells every change after it in order, deletes with the last state', async () => {
    const cluster = await clusterWithNamespace();
    const a = await cluster.create(configMaps, { metadata: { name: 'a' }, data: { k: '1' } });
    await cluster.create(configMaps, { metadata: { name: 'b' } });
    const watch = await cluster.watch(
      `${configMaps}?watch=true&resourceVersion=${a.metadata.resourceVersion}`,
    );
    await cluster.call('PUT', `${configMaps}/a`, { body: { ...a, data: { k: '2' } } });
    await cluster.call('DELETE', `${configMaps}/a`);
    await cluster.world.until(() => watch.lines.length === 3);
    assert.deepEqual(watch.seen, ['ADDED b', 'MODIFIED a', 'DELETED a']);
    const last = watch.lines[2]!.object as { data: unknown; metadata: { resourceVersion: string } };
    assert.deepEqual(last.data, { k: '2' });
    assert.equal(last.metadata.resourceVersion, String(cluster.store.revision));
  });
});
