import assert from 'node:assert/strict';
import type { ExpectedKind, FieldValidation } from '../../../actors/objects/index.js';
import { ObjectError, builtinRegistry, decodeObject } from '../../../actors/objects/index.js';

const registry = builtinRegistry();
const deployments = registry.find('apps', 'v1', 'deployments')!;
const configMaps = registry.find('', 'v1', 'configmaps')!;
const pods = registry.find('', 'v1', 'pods')!;

function decode(
  body: unknown,
  expected: ExpectedKind = deployments,
  validation: FieldValidation = 'Strict',
  type?: string,
) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return decodeObject(Buffer.from(text), type ?? 'application/json', expected, validation);
}

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert(error instanceof ObjectError, String(error));
    return `${error.code}: ${error.message}`;
  }
  return assert.fail('nothing was thrown');
}

describe('decoding a body', () => {
  it('gives the form that Go would print: nulls and empties dropped, structs present, keys sorted', () => {
    const { object } = decode(
      {
        kind: 'Pod',
        metadata: { name: 'a', labels: {}, creationTimestamp: null },
        spec: {
          nodeName: '',
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'c', args: [], image: 'i' }],
        },
      },
      pods,
    );
    assert.equal(
      JSON.stringify(object),
      '{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{"containers":[{"image":"i",' +
        '"name":"c","resources":{}}],' +
        '"terminationGracePeriodSeconds":0},"status":{}}',
    );
  });

  it('writes quantities and times canonically', () => {
    const { object } = decode(
      {
        metadata: { name: 'a', creationTimestamp: '2024-01-01T02:00:00+02:00' },
        spec: { containers: [{ name: 'c', resources: { requests: { cpu: 0.5, memory: '1.5Gi' } } }] },
      },
      pods,
    );
    const pod = object as {
      metadata: { creationTimestamp: string };
      spec: { containers: { resources: unknown }[] };
    };
    assert.equal(pod.metadata.creationTimestamp, '2024-01-01T00:00:00Z');
    assert.deepEqual(pod.spec.containers[0]!.resources, { requests: { cpu: '500m', memory: '1536Mi' } });
  });

  it('names every unknown and duplicate field under Strict', () => {
    const body =
      '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","foo":1},' +
      '"spec":{"replicas":1,"replicas":2,' +
      '"Paused":true,"template":{"spec":{"containers":[{"name":"c","imagee":"x"}]}}}}';
    assert.equal(
      messageOf(() => decode(body)),
      'STRICT_DECODING: Deployment in version "v1" cannot be handled as a Deployment: strict ' +
        'decoding error: ' +
        'unknown field "metadata.foo", unknown field "spec.template.spec.containers[0].imagee", ' +
        'unknown field "spec.Paused", duplicate field "spec.replicas"',
    );
  });

  it('warns about them under Warn and drops them silently under Ignore', () => {
    const body = '{"metadata":{"name":"a"},"data":{"k":"v"},"data":{"k":"w"},"x":1}';
    assert.deepEqual(decode(body, configMaps, 'Warn').warnings, [
      'unknown field "x"',
      'duplicate field "data"',
    ]);
    const ignored = decode(body, configMaps, 'Ignore');
    assert.deepEqual(ignored.warnings, []);
    assert.deepEqual(ignored.object['data'], { k: 'w' });
    assert(!('x' in ignored.object));
  });

  it('refuses values of a wrong type with their place', () => {
    assert.equal(
      messageOf(() => decode({ metadata: { name: 'a' }, spec: { replicas: 'three' } })),
      'MALFORMED: Deployment in version "v1" cannot be handled as a Deployment: json: cannot ' +
        'unmarshal string into Go ' +
        'struct field DeploymentSpec.spec.replicas of type int32',
    );
    for (const spec of [
      { replicas: 1.5 },
      { replicas: 2 ** 31 },
      { paused: 'yes' },
      { template: [] },
      { strategy: 1 },
    ]) {
      assert.match(
        messageOf(() => decode({ spec })),
        /^MALFORMED: .*cannot unmarshal/,
      );
    }
    assert.match(
      messageOf(() => decode({ data: { a: 1 } }, configMaps)),
      /type string/,
    );
    assert.match(
      messageOf(() => decode({ binaryData: { a: '%' } }, configMaps)),
      /illegal base64/,
    );
  });

  it('refuses integers that a JavaScript number cannot hold', () => {
    const body = '{"metadata":{"generation":9007199254740993}}';
    assert.match(
      messageOf(() => decode(body, configMaps)),
      /beyond the integers/,
    );
  });

  it('refuses another kind or version than the URL names', () => {
    assert.equal(
      messageOf(() => decode({ apiVersion: 'v1', kind: 'Deployment' })),
      'MALFORMED: the API version in the data (v1) does not match the expected API version (apps/v1)',
    );
    assert.match(
      messageOf(() => decode({ kind: 'Pod' })),
      /cannot be handled as a Deployment/,
    );
  });

  it('refuses bodies that are not JSON objects, too large, too deep, or of an unknown type', () => {
    for (const body of ['', '{', '[]', 'null', '"x"', '{"a":}']) {
      assert.match(
        messageOf(() => decode(body)),
        /^MALFORMED/,
        body,
      );
    }
    assert.match(
      messageOf(() => decode(' '.repeat(3 * 1024 * 1024 + 1))),
      /^TOO_LARGE/,
    );
    assert.match(
      messageOf(() => decode({}, deployments, 'Strict', 'text/plain')),
      /^UNSUPPORTED_MEDIA_TYPE/,
    );
    const crd = registry.find('apiextensions.k8s.io', 'v1', 'customresourcedefinitions')!;
    let schema: unknown = {};
    for (let depth = 0; depth < 300; depth++) schema = { items: schema };
    const deep = { spec: { versions: [{ schema: { openAPIV3Schema: schema } }] } };
    assert.match(
      messageOf(() => decode(deep, crd)),
      /nested more than/,
    );
  });

  it('reads YAML', () => {
    const body = 'metadata:\n  name: a\nspec:\n  replicas: 3\n  paused: true\n';
    const { object } = decode(body, deployments, 'Strict', 'application/yaml');
    assert.equal((object['spec'] as { replicas: number }).replicas, 3);
    assert.match(
      messageOf(() => decode('data:\n  a: b\n  a: c\n', configMaps, 'Strict', 'application/yaml')),
      /yaml: unmarshal errors:\n  line 3: key "a" already set in map$/,
    );
    assert.match(
      messageOf(() => decode('a: [', configMaps, 'Strict', 'application/yaml')),
      /^MALFORMED/,
    );
  });

  it('keeps the content of custom resources and checks their metadata', () => {
    const widget = { group: 'example.com', version: 'v1', kind: 'Widget', definition: undefined };
    const text = JSON.stringify({ metadata: { name: 'a', x: 1 }, spec: { b: null, a: [{ z: 1, y: 2 }] } });
    const { object, warnings } = decodeObject(Buffer.from(text), 'application/json', widget, 'Warn');
    assert.deepEqual(warnings, ['unknown field "metadata.x"']);
    assert.equal(JSON.stringify(object['spec']), '{"a":[{"y":2,"z":1}],"b":null}');
  });

  it('treats __proto__ as the key it is', () => {
    const { object } = decode('{"data":{"__proto__":"x"}}', configMaps);
    assert.equal(JSON.stringify(object['data']), '{"__proto__":"x"}');
    assert.equal(({} as Record<string, unknown>)['x'], undefined);
  });
});
