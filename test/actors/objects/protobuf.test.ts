import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Definition, FieldType, JsonObject } from '../../../actors/objects/index.js';
import { ObjectError, decodeProtobuf, decodeProtobufAs, schemaTable } from '../../../actors/objects/index.js';
import { encodeProtobuf } from './protobuf-writer.js';

const table = schemaTable();

/** A value with every field of the definition filled, a few levels down. */
function fill(definition: Definition, depth: number): unknown {
  switch (definition.special) {
    case undefined:
      break;
    case 'quantity':
      return '1500m';
    case 'time':
      return '2024-01-02T03:04:05Z';
    case 'microTime':
      return '2024-01-02T03:04:05.000006Z';
    case 'intOrString':
      return depth % 2 === 0 ? 'http' : 80;
    case 'raw':
      return { a: { b: 1 } };
    case 'json':
      return ['x', 1];
    case 'union':
      return definition.name.endsWith('OrBool') ? false : { type: 'string' };
  }
  const object: JsonObject = {};
  if (depth > 6) return object;
  for (const field of definition.fields.values()) {
    const typeMeta = !field.proto && (field.name === 'kind' || field.name === 'apiVersion');
    const value = !typeMeta ? fillType(field.type, depth, field.name) : undefined;
    if (value !== undefined) object[field.name] = value;
  }
  return object;
}

function fillType(type: FieldType, depth: number, name: string): unknown {
  switch (type.kind) {
    case 'string':
      return `${name} é`;
    case 'bytes':
      return 'AAH/';
    case 'boolean':
      return true;
    case 'double':
      return 1.5;
    case 'int32':
      return -7;
    case 'int64':
      return 2 ** 40;
    case 'list':
      return depth > 5 ? undefined : [fillType(type.of, depth, name)].filter((entry) => entry !== undefined);
    case 'map': {
      const entry = depth > 5 ? undefined : fillType(type.of, depth, name);
      return entry === undefined ? undefined : { key: entry };
    }
    case 'object':
      if (type.definition.name.endsWith('JSONSchemaProps') && depth > 4) return undefined;
      return fill(type.definition, depth + 1);
  }
}

/** Both ways: the second decoding is compared with the first, which typing has completed. */
function roundTrip(definition: Definition, apiVersion: string, kind: string, object: JsonObject): void {
  const first = decodeProtobufAs(encodeProtobuf({ ...object, apiVersion, kind }, definition), definition);
  assert.deepEqual([first.apiVersion, first.kind], [apiVersion, kind]);
  const second = decodeProtobufAs(
    encodeProtobuf({ ...first.object, apiVersion, kind }, definition),
    definition,
  );
  assert.deepEqual(second.object, first.object);
}

