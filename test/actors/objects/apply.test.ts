import assert from 'node:assert/strict';
import type { JsonObject } from '../../../actors/objects/index.js';
import {
  ObjectError,
  applyServerSide,
  builtinRegistry,
  decodeValue,
  sameContent,
  trackUpdate,
} from '../../../actors/objects/index.js';

const registry = builtinRegistry();
const deployments = registry.find('apps', 'v1', 'deployments')!;
const configMaps = registry.find('', 'v1', 'configmaps')!;

interface Options {
  manager?: string;
  force?: boolean;
  nowMs?: number;
  kind?: typeof deployments;
  subresource?: string;
}

function apply(live: JsonObject | undefined, patch: object, options: Options = {}): JsonObject {
  const { manager = 'a', force = false, nowMs = 0, kind = deployments, subresource = '' } = options;
  return applyServerSide({ live, patch, manager, force, nowMs, kind, subresource });
}

function update(live: JsonObject | undefined, object: object, options: Options = {}): JsonObject {
  const { manager = 'editor', nowMs = 0, kind = deployments, subresource = '' } = options;
  const typed = decodeValue(object, kind, 'Strict').object;
  return trackUpdate({ live, object: typed, manager, nowMs, kind, subresource });
}

function managers(object: JsonObject): Record<string, unknown> {
  const entries = ((object['metadata'] as JsonObject)['managedFields'] ?? []) as JsonObject[];
  return Object.fromEntries(
    entries.map((entry) => [`${String(entry['manager'])}/${String(entry['operation'])}`, entry['fieldsV1']]),
  );
}

const container = (name: string, more: object = {}) => ({ name, image: `${name}:1`, ...more });
const document = (containers: object[], spec: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd', namespace: 'default', labels: { app: 'd' } },
  spec: { replicas: 2, ...spec, template: { spec: { containers } } },
});
const specOf = (object: JsonObject) =>
  object['spec'] as { replicas?: number; template: { spec: { containers: JsonObject[] } } };
const names = (object: JsonObject) => specOf(object).template.spec.containers.map((each) => each['name']);

