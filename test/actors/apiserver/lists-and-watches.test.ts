import assert from 'node:assert/strict';
import { afterEach } from 'mocha';
import { type Json, serverWorld, type ServerWorld } from './server-world.js';

const configMaps = '/api/v1/namespaces/default/configmaps';

describe('lists and watches', () => {
  let cluster: ServerWorld;
  beforeEach(async () => {
    cluster = await serverWorld({ authorizer: 'always-allow' });
  });
  afterEach(() => cluster.world.end());

  const names = (list: Json) => list.items.map((item: Json) => item.metadata.name);
  const make = (name: string, more: object = {}) =>
    cluster.create(configMaps, { metadata: { name, ...more }, data: { of: name } });

  it('pages of a list stay at the revision of the first, whatever happens in between', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await make(name);
    const first = (await cluster.call('GET', `${configMaps}?limit=2`)).json;
    assert.deepEqual(names(first), ['a', 'b']);
    assert.equal(first.metadata.remainingItemCount, 3);
    await make('bb');
    await cluster.call('DELETE', `${configMaps}/d`);
    const rest = `${configMaps}?limit=2&continue=${first.metadata.continue}`;
    const second = (await cluster.call('GET', rest)).json;
    assert.deepEqual(names(second), ['c', 'd']);
    assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
    const third = (await cluster.call('GET', `${configMaps}?limit=2&continue=${second.metadata.continue}`))
      .json;
    assert.deepEqual(names(third), ['e']);
    assert.equal(third.metadata.continue, undefined);
  });

  it('a page after compaction is 410 Expired with a token for an inconsistent continuation', async () => {
    for (const name of ['a', 'b', 'c']) await make(name);
    const first = (await cluster.call('GET', `${configMaps}?limit=1`)).json;
    await make('bb');
    await cluster.world.settled(cluster.store.compact(cluster.store.revision as never));
    const gone = await cluster.call('GET', `${configMaps}?limit=2&continue=${first.metadata.continue}`);
    assert.equal(gone.status, 410);
    assert.equal(gone.json.reason, 'Expired');
    const after = await cluster.call('GET', `${configMaps}?limit=2&continue=${gone.json.metadata.continue}`);
    assert.deepEqual(names(after.json), ['b', 'bb']);
  });

  it('label and field selectors choose, and a selected page has no remainingItemCount', async () => {
    await make('a', { labels: { app: 'x' } });
    await make('b', { labels: { app: 'y' } });
    await make('c', { labels: { app: 'x' } });
    assert.deepEqual(names((await cluster.call('GET', `${configMaps}?labelSelector=app%3Dx`)).json), [
      'a',
      'c',
    ]);
    assert.deepEqual(
      names((await cluster.call('GET', `${configMaps}?fieldSelector=metadata.name%3Db`)).json),
      ['b'],
    );
    const page = (await cluster.call('GET', `${configMaps}?labelSelector=app%3Dx&limit=1`)).json;
    assert.equal(page.metadata.remainingItemCount, undefined);
    assert.ok(page.metadata.continue);
    const unknown = await cluster.call('GET', `${configMaps}?fieldSelector=spec.foo%3Db`);
    assert.equal(unknown.status, 400);
    assert.match(unknown.json.message, /spec\.foo/);
  });

  it('a list at a revision that does not exist yet is 504 with cause ResourceVersionTooLarge', async () => {
    const answer = await cluster.call(
      'GET',
      `${configMaps}?resourceVersion=999999&resourceVersionMatch=NotOlderThan`,
    );
    assert.equal(answer.status, 504);
    assert.equal(answer.json.details.causes[0].reason, 'ResourceVersionTooLarge');
    assert.equal(answer.json.details.retryAfterSeconds, 1);
  });

  it('resourceVersionMatch without resourceVersion is 422', async () => {
    const answer = await cluster.call('GET', `${configMaps}?resourceVersionMatch=Exact`);
    assert.equal(answer.status, 422);
    assert.match(answer.json.message, /resourceVersionMatch is forbidden unless resourceVersion is provided/);
  });

  it('an exact list shows the past', async () => {
    await make('a');
    const { metadata } = (await cluster.call('GET', configMaps)).json;
    await make('b');
    const url = `${configMaps}?resourceVersion=${metadata.resourceVersion}&resourceVersionMatch=Exact`;
    const { json } = await cluster.call('GET', url);
    assert.deepEqual(names(json), ['a']);
    assert.equal(json.metadata.resourceVersion, metadata.resourceVersion);
  });

  it('a watch list sends the state, then the bookmark that ends it, then changes', async () => {
    await make('a');
    const watch = await cluster.watch(
      `${configMaps}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
    );
    await make('b');
    await cluster.world.until(() => watch.lines.length === 3);
    assert.deepEqual(watch.seen, ['ADDED a', 'BOOKMARK', 'ADDED b']);
    const { metadata } = watch.lines[1]!.object as Json;
    assert.equal(metadata.annotations['k8s.io/initial-events-end'], 'true');
    assert.match(metadata.resourceVersion, /^\d+$/);
  });

  it('sendInitialEvents without resourceVersionMatch is 422', async () => {
    const answer = await cluster.call('GET', `${configMaps}?watch=true&sendInitialEvents=true`);
    assert.equal(answer.status, 422);
    assert.equal(answer.json.details.kind, 'ListOptions');
  });

  it('an object that leaves the selector is DELETED, one that enters it is ADDED', async () => {
    const a = await make('a', { labels: { app: 'x' } });
    const url = `${configMaps}?watch=true&labelSelector=app%3Dx&resourceVersion=${a.metadata.resourceVersion}`;
    const watch = await cluster.watch(url);
    const patch = (app: string) =>
      cluster.call('PATCH', `${configMaps}/a`, {
        body: { metadata: { labels: { app } } },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    await patch('y');
    await patch('z');
    await patch('x');
    await cluster.world.until(() => watch.lines.length === 2);
    assert.deepEqual(watch.seen, ['DELETED a', 'ADDED a']);
    const left = watch.lines[0]!.object as Json;
    assert.equal(left.metadata.labels.app, 'x');
    assert.ok(Number(left.metadata.resourceVersion) > Number(a.metadata.resourceVersion));
  });

  it('a watch from before the history is told 410 in the stream', async () => {
    await make('a');
    const old = cluster.store.revision;
    await make('b');
    cluster.store.endWatches();
    await cluster.world.until(() => cluster.server.context.cache.ready);
    await make('c');
    const watch = await cluster.watch(`${configMaps}?watch=true&resourceVersion=${old}`);
    assert.equal(watch.ended, true);
    assert.equal(watch.lines[0]!.type, 'ERROR');
    assert.equal((watch.lines[0]!.object as Json).code, 410);
    assert.equal((watch.lines[0]!.object as Json).reason, 'Expired');
  });

  it('the cache fills again when the store has compacted what it watched, and ends its watches', async () => {
    await make('a');
    const watch = await cluster.watch(`${configMaps}?watch=true`);
    cluster.store.endWatches();
    await cluster.world.until(() => watch.ended);
    await make('b');
    assert.deepEqual(names((await cluster.call('GET', configMaps)).json), ['a', 'b']);
  });

  it('a watch ends after its timeout, with a bookmark shortly before', async () => {
    const watch = await cluster.watch(`${configMaps}?watch=true&timeoutSeconds=10&allowWatchBookmarks=true`);
    await make('a');
    await cluster.world.until(() => watch.ended);
    assert.deepEqual(watch.seen, ['ADDED a', 'BOOKMARK']);
  });

  it('bookmarks come every minute', async () => {
    const watch = await cluster.watch(`${configMaps}?watch=true&allowWatchBookmarks=true`);
    await cluster.world.until(() => watch.lines.length === 2);
    assert.deepEqual(watch.seen, ['BOOKMARK', 'BOOKMARK']);
    watch.cancel();
  });

  it('a watcher that does not read is ended instead of buffered for', async () => {
    const watch = await cluster.watch(`${configMaps}?watch=true`);
    watch.buffered = 100 * 1024 * 1024;
    const value = Buffer.from('{"metadata":{"name":"a","namespace":"default"}}');
    const puts = Array.from({ length: 10_100 }, (_, index) =>
      cluster.store.txn({
        type: 'txn',
        compare: [],
        success: [{ type: 'put', key: `/registry/configmaps/default/n${index}`, value }],
        failure: [],
      }),
    );
    await cluster.world.settled(Promise.all(puts));
    await cluster.world.until(() => watch.ended);
    assert.deepEqual(watch.seen, []);
  });

  it('reads see every write that was acknowledged by another apiserver', async () => {
    const second = cluster.another();
    await cluster.world.until(() => second.ready());
    await make('a');
    const answer = await cluster.world.settled(
      second.handle(
        { method: 'GET', path: `${configMaps}/a`, query: '', headers: {} },
        { username: 'x', groups: [] },
      ),
    );
    assert.equal(answer.status, 200);
  });

  it('a stale cache answers a read at resourceVersion 0 and makes a consistent one wait', async () => {
    cluster.store.held = true;
    await make('a');
    const stale = await cluster.call('GET', `${configMaps}?resourceVersion=0`);
    assert.deepEqual(names(stale.json), []);
    const late = await cluster.call('GET', configMaps);
    assert.equal(late.status, 504);
    cluster.store.held = false;
    cluster.store.deliver();
    assert.deepEqual(names((await cluster.call('GET', configMaps)).json), ['a']);
  });

  it('a write on a stale cache succeeds on the newest version', async () => {
    const a = await make('a');
    cluster.store.held = true;
    await cluster.call('PUT', `${configMaps}/a`, { body: { ...a, data: { of: 'second' } } });
    const patched = await cluster.call('PATCH', `${configMaps}/a`, {
      body: { metadata: { labels: { l: '1' } } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    assert.equal(patched.status, 200);
    assert.deepEqual(patched.json.data, { of: 'second' });
  });

  it('a table carries columns and rows with metadata', async () => {
    await make('a');
    const { json } = await cluster.call('GET', configMaps, {
      headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' },
    });
    assert.equal(json.kind, 'Table');
    assert.equal(json.columnDefinitions[0].name, 'Name');
    assert.equal(json.rows[0].cells[0], 'a');
    assert.equal(json.rows[0].object.kind, 'PartialObjectMetadata');
  });

  it('what cannot be given in any accepted form is 406', async () => {
    const answer = await cluster.call('GET', configMaps, { headers: { accept: 'application/cbor' } });
    assert.equal(answer.status, 406);
    assert.equal(answer.json.reason, 'NotAcceptable');
  });
});
