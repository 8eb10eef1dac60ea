import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { JsonObject, ResourceInfo } from '../../../actors/objects/index.js';
import {
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  builtinRegistry,
  decodeValue,
} from '../../../actors/objects/index.js';
import { bundledKubectl } from '../../../deploy/bundled-kubectl.js';

const run = promisify(execFile);
const registry = builtinRegistry();
const deployments = registry.find('apps', 'v1', 'deployments')!;
const services = registry.find('', 'v1', 'services')!;
const pods = registry.find('', 'v1', 'pods')!;

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd', labels: { a: '1', b: '2' }, finalizers: ['x/a', 'x/b', 'x/c'] },
  spec: {
    replicas: 1,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } },
    selector: { matchLabels: { a: '1' } },
    template: {
      metadata: { labels: { a: '1' } },
      spec: {
        nodeSelector: { zone: 'z' },
        tolerations: [{ key: 'k', operator: 'Exists' }],
        volumes: [
          { name: 'v', emptyDir: {} },
          { name: 'w', hostPath: { path: '/w' } },
        ],
        containers: [
          {
            name: 'one',
            image: 'one:1',
            args: ['a', 'b'],
            env: [
              { name: 'A', value: '1' },
              { name: 'B', value: '2' },
            ],
            ports: [{ containerPort: 80, name: 'http' }, { containerPort: 81 }],
          },
          { name: 'two', image: 'two:1' },
          { name: 'three', image: 'three:1' },
        ],
      },
    },
  },
};
const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 's' },
  spec: {
    selector: { a: '1' },
    ports: [
      { name: 'http', port: 80, targetPort: 8080 },
      { name: 'https', port: 443 },
    ],
  },
};
const template = (patch: object) => ({ spec: { template: { spec: patch } } });

const strategicCases: [string, ResourceInfo, object, object][] = [
  [
    'changes one container',
    deployments,
    deployment,
    template({ containers: [{ name: 'two', image: 'two:2' }] }),
  ],
  [
    'adds a container',
    deployments,
    deployment,
    template({ containers: [{ name: 'four', image: 'four:1' }] }),
  ],
  [
    'deletes a container',
    deployments,
    deployment,
    template({ containers: [{ name: 'two', $patch: 'delete' }] }),
  ],
  [
    'replaces the list of containers',
    deployments,
    deployment,
    template({ containers: [{ $patch: 'replace' }, { name: 'new', image: 'new:1' }] }),
  ],
  [
    'reorders containers',
    deployments,
    deployment,
    template({ '$setElementOrder/containers': [{ name: 'three' }, { name: 'one' }, { name: 'two' }] }),
  ],
  [
    'reorders and changes, with one that the client does not know of',
    deployments,
    deployment,
    template({
      '$setElementOrder/containers': [{ name: 'three' }, { name: 'one' }, { name: 'new' }],
      containers: [
        { name: 'three', image: 'three:2' },
        { name: 'new', image: 'new:1' },
      ],
    }),
  ],
  [
    'merges env, replaces args',
    deployments,
    deployment,
    template({
      containers: [
        {
          name: 'one',
          args: ['c'],
          env: [
            { name: 'B', value: '3' },
            { name: 'C', value: '4' },
            { name: 'A', $patch: 'delete' },
          ],
        },
      ],
    }),
  ],
  [
    'merges ports by containerPort',
    deployments,
    deployment,
    template({ containers: [{ name: 'one', ports: [{ containerPort: 81, name: 'x' }] }] }),
  ],
  [
    'replaces tolerations whole',
    deployments,
    deployment,
    template({ tolerations: [{ key: 'j', operator: 'Exists' }] }),
  ],
  ['merges maps and drops by null', deployments, deployment, { metadata: { labels: { a: null, c: '3' } } }],
  ['replaces a map', deployments, deployment, { metadata: { labels: { $patch: 'replace', c: '3' } } }],
  ['deletes a map', deployments, deployment, template({ nodeSelector: { $patch: 'delete' } })],
  [
    'keeps only some keys of the strategy',
    deployments,
    deployment,
    { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } },
  ],
  [
    'changes the source of a volume',
    deployments,
    deployment,
    template({ volumes: [{ name: 'w', $retainKeys: ['name', 'secret'], secret: { secretName: 's' } }] }),
  ],
  ['adds finalizers as a set', deployments, deployment, { metadata: { finalizers: ['x/d', 'x/a'] } }],
  [
    'takes finalizers away',
    deployments,
    deployment,
    { metadata: { '$deleteFromPrimitiveList/finalizers': ['x/b'] } },
  ],
  [
    'orders finalizers',
    deployments,
    deployment,
    { metadata: { '$setElementOrder/finalizers': ['x/c', 'x/d', 'x/a'], finalizers: ['x/d'] } },
  ],
  [
    'adds owner references by uid',
    deployments,
    deployment,
    { metadata: { ownerReferences: [{ uid: 'u', apiVersion: 'v1', kind: 'Pod', name: 'p' }] } },
  ],
  [
    'merges service ports by port',
    services,
    service,
    {
      spec: {
        ports: [
          { port: 443, targetPort: 8443 },
          { port: 90, name: 'n' },
        ],
      },
    },
  ],
  ['drops a list by null', services, service, { spec: { selector: null } }],
  [
    'nulls and directives in what is new',
    pods,
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    },
    {
      spec: {
        volumes: [
          { name: 'a', emptyDir: { medium: null } },
          { name: 'b', $patch: 'delete' },
        ],
        securityContext: { runAsUser: null },
      },
    },
  ],
];