describe('protobuf', function () {
  this.timeout(20_000);

  it('carries every kind of the table there and back with nothing lost', () => {
    let kinds = 0;
    for (const definition of table.definitions.values()) {
      const gvk = definition.gvks[0];
      if (!gvk || definition.name.includes('alpha') || definition.name.includes('beta')) continue;
      const object = fill(definition, 0) as JsonObject;
      delete object['apiVersion'];
      delete object['kind'];
      const { object: decoded } = decodeProtobufAs(encodeProtobuf(object, definition), definition);
      if (kinds < 400) assertContains(decoded, object, gvk.kind);
      roundTrip(definition, `${gvk.group}/${gvk.version}`, gvk.kind, object);
      kinds++;
    }
    assert(kinds > 100, `only ${kinds}`);
  });

  it('decodes what client-go sends for `kubectl create configmap a --from-literal=k=v`', () => {
    // k8s\0, typeMeta{v1, ConfigMap}, raw{metadata{name:"a", then Go's plain empty strings}, data{k:v}}.
    const hex =
      '6b3873000a0f0a0276311209436f6e6669674d6170121b0a110a016112001a0022002a0032003800' +
      '420012060a016b1201761a002200';
    const decoded = decodeProtobuf(Buffer.from(hex, 'hex'));
    assert.equal(decoded.kind, 'ConfigMap');
    assert.deepEqual(decoded.object, { metadata: { name: 'a' }, data: { k: 'v' } });
  });

  it('tells an absent pointer from a zero one, and drops plain zeros', () => {
    const definition = table.byGvk('apps', 'v1', 'Deployment')!;
    const spec = { replicas: 0, minReadySeconds: 0, selector: {}, template: {}, paused: false };
    const { object } = decodeProtobufAs(encodeProtobuf({ spec }, definition), definition);
    const decoded = object['spec'] as JsonObject;
    assert.equal(decoded['replicas'], 0);
    assert(!('minReadySeconds' in decoded));
    assert(!('paused' in decoded));
    assert(!('revisionHistoryLimit' in decoded));
  });

  it('decodes DeleteOptions, evictions and reviews', () => {
    for (const [group, version, kind, object] of [
      [
        '',
        'v1',
        'DeleteOptions',
        { gracePeriodSeconds: 0, preconditions: { uid: 'u' }, propagationPolicy: 'Background' },
      ],
      ['policy', 'v1', 'Eviction', { metadata: { name: 'a' }, deleteOptions: { gracePeriodSeconds: 5 } }],
      ['autoscaling', 'v1', 'Scale', { metadata: {}, spec: { replicas: 3 }, status: { replicas: 0 } }],
      [
        'authorization.k8s.io',
        'v1',
        'SelfSubjectAccessReview',
        {
          metadata: {},
          spec: { resourceAttributes: { verb: 'get', resource: 'pods' } },
          status: { allowed: false },
        },
      ],
      [
        'authentication.k8s.io',
        'v1',
        'TokenRequest',
        { metadata: {}, spec: { audiences: ['a'], expirationSeconds: 600 } },
      ],
      [
        'certificates.k8s.io',
        'v1',
        'CertificateSigningRequest',
        { spec: { extra: { k: ['a', 'b'] }, request: 'AA==', signerName: 's' } },
      ],
    ] as const) {
      const definition = table.byGvk(group, version, kind)!;
      const { object: decoded } = decodeProtobufAs(
        encodeProtobuf(object as unknown as JsonObject, definition),
        definition,
      );
      assertContains(decoded, object, kind);
    }
  });

  it('answers malformed input with a coded error, never anything else', () => {
    const definition = table.byGvk('', 'v1', 'Pod')!;
    const good = encodeProtobuf(
      { ...(fill(definition, 4) as JsonObject), apiVersion: 'v1', kind: 'Pod' },
      definition,
    );
    const seed = 20260101;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 }),
        fc.nat(good.length),
        (edits, end) => {
          const bytes = Buffer.from(good.subarray(0, Math.max(4, end)));
          for (const [index, byte] of edits) if (index >= 4 && index < bytes.length) bytes[index] = byte;
          try {
            decodeProtobuf(bytes);
          } catch (error) {
            assert(error instanceof ObjectError, `seed ${seed}: ${String(error)}`);
          }
        },
      ),
      { numRuns: 400, seed },
    );
    assert.throws(() => decodeProtobuf(Buffer.from('{"a":1}')), { code: 'MALFORMED' });
    assert.throws(() => decodeProtobuf(encodeProtobuf({ apiVersion: 'v1', kind: 'Nope' }, definition)), {
      code: 'UNSUPPORTED_MEDIA_TYPE',
    });
  });
});

function assertContains(actual: unknown, expected: unknown, path: string): void {
  if (typeof expected !== 'object' || expected === null) {
    assert.deepEqual(actual, expected, path);
    return;
  }
  for (const [key, value] of Object.entries(expected)) {
    if (value === '' || value === false || value === 0) continue;
    assertContains((actual as JsonObject | undefined)?.[key], value, `${path}.${key}`);
  }
}
