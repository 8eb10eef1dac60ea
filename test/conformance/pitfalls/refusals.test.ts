/** What the API says no to, in which words: status codes, reasons, details and messages that clients match on. */
import assert from 'node:assert/strict';
import { type Answer, serverWorld, type ServerWorld } from '../../actors/apiserver/server-world.js';

const configMaps = '/api/v1/namespaces/default/configmaps';
const merge = { 'content-type': 'application/merge-patch+json' };
const strategic = { 'content-type': 'application/strategic-merge-patch+json' };
const apply = { 'content-type': 'application/apply-patch+yaml' };

function says(answer: Answer, code: number, reason: string | undefined, message: string | RegExp): void {
  assert.equal(answer.json?.kind, 'Status', answer.text);
  const { code: given, reason: why, message: text } = answer.json;
  assert.deepEqual([answer.status, given, why], [code, code, reason], answer.text);
  if (typeof message === 'string') assert.equal(text, message);
  else assert.match(text, message);
}

describe('refusals', () => {
  let cluster: ServerWorld;
  const post = (body: unknown, query = '') => cluster.call('POST', `${configMaps}${query}`, { body });
  const put = (body: unknown) => cluster.call('PUT', `${configMaps}/a`, { body });
  const patch = (body: unknown, headers: Record<string, string>, query = '') =>
    cluster.call('PATCH', `${configMaps}/a${query}`, { body, headers });

  before(async () => {
    cluster = await serverWorld({ authorizer: 'always-allow' });
  });

  beforeEach(async () => {
    await cluster.call('DELETE', `${configMaps}/a`);
    await cluster.create(configMaps, { metadata: { name: 'a' }, data: { k: 'v' } });
  });

  it('a body that cannot be read is 400 with the kind that was expected and its first bytes', async () => {
    const unread =
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; ";
    const end = 'json parse error: unexpected end of JSON input';
    says(await post(new Uint8Array()), 400, 'BadRequest', `${unread}${end} (<empty>)`);
    says(await post('{"metadata":'), 400, 'BadRequest', `${unread}${end} ({"metadata":)`);
    says(
      await post('[]'),
      400,
      'BadRequest',
      /cannot unmarshal array into Go value of type struct .* \(5b5d\)$/,
    );
  });

  it('an object of another kind or version is 400', async () => {
    says(
      await post({ kind: 'Pod', apiVersion: 'v1' }),
      400,
      'BadRequest',
      'Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion',
    );
    says(
      await post({ kind: 'ConfigMap', apiVersion: 'apps/v1' }),
      400,
      'BadRequest',
      'the API version in the data (apps/v1) does not match the expected API version (v1)',
    );
  });

  it('a resourceVersion on create is 500 without a reason, as it has always been', async () => {
    const answer = await post({ metadata: { name: 'b', resourceVersion: '5' } });
    says(answer, 500, undefined, 'resourceVersion should not be set on objects to be created');
    assert.equal(answer.json.details, undefined);
  });

  it('methods that a path does not have are 405 in the general words', async () => {
    const refused = [
      ['POST', `${configMaps}/a`],
      ['PUT', configMaps],
      ['PATCH', configMaps],
      ['OPTIONS', configMaps],
      ['HEAD', configMaps],
      ['POST', '/api/v1/configmaps'],
      ['DELETE', '/api/v1/configmaps'],
      ['DELETE', `${configMaps.replace('configmaps', 'pods')}/x/log`],
      ['POST', '/version'],
    ] as const;
    for (const [method, path] of refused) {
      const answer = await cluster.call(method, path, { body: { metadata: { name: 'a' } } });
      says(
        answer,
        405,
        'MethodNotAllowed',
        'the server does not allow this method on the requested resource',
      );
      assert.deepEqual(answer.json.details, {});
    }
    assert.equal((await cluster.call('GET', `${configMaps}/a`)).status, 200, 'nothing was deleted');
  });

  it('paths that nothing serves are 404 with empty details', async () => {
    const paths = ['/api/v1/namespaces/default/foos', '/apis/none/v1/bars', `${configMaps}/a/nope`, '/nope'];
    for (const path of [...paths, '/api/v1/configmaps/a', '/api/v1/namespaces/default/pods/x/log/more']) {
      const answer = await cluster.call('GET', path);
      says(answer, 404, 'NotFound', 'the server could not find the requested resource');
      assert.deepEqual(answer.json.details, {});
    }
  });

  it('options of a request are refused with 422 of their own kind', async () => {
    const wrong = [
      [
        () => post({ metadata: { name: 'b' } }, '?dryRun=No'),
        'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["No"]: supported values: "All"',
      ],
      [
        () => post({ metadata: { name: 'b' } }, '?fieldValidation=No'),
        'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "No": ' +
          'supported values: "", "Ignore", "Strict", "Warn"',
      ],
      [
        () => post({ metadata: { name: 'b' } }, `?fieldManager=${'x'.repeat(129)}`),
        'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes',
      ],
      [
        () => patch({ apiVersion: 'v1', kind: 'ConfigMap' }, apply),
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
      ],
      [
        () => patch({}, merge, '?force=true'),
        'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
      ],
    ] as const;
    for (const [ask, text] of wrong) says(await ask(), 422, 'Invalid', text);
  });

  it('PUT needs the name of the URL in the body, and takes resourceVersion 0 for none', async () => {
    says(
      await put({ metadata: {} }),
      400,
      'BadRequest',
      'the name of the object (a based on URL) was undeterminable: name must be provided',
    );
    says(
      await put({ metadata: { name: 'b' } }),
      400,
      'BadRequest',
      'the name of the object (b) does not match the name on the URL (a)',
    );
    says(
      await put({ metadata: { name: 'a', namespace: 'other' } }),
      400,
      'BadRequest',
      'the namespace of the provided object does not match the namespace sent on the request',
    );
    assert.equal((await put({ metadata: { name: 'a', resourceVersion: '0' } })).status, 200);
  });

  it('PUT of another uid or an old resourceVersion is 409', async () => {
    says(
      await put({ metadata: { name: 'a', uid: 'other' } }),
      409,
      'Conflict',
      /^Operation cannot be fulfilled on configmaps "a": StorageError: .* Precondition failed: UID in precondition: other, /,
    );
    const stale = await put({ metadata: { name: 'a', resourceVersion: '1' } });
    says(
      stale,
      409,
      'Conflict',
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; ' +
        'please apply your changes to the latest version and try again',
    );
    assert.deepEqual(stale.json.details, { name: 'a', kind: 'configmaps' });
  });

  it('unknown and duplicate fields are warned of, refused or dropped, as fieldValidation says', async () => {
    const body = '{"metadata":{"name":"b","x":1},"data":{"k":"1","k":"2"},"y":1,"y":2}';
    says(
      await post(body, '?fieldValidation=Strict'),
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: ' +
        'unknown field "metadata.x", unknown field "y", duplicate field "data.k"',
    );
    const warned = await post(body, '?dryRun=All');
    assert.equal(
      warned.headers['warning'],
      '299 - "unknown field \\"metadata.x\\"", 299 - "unknown field \\"y\\"", 299 - "duplicate field \\"data.k\\""',
    );
    assert.equal((await post(body, '?dryRun=All&fieldValidation=Ignore')).headers['warning'], undefined);
  });

  it('unknown fields of a patch are 422 under Strict, those of an apply 500', async () => {
    for (const headers of [merge, strategic]) {
      const answer = await patch({ foo: 1 }, headers, '?fieldValidation=Strict');
      says(
        answer,
        422,
        'Invalid',
        /^ "" is invalid: patch: Invalid value: ".*": strict decoding error: unknown field "foo"$/,
      );
    }
    const body = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a', namespace: 'default' },
      foo: 1,
    };
    says(
      await patch(body, apply, '?fieldManager=m'),
      500,
      undefined,
      'failed to create typed patch object (default/a; /v1, Kind=ConfigMap): .foo: field not declared in schema',
    );
  });

  it('an apply without kind, or in another version, is 400', async () => {
    says(
      await patch({ data: {} }, apply, '?fieldManager=m'),
      400,
      'BadRequest',
      `error decoding YAML: Object 'Kind' is missing in '{"data":{}}'`,
    );
    says(
      await patch({ kind: 'ConfigMap', apiVersion: 'v2' }, apply, '?fieldManager=m'),
      400,
      'BadRequest',
      'Incorrect version specified in apply patch. Specified patch version: v2, expected: v1',
    );
  });

  it('a JSON patch whose test fails is 422, a malformed one 400, an unknown patch type 415', async () => {
    const json = { 'content-type': 'application/json-patch+json' };
    const test = await patch([{ op: 'test', path: '/data/k', value: 'w' }], json);
    says(test, 422, 'Invalid', /^the server rejected our request due to an error in our request/);
    // Otherwise kubectl would say that the object is invalid, and not why.
    assert.deepEqual(test.json.details, {});
    const missing = await patch([{ op: 'remove', path: '/data/none' }], json);
    says(missing, 422, 'Invalid', /doc is missing path: \/data\/none/);
    assert.deepEqual(missing.json.details, {});
    says(await patch({ op: 'test' }, json), 400, 'BadRequest', /array/);
    says(await patch('{', merge), 400, 'BadRequest', /^error decoding patch: /);
    says(
      await patch({}, { 'content-type': 'application/json' }),
      415,
      'UnsupportedMediaType',
      /^the body of the request was in an unknown format - accepted media types include: application\/json-patch\+json/,
    );
  });

  it('DELETE refuses wrong options and preconditions that do not hold, and deletes nothing', async () => {
    const remove = (body: unknown, query = '') => cluster.call('DELETE', `${configMaps}/a${query}`, { body });
    says(
      await remove(undefined, '?propagationPolicy=No'),
      422,
      'Invalid',
      'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "No": ' +
        'supported values: "Foreground", "Background", "Orphan", "nil"',
    );
    says(
      await remove({ propagationPolicy: 'Orphan', orphanDependents: true }),
      422,
      'Invalid',
      /cannot be both set$/,
    );
    says(await remove({ dryRun: ['No'] }), 422, 'Invalid', /dryRun: Unsupported value/);
    says(
      await remove(undefined, '?gracePeriodSeconds=x'),
      400,
      'BadRequest',
      'strconv.ParseInt: parsing "x": invalid syntax',
    );
    says(
      await remove({ kind: 'Pod' }),
      400,
      'BadRequest',
      'decoded object cannot be converted to DeleteOptions',
    );
    says(
      await remove({ preconditions: { uid: 'other' } }),
      409,
      'Conflict',
      /^Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition \(other\) does not match the UID in record/,
    );
    assert.equal((await cluster.call('GET', `${configMaps}/a`)).status, 200);
  });

  it('lists and watches refuse wrong options', async () => {
    const get = (query: string) => cluster.call('GET', `${configMaps}?${query}`);
    says(
      await get('resourceVersion=x'),
      422,
      'Invalid',
      /resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax$/,
    );
    says(await get('continue=x'), 400, 'BadRequest', /^invalid continue token: continue key is not valid: /);
    const tooLarge = await get('resourceVersion=99999');
    says(tooLarge, 504, 'Timeout', /^Timeout: Too large resource version: 99999, current: \d+$/);
    assert.deepEqual(tooLarge.json.details.causes, [
      { reason: 'ResourceVersionTooLarge', message: 'Too large resource version' },
    ]);
  });
});
