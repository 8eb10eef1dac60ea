/** What reading shows: lists, watches and their forms; who may be who; health and discovery. */
import assert from 'node:assert/strict';
import {
  type Json,
  serverWorld,
  type ServerWorld,
  type Stream,
} from '../../actors/apiserver/server-world.js';

const core = '/api/v1/namespaces/default';
const configMaps = `${core}/configmaps`;
const merge = { 'content-type': 'application/merge-patch+json' };
const as = (what: string) => ({ accept: `application/json;as=${what};g=meta.k8s.io;v=v1` });

describe('reads', () => {
  let cluster: ServerWorld;
  const get = (url: string, headers: Record<string, string> = {}) => cluster.call('GET', url, { headers });
  const patch = (name: string, body: unknown) =>
    cluster.call('PATCH', `${configMaps}/${name}`, { body, headers: merge });
  const lines = async (stream: Stream, count: number): Promise<Json[]> => {
    await cluster.world.until(() => stream.lines.length >= count);
    return stream.lines;
  };

  beforeEach(async () => {
    cluster = await serverWorld({ authorizer: 'always-allow' });
    await cluster.create(configMaps, { metadata: { name: 'a', labels: { x: '1' } } });
  });

  it('a list has its kind and revision, items without kind, and [] for none', async () => {
    const list = (await get(configMaps)).json;
    assert.deepEqual([list.kind, list.apiVersion], ['ConfigMapList', 'v1']);
    assert.match(list.metadata.resourceVersion, /^[1-9]\d*$/);
    assert.deepEqual([list.items[0].kind, list.items[0].apiVersion], [undefined, undefined]);
    assert.equal(typeof list.items[0].metadata.resourceVersion, 'string');
    const none = (await get('/api/v1/namespaces/nowhere/pods')).json;
    assert.deepEqual(none.items, []);
    assert.match(none.metadata.resourceVersion, /^\d+$/);
  });

  it('a watch through a selector shows entering as ADDED and leaving as DELETED, with new revisions', async () => {
    const { resourceVersion } = (await get(configMaps)).json.metadata;
    const query = `watch=1&labelSelector=x%3D1&resourceVersion=${resourceVersion}`;
    const stream = await cluster.watch(`${configMaps}?${query}`);
    const revisions: string[] = [];
    for (const label of ['2', '1', '1']) {
      const data = { n: String(revisions.length) };
      const answer = await patch('a', { metadata: { labels: { x: label } }, data });
      revisions.push(answer.json.metadata.resourceVersion);
    }
    await cluster.call('DELETE', `${configMaps}/a`);
    const seen = await lines(stream, 4);
    assert.deepEqual(
      seen.map(({ type }) => type),
      ['DELETED', 'ADDED', 'MODIFIED', 'DELETED'],
    );
    const shown = seen.map(({ object }) => object.metadata.resourceVersion);
    assert.deepEqual(shown.slice(0, 3), revisions);
    assert(Number(shown[3]) > Number(revisions[2]), 'the last state comes at the revision of the delete');
    assert.equal(seen[3].object.data.n, '2');
    assert.equal(seen[0].object.metadata.labels.x, '1', 'what leaves is shown as it was seen last');
  });

  it('every event of a Table watch is a Table, with headers in the first alone', async () => {
    const query = 'watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan';
    const stream = await cluster.watch(`${configMaps}?${query}`, { headers: as('Table') });
    await patch('a', { data: { k: 'v' } });
    const [added, bookmark, modified] = await lines(stream, 3);
    assert.deepEqual([added.object.kind, modified.object.kind], ['Table', 'Table']);
    assert.equal(added.object.columnDefinitions[0].name, 'Name');
    assert.deepEqual(modified.object.columnDefinitions, []);
    assert.equal(added.object.rows[0].object.kind, 'PartialObjectMetadata');
    const { annotations } = bookmark.object.rows[0].object.metadata;
    assert.deepEqual([bookmark.type, annotations], ['BOOKMARK', { 'k8s.io/initial-events-end': 'true' }]);
  });

  it('a watch from before the history is told in the stream that it is Expired', async () => {
    const server = cluster.another();
    await cluster.world.until(() => server.ready());
    const path = configMaps;
    const request = { method: 'GET', path, query: 'watch=1&resourceVersion=1', headers: {} };
    const identity = { username: 'u', groups: [] };
    const { status, body } = await cluster.world.settled(server.handle(request, identity));
    assert.equal(status, 200);
    assert(!(body instanceof Uint8Array));
    const chunks: string[] = [];
    let ended = false;
    body.start({
      chunk: (bytes) => void chunks.push(Buffer.from(bytes).toString()),
      end: () => {
        ended = true;
      },
      bufferedBytes: () => 0,
    });
    await cluster.world.until(() => ended);
    const { type, object } = JSON.parse(chunks.join(''));
    assert.deepEqual([type, object.code, object.reason], ['ERROR', 410, 'Expired']);
    assert.match(object.message, /^too old resource version: 1 \(\d+\)$/);
    server.stop();
  });

  it('an exact list from before the compaction is 410 Expired', async () => {
    const before = (await get(configMaps)).json.metadata.resourceVersion;
    await patch('a', { data: { k: 'v' } });
    await patch('a', { data: { k: 'w' } });
    await cluster.world.settled(cluster.store.compact((Number(before) + 1) as never));
    const answer = await get(`${configMaps}?resourceVersion=${before}&resourceVersionMatch=Exact`);
    assert.deepEqual([answer.status, answer.json.reason], [410, 'Expired']);
    assert.equal(answer.json.message, 'The resourceVersion for the provided list is too old.');
  });

  it('metadata alone comes as one object or as a list, each asked for by its own name', async () => {
    const one = await get(`${configMaps}/a`, as('PartialObjectMetadata'));
    assert.deepEqual([one.json.kind, one.json.apiVersion], ['PartialObjectMetadata', 'meta.k8s.io/v1']);
    const list = await get(configMaps, as('PartialObjectMetadataList'));
    assert.equal(list.json.kind, 'PartialObjectMetadataList');
    assert.deepEqual(
      [list.json.items[0].kind, list.json.items[0].metadata.name],
      ['PartialObjectMetadata', 'a'],
    );
    assert.equal((await get(configMaps, as('PartialObjectMetadata'))).status, 406);
    assert.equal((await get(`${configMaps}/a`, as('PartialObjectMetadataList'))).status, 406);
    const review = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    const body = { spec: { nonResourceAttributes: { verb: 'get', path: '/' } } };
    assert.equal((await cluster.call('POST', review, { body, headers: as('Table') })).status, 406);
  });

  it('YAML has its keys in order and its times quoted', async () => {
    const answer = await get(`${configMaps}/a`, { accept: 'application/yaml' });
    assert.equal(answer.headers['content-type'], 'application/yaml');
    assert.match(answer.text, /^apiVersion: v1\nkind: ConfigMap\nmetadata:\n {2}creationTimestamp: "20/);
  });

  it('people and those who ask get JSON that they can read', async () => {
    const indented = /^\{\n {2}"kind": "ConfigMap",\n/;
    assert.match((await get(`${configMaps}/a`, { 'user-agent': 'curl/8.5.0' })).text, indented);
    assert.match((await get(`${configMaps}/a?pretty=true`)).text, indented);
    assert.doesNotMatch((await get(`${configMaps}/a`)).text, /\n/);
    assert.doesNotMatch(
      (await get(`${configMaps}/a?pretty=false`, { 'user-agent': 'curl/8.5.0' })).text,
      /\n/,
    );
  });

  it('an OpenAPI document under an old hash is elsewhere now', async () => {
    const paths = (await get('/openapi/v3')).json.paths as Record<string, { serverRelativeURL: string }>;
    const url = paths['api/v1']!.serverRelativeURL;
    const right = await get(url);
    assert.deepEqual([right.status, right.headers['cache-control']], [200, 'public, immutable']);
    const old = await get(url.replace(/hash=.*/, 'hash=OLD'));
    assert.deepEqual([old.status, old.headers['location']], [301, url]);
    const headers = { 'if-none-match': right.headers['etag']! };
    assert.equal((await cluster.respond('GET', url, { headers })).status, 304);
  });

  it('health says ok, or each check when asked', async () => {
    assert.equal((await get('/livez')).text, 'ok');
    assert.match(
      (await get('/readyz?verbose')).text,
      /^\[\+\]ping ok\n(\[\+\].+ ok\n)+readyz check passed\n$/,
    );
    assert.equal((await get('/livez/ping')).text, 'ok');
    assert.equal((await get('/livez/nothing')).status, 404);
    assert.match((await get('/version')).json.minor, /^\d+$/);
  });

  it('nobody acts in a group, or with a uid, without a user to be', () => {
    const identity = { username: 'admin', groups: ['system:masters'] };
    for (const header of ['impersonate-group', 'impersonate-uid', 'impersonate-extra-scopes']) {
      assert.throws(() => cluster.server.impersonate(identity, { [header]: 'x' }), {
        code: 400,
        message: `requested ${header} without impersonating a user`,
      });
    }
    const headers = { 'impersonate-user': 'system:serviceaccount:ns:sa' };
    assert.deepEqual(cluster.server.impersonate(identity, headers).groups, [
      'system:serviceaccounts',
      'system:serviceaccounts:ns',
      'system:authenticated',
    ]);
  });

  it('an eviction beyond the budget is 429 with its cause, and says when to come back only if it knows', async () => {
    const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
    const spec = { minAvailable: 1, selector: { matchLabels: { app: 'x' } } };
    await cluster.create(budgets, { metadata: { name: 'b' }, spec });
    const containers = [{ name: 'c', image: 'x' }];
    await cluster.create(`${core}/pods`, {
      metadata: { name: 'p', labels: { app: 'x' } },
      spec: { containers },
    });
    const ready = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
    await cluster.call('PATCH', `${core}/pods/p/status`, { body: { status: ready }, headers: merge });
    const evict = () =>
      cluster.call('POST', `${core}/pods/p/eviction`, { body: { metadata: { name: 'p' } } });
    const early = await evict();
    assert.deepEqual([early.status, early.headers['retry-after']], [429, '10']);
    assert.match(early.json.details.causes[0].message, /is still being processed by the server/);
    const status = { observedGeneration: 1, currentHealthy: 1, desiredHealthy: 1, disruptionsAllowed: 0 };
    await cluster.call('PATCH', `${budgets}/b/status`, { body: { status }, headers: merge });
    const refused = await evict();
    assert.deepEqual([refused.status, refused.headers['retry-after']], [429, undefined]);
    assert.deepEqual(refused.json.details, {
      causes: [
        {
          reason: 'DisruptionBudget',
          message: 'The disruption budget b needs 1 healthy pods and has 1 currently',
        },
      ],
    });
    const other = await cluster.call('POST', `${core}/pods/p/eviction`, {
      body: { metadata: { name: 'q' } },
    });
    assert.equal(other.json.message, 'name in URL does not match name in Eviction object');
  });
});