describe('strategic merge patch', function () {
  this.timeout(60_000);
  let directory = '';
  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'kabuki-patch-'));
    bundledKubectl();
  });
  after(() => rm(directory, { recursive: true, force: true }));

  async function byKubectl(type: string, object: object, patch: unknown): Promise<unknown> {
    const file = path.join(directory, 'object.json');
    await writeFile(file, JSON.stringify(object));
    const flags = ['patch', '--local', '-f', file, '--type', type, '-p', JSON.stringify(patch), '-o', 'json'];
    const { stdout } = await run(bundledKubectl(), flags, { env: { ...process.env, HOME: directory } });
    return JSON.parse(stdout);
  }
  const typed = (value: unknown, info: ResourceInfo) => decodeValue(value, info, 'Ignore').object;

  for (const [name, info, object, patch] of strategicCases) {
    it(`${name}, as kubectl does`, async () => {
      const before = JSON.stringify(object);
      const ours = applyStrategicMergePatch(object as JsonObject, patch, info.definition!);
      assert.equal(JSON.stringify(object), before, 'the object is not changed');
      const theirs = await byKubectl('strategic', object, patch);
      assert.deepEqual(typed(ours, info), typed(theirs, info));
    });
  }

  it('and merge patch replaces lists whole, as kubectl does', async () => {
    const patch = {
      metadata: { labels: { a: null } },
      spec: { template: { spec: { containers: [{ name: 'x', image: 'y' }] } } },
    };
    const ours = applyMergePatch(deployment, patch);
    assert.deepEqual(
      typed(ours, deployments),
      typed(await byKubectl('merge', deployment, patch), deployments),
    );
  });

  it('and json patch edits by path, as kubectl does', async () => {
    const patch = [
      { op: 'replace', path: '/spec/template/spec/containers/1/image', value: 'two:9' },
      { op: 'add', path: '/spec/template/spec/containers/-', value: { name: 'z', image: 'z' } },
      { op: 'remove', path: '/metadata/labels/b' },
      { op: 'test', path: '/spec/replicas', value: 1 },
    ];
    const ours = applyJsonPatch(deployment, patch);
    assert.deepEqual(
      typed(ours, deployments),
      typed(await byKubectl('json', deployment, patch), deployments),
    );
  });

  it('refuses what is no patch', () => {
    const definition = deployments.definition!;
    for (const patch of [
      null,
      [],
      { spec: { $patch: 'merge' } },
      template({ containers: [{ image: 'x' }] }),
      template({ containers: [{ name: 'one', $patch: 'bogus' }] }),
      { spec: { strategy: { $retainKeys: ['type'], rollingUpdate: {} } } },
      template({
        '$setElementOrder/containers': [{ name: 'one' }],
        containers: [{ name: 'two', image: 'i' }],
      }),
    ]) {
      assert.throws(
        () => applyStrategicMergePatch(deployment as unknown as JsonObject, patch, definition),
        { code: 'BAD_PATCH' },
        JSON.stringify(patch),
      );
    }
  });
});

describe('json patch', () => {
  it('answers 422 when it does not fit the object', () => {
    for (const patch of [
      [{ op: 'test', path: '/spec/replicas', value: 2 }],
      [{ op: 'remove', path: '/spec/nothing' }],
      [{ op: 'replace', path: '/a/b/c', value: 1 }],
    ]) {
      assert.throws(() => applyJsonPatch(deployment, patch), { code: 'PATCH_FAILED', status: 422 });
    }
  });

  it('answers 400 when it is malformed', () => {
    for (const patch of [
      {},
      [1],
      [{ op: 'frobnicate', path: '/a' }],
      [{ op: 'add', path: 'a', value: 1 }],
      [{ op: 'add', path: '/a' }],
      [{ op: 'add', path: '/__proto__/x', value: 1 }],
    ]) {
      assert.throws(() => applyJsonPatch({}, patch), { code: 'BAD_PATCH', status: 400 });
    }
  });

  it('does not change the object', () => {
    const object = { a: [1] };
    applyJsonPatch(object, [{ op: 'add', path: '/a/-', value: 2 }]);
    assert.deepEqual(object, { a: [1] });
  });
});

describe('merge patch', () => {
  it('follows the examples of RFC 7386', () => {
    for (const [target, patch, result] of [
      [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
      [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
      [{ a: 'b' }, { a: null }, {}],
      [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
      [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
      [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
      [
        ['a', 'b'],
        ['c', 'd'],
        ['c', 'd'],
      ],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ]) {
      assert.deepEqual(applyMergePatch(target, patch), result);
    }
  });
});
