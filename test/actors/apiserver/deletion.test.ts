import assert from 'node:assert/strict';
import { afterEach } from 'mocha';
import { type Json, serverWorld, type ServerWorld } from './server-world.js';

const configMaps = '/api/v1/namespaces/default/configmaps';
const pods = '/api/v1/namespaces/default/pods';

describe('deletion', () => {
  let cluster: ServerWorld;
  beforeEach(async () => {
    cluster = await serverWorld({ authorizer: 'always-allow' });
  });
  afterEach(() => cluster.world.end());

  const remove = (url: string, body?: object) => cluster.call('DELETE', url, body && { body });
  const pod = (name: string, spec: object = {}, metadata: object = {}) =>
    cluster.create(pods, {
      metadata: { name, ...metadata },
      spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
    });
  const merge = (url: string, body: object) =>
    cluster.call('PATCH', url, { body, headers: { 'content-type': 'application/merge-patch+json' } });

  it('an object with finalizers stays until the last one is taken off', async () => {
    await cluster.create(configMaps, { metadata: { name: 'a', finalizers: ['x/one', 'x/two'] } });
    const first = await remove(`${configMaps}/a`);
    assert.equal(first.status, 200);
    assert.ok(first.json.metadata.deletionTimestamp);
    assert.equal(first.json.metadata.deletionGracePeriodSeconds, 0);
    const again = await remove(`${configMaps}/a`);
    assert.equal(again.json.metadata.resourceVersion, first.json.metadata.resourceVersion);
    await merge(`${configMaps}/a`, { metadata: { finalizers: ['x/two'] } });
    assert.equal((await cluster.call('GET', `${configMaps}/a`)).status, 200);
    const watch = await cluster.watch(`${configMaps}?watch=true&resourceVersion=${cluster.store.revision}`);
    assert.equal((await merge(`${configMaps}/a`, { metadata: { finalizers: null } })).status, 200);
    assert.equal((await cluster.call('GET', `${configMaps}/a`)).status, 404);
    await cluster.world.until(() => watch.lines.length === 1);
    assert.deepEqual(watch.seen, ['DELETED a']);
  });

  it('a terminating object takes no new finalizers and does not come back to life', async () => {
    const { metadata } = await cluster.create(configMaps, { metadata: { name: 'a', finalizers: ['x/one'] } });
    await remove(`${configMaps}/a`);
    const added = await merge(`${configMaps}/a`, { metadata: { finalizers: ['x/one', 'x/new'] } });
    assert.equal(added.status, 422);
    assert.match(added.json.message, /no new finalizers can be added if the object is being deleted/);
    const back = await merge(`${configMaps}/a`, {
      metadata: { deletionTimestamp: null, uid: metadata.uid, creationTimestamp: '2000-01-01T00:00:00Z' },
    });
    assert.ok(back.json.metadata.deletionTimestamp);
    assert.equal(back.json.metadata.creationTimestamp, metadata.creationTimestamp);
  });

  it('foreground adds its finalizer, orphan its own, and both mark the object', async () => {
    await cluster.create(configMaps, { metadata: { name: 'f' } });
    const foreground = await remove(`${configMaps}/f`, { propagationPolicy: 'Foreground' });
    assert.deepEqual(foreground.json.metadata.finalizers, ['foregroundDeletion']);
    await cluster.create(configMaps, { metadata: { name: 'o' } });
    const orphan = await remove(`${configMaps}/o?propagationPolicy=Orphan`);
    assert.deepEqual(orphan.json.metadata.finalizers, ['orphan']);
  });

  it('a wrong uid or resourceVersion precondition is 409 and deletes nothing', async () => {
    await cluster.create(configMaps, { metadata: { name: 'a' } });
    for (const preconditions of [{ uid: 'other' }, { resourceVersion: '1' }]) {
      const refused = await remove(`${configMaps}/a`, { preconditions });
      assert.equal(refused.status, 409);
      assert.match(refused.json.message, /does not match the .* in record/);
    }
    assert.equal((await cluster.call('GET', `${configMaps}/a`)).status, 200);
  });

  it('a pod without a node goes at once', async () => {
    await pod('a');
    const gone = await remove(`${pods}/a`);
    assert.equal(gone.json.kind, 'Pod');
    assert.equal((await cluster.call('GET', `${pods}/a`)).status, 404);
  });

  it('a pod on a node waits for its kubelet, which ends it with grace 0', async () => {
    const created = await pod('a', { nodeName: 'n1' });
    assert.equal(created.metadata.generation, 1);
    const first = await remove(`${pods}/a`);
    assert.equal(first.json.metadata.deletionGracePeriodSeconds, 30);
    assert.equal(first.json.metadata.generation, 2);
    const longer = await remove(`${pods}/a`, { gracePeriodSeconds: 60 });
    assert.equal(longer.json.metadata.deletionGracePeriodSeconds, 30);
    const shorter = await remove(`${pods}/a`, { gracePeriodSeconds: 5 });
    assert.equal(shorter.json.metadata.deletionGracePeriodSeconds, 5);
    const wrong = await remove(`${pods}/a`, { gracePeriodSeconds: 0, preconditions: { uid: 'other' } });
    assert.equal(wrong.status, 409);
    const last = await remove(`${pods}/a`, {
      gracePeriodSeconds: 0,
      preconditions: { uid: created.metadata.uid },
    });
    assert.equal(last.status, 200);
    assert.equal((await cluster.call('GET', `${pods}/a`)).status, 404);
  });

  it('a collection is deleted by selector and the answer lists what went', async () => {
    await cluster.create(configMaps, { metadata: { name: 'a', labels: { app: 'x' } } });
    await cluster.create(configMaps, { metadata: { name: 'b', labels: { app: 'y' } } });
    const deleted = await remove(`${configMaps}?labelSelector=app%3Dx`);
    assert.equal(deleted.json.kind, 'ConfigMapList');
    assert.deepEqual(
      deleted.json.items.map((item: Json) => item.metadata.name),
      ['a'],
    );
    const left = (await cluster.call('GET', configMaps)).json.items;
    assert.deepEqual(
      left.map((item: Json) => item.metadata.name),
      ['b'],
    );
  });

  it('a namespace is Terminating until its spec finalizers are gone, and takes nothing new', async () => {
    await cluster.create('/api/v1/namespaces', { metadata: { name: 'team' } });
    const deleted = await remove('/api/v1/namespaces/team');
    assert.equal(deleted.json.status.phase, 'Terminating');
    const refused = await cluster.call('POST', '/api/v1/namespaces/team/configmaps', {
      body: { metadata: { name: 'a' } },
    });
    assert.equal(refused.status, 403);
    assert.equal(refused.json.details.causes[0].reason, 'NamespaceTerminating');
    const finalized = await cluster.call('PUT', '/api/v1/namespaces/team/finalize', {
      body: { ...deleted.json, spec: { finalizers: [] } },
    });
    assert.equal(finalized.status, 200);
    assert.equal((await cluster.call('GET', '/api/v1/namespaces/team')).status, 404);
  });

  it('default, kube-system and kube-public are not deleted', async () => {
    const refused = await remove('/api/v1/namespaces/kube-system');
    assert.equal(refused.status, 403);
    assert.equal(
      refused.json.message,
      'namespaces "kube-system" is forbidden: this namespace may not be deleted',
    );
  });

  it('a dry run changes nothing', async () => {
    await cluster.create(configMaps, { metadata: { name: 'a' } });
    const { writes } = cluster.store;
    assert.equal((await remove(`${configMaps}/a?dryRun=All`)).status, 200);
    const created = await cluster.call('POST', `${configMaps}?dryRun=All`, {
      body: { metadata: { name: 'b' } },
    });
    assert.equal(created.status, 201);
    assert.equal(created.json.metadata.resourceVersion, undefined);
    assert.equal(cluster.store.writes, writes);
  });
});