describe('server-side apply', () => {
  it('creates, and owns what it said and nothing else', () => {
    const created = apply(undefined, document([container('one', { ports: [{ containerPort: 80 }] })]));
    assert.deepEqual(managers(created), {
      'a/Apply': {
        'f:metadata': { 'f:labels': { 'f:app': {} } },
        'f:spec': {
          'f:replicas': {},
          'f:template': {
            'f:spec': {
              'f:containers': {
                'k:{"name":"one"}': {
                  '.': {},
                  'f:image': {},
                  'f:name': {},
                  'f:ports': {
                    'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} },
                  },
                },
              },
            },
          },
        },
      },
    });
  });

  it('changes nothing, not even the time, when applied again', () => {
    const created = apply(undefined, document([container('one')]), { nowMs: 1000 });
    assert.equal(apply(created, document([container('one')]), { nowMs: 99_000 }), created);
  });

  it('removes what it no longer says', () => {
    const created = apply(undefined, document([container('one'), container('two')]));
    const shorter = document([container('two')]) as {
      spec: { replicas?: number };
      metadata: { labels?: object };
    };
    delete shorter.spec.replicas;
    delete shorter.metadata.labels;
    const applied = apply(created, shorter);
    assert.deepEqual(names(applied), ['two']);
    assert.equal(specOf(applied).replicas, undefined);
    assert.equal((applied['metadata'] as JsonObject)['labels'], undefined);
  });

  it('leaves alone what others own', () => {
    const created = apply(undefined, document([container('one')]));
    const extended = apply(
      created,
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        spec: { template: { spec: { containers: [container('side')] } } },
      },
      { manager: 'b' },
    );
    assert.deepEqual(
      names(extended),
      ['one', 'side'].sort((x, y) => names(extended).indexOf(x) - names(extended).indexOf(y)),
    );
    const again = apply(extended, document([container('one', { args: ['x'] })]));
    assert.deepEqual([...names(again)].sort(), ['one', 'side']);
    const withdrawn = apply(again, { apiVersion: 'apps/v1', kind: 'Deployment', spec: {} }, { manager: 'b' });
    assert.deepEqual(names(withdrawn), ['one']);
    assert.deepEqual(Object.keys(managers(withdrawn)), ['a/Apply', 'b/Apply']);
  });

  it('refuses to change what another manager owns, and says which', () => {
    const created = apply(undefined, document([container('one')]));
    const edited = update(
      created,
      { ...created, spec: { ...specOf(created), replicas: 5 } },
      { nowMs: 60_000 },
    );
    try {
      apply(edited, document([container('one')]));
      assert.fail('no conflict');
    } catch (error) {
      assert(error instanceof ObjectError);
      assert.equal(error.status, 409);
      assert.equal(
        error.message,
        'Apply failed with 1 conflict: conflict with "editor" using apps/v1 at ' +
          '1970-01-01T00:01:00Z: .spec.replicas',
      );
      assert.deepEqual(error.causes, [
        {
          reason: 'FieldManagerConflict',
          message: 'conflict with "editor" using apps/v1 at 1970-01-01T00:01:00Z',
          field: '.spec.replicas',
        },
      ]);
    }
  });

  it('takes the field over when forced', () => {
    const created = apply(undefined, document([container('one')]));
    const edited = update(created, { ...created, spec: { ...specOf(created), replicas: 5 } });
    const forced = apply(edited, document([container('one')]), { force: true });
    assert.equal(specOf(forced).replicas, 2);
    assert.deepEqual(Object.keys(managers(forced)), ['a/Apply']);
  });

  it('shares a field whose value both say', () => {
    const created = apply(undefined, document([container('one')]));
    const shared = apply(created, document([container('one')]), { manager: 'b' });
    const left = apply(shared, { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' } });
    assert.equal(specOf(left).replicas, 2);
    assert.deepEqual(Object.keys(managers(left)), ['b/Apply']);
  });

  it('names list elements in conflicts', () => {
    const created = apply(undefined, document([container('one')]));
    const other = document([{ name: 'one', image: 'other' }]);
    assert.throws(
      () =>
        apply(created, { ...other, metadata: {}, spec: { template: other.spec.template } }, { manager: 'b' }),
      {
        message:
          'Apply failed with 1 conflict: conflict with "a": ' +
          '.spec.template.spec.containers[name="one"].image',
      },
    );
  });

  it('compares quantities by value', () => {
    const resources = (cpu: string) => document([container('one', { resources: { limits: { cpu } } })]);
    const created = apply(undefined, resources('0.5'));
    assert.equal(apply(created, resources('0.5')), created);
    assert.doesNotThrow(() => apply(created, resources('500m'), { manager: 'b' }));
  });

  it('refuses unknown fields and managedFields in the document', () => {
    assert.throws(() => apply(undefined, document([container('one')], { foo: 1 })), {
      code: 'NOT_IN_SCHEMA',
    });
    assert.throws(() => apply(undefined, { metadata: { managedFields: [] } }), { code: 'MALFORMED' });
  });

  it('meets objects from before the first apply', () => {
    const live = decodeValue(
      { metadata: { name: 'c' }, data: { a: '1', b: '2' } },
      configMaps,
      'Strict',
    ).object;
    const applied = apply(
      live,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: { a: '1' } },
      { kind: configMaps },
    );
    assert.deepEqual(applied['data'], { a: '1', b: '2' });
    assert.deepEqual(Object.keys(managers(applied)), ['a/Apply', 'before-first-apply/Update']);
    const other = { apiVersion: 'v1', kind: 'ConfigMap', data: { a: '9' } };
    assert.throws(() => apply(live, other, { kind: configMaps }), { code: 'APPLY_CONFLICT' });
  });

  it('keeps status to the status subresource', () => {
    const created = apply(undefined, { ...document([container('one')]), status: { replicas: 9 } });
    assert.deepEqual(created['status'], {});
    const status = apply(
      created,
      { apiVersion: 'apps/v1', kind: 'Deployment', spec: { replicas: 7 }, status: { replicas: 3 } },
      { manager: 's', subresource: 'status' },
    );
    assert.equal(specOf(status).replicas, 2);
    assert.deepEqual(managers(status)['s/Apply'], { 'f:status': { 'f:replicas': {} } });
  });
});

describe('tracking of other writes', () => {
  const map = (data: object, metadata: object = {}) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'c', ...metadata },
    data,
  });

  it('credits each manager with what it changed', () => {
    const first = update(undefined, map({ a: '1', b: '2' }), { kind: configMaps, manager: 'm1' });
    assert.deepEqual(managers(first), { 'm1/Update': { 'f:data': { 'f:a': {}, 'f:b': {} } } });
    const second = update(first, map({ a: '9', c: '3' }), { kind: configMaps, manager: 'm2', nowMs: 5000 });
    assert.deepEqual(managers(second), { 'm2/Update': { 'f:data': { 'f:a': {}, 'f:c': {} } } });
  });

  it('does not touch managedFields when nothing changed', () => {
    const first = update(undefined, map({ a: '1' }), { kind: configMaps });
    const again = update(first, map({ a: '1' }), { kind: configMaps, manager: 'm2', nowMs: 5000 });
    assert(sameContent(first, again));
    assert.deepEqual(
      (again['metadata'] as JsonObject)['managedFields'],
      (first['metadata'] as JsonObject)['managedFields'],
    );
  });

  it('forgets everything when a client resets it', () => {
    const first = update(undefined, map({ a: '1' }), { kind: configMaps });
    const reset = update(first, map({ a: '1' }, { managedFields: [{}] }), { kind: configMaps });
    assert.deepEqual(managers(reset), {});
  });

  it('keeps a bounded number of updaters', () => {
    let live: JsonObject | undefined;
    const data: Record<string, string> = {};
    for (let index = 0; index < 14; index++) {
      data[`k${index}`] = 'x';
      live = update(live, map({ ...data }), { kind: configMaps, manager: `m${index}`, nowMs: index * 1000 });
    }
    const entries = managers(live!);
    assert(Object.keys(entries).length <= 11, Object.keys(entries).join());
    assert('ancient-changes/Update' in entries);
  });
});
