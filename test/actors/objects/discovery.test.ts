import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { JsonObject } from '../../../actors/objects/index.js';
import {
  OpenApi,
  aggregatedDiscovery,
  aggregatedDiscoveryType,
  builtinRegistry,
  groupDocument,
  groupList,
  resourceList,
  storageVersionHash,
} from '../../../actors/objects/index.js';
import { bundledKubectl } from '../../../deploy/bundled-kubectl.js';

const run = promisify(execFile);
const registry = builtinRegistry();

describe('discovery', () => {
  it('aggregates groups, the most preferred first', () => {
    const core = aggregatedDiscovery(registry, 'api') as {
      items: { versions: { resources: JsonObject[] }[] }[];
    };
    assert.equal(core.items.length, 1);
    const pods = core.items[0]!.versions[0]!.resources.find((resource) => resource['resource'] === 'pods')!;
    assert.equal(pods['scope'], 'Namespaced');
    assert.deepEqual(pods['shortNames'], ['po']);
    const groups = aggregatedDiscovery(registry, 'apis') as { items: { metadata: { name: string } }[] };
    assert.equal(groups.items[1]!.metadata.name, 'apps');
    assert.equal(JSON.stringify(groups), JSON.stringify(aggregatedDiscovery(registry, 'apis')));
  });

  it('lists resources the old way, subresources with the group that they speak', () => {
    const apps = resourceList(registry, 'apps', 'v1') as { resources: JsonObject[] };
    const scale = apps.resources.find((resource) => resource['name'] === 'deployments/scale')!;
    assert.deepEqual([scale['group'], scale['version'], scale['kind']], ['autoscaling', 'v1', 'Scale']);
    const core = resourceList(registry, '', 'v1') as { resources: JsonObject[] };
    const eviction = core.resources.find((resource) => resource['name'] === 'pods/eviction')!;
    assert.deepEqual([eviction['group'], eviction['version']], ['policy', 'v1']);
    assert.equal(resourceList(registry, 'apps', 'v9'), undefined);
  });

  it('hashes the stored version as the real server does', () => {
    assert.equal(storageVersionHash(registry.find('', 'v1', 'pods')!), 'xPOwRZ+Yhw8=');
  });

  it('prefers the newest generally available version of a group', () => {
    const group = groupDocument(registry, 'autoscaling') as { preferredVersion: { version: string } };
    assert.equal(group.preferredVersion.version, 'v2');
    assert.equal(
      (groupList(registry) as { groups: JsonObject[] }).groups.length,
      registry.groups().length - 1,
    );
    assert.equal(groupDocument(registry, 'nope'), undefined);
  });
});

describe('OpenAPI v3', function () {
  this.timeout(60_000);
  const openApi = new OpenApi(registry);
  const parse = (bytes: Buffer) => JSON.parse(bytes.toString('utf8')) as JsonObject;

  it('lists a document per group version, by hash', () => {
    const { paths } = parse(openApi.root().bytes) as { paths: Record<string, { serverRelativeURL: string }> };
    const { hash } = openApi.document('apps', 'v1')!;
    assert.equal(paths['apis/apps/v1']!.serverRelativeURL, `/openapi/v3/apis/apps/v1?hash=${hash}`);
    assert(paths['api/v1']);
    assert.equal(openApi.document('apps', 'v9'), undefined);
  });

  it('marks patch operations with their kind and with fieldValidation', () => {
    const document = parse(openApi.document('apps', 'v1')!.bytes) as {
      paths: Record<
        string,
        { patch: { parameters: { name: string }[]; 'x-kubernetes-group-version-kind': JsonObject } }
      >;
    };
    const { patch } = document.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}']!;
    assert.deepEqual(patch['x-kubernetes-group-version-kind'], {
      group: 'apps',
      version: 'v1',
      kind: 'Deployment',
    });
    assert(patch.parameters.some((parameter) => parameter.name === 'fieldValidation'));
  });

  it('refers only to schemas that it has, in every document', () => {
    for (const group of registry.groups()) {
      for (const version of registry.versions(group)) {
        const text = openApi.document(group, version)!.bytes.toString('utf8');
        const schemas = (JSON.parse(text) as { components: { schemas: JsonObject } }).components.schemas;
        for (const [, name] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g))
          assert(schemas[name!], name);
      }
    }
  });

  describe('as kubectl reads it', () => {
    let server: Server;
    let home = '';
    before(async () => {
      home = await mkdtemp(path.join(os.tmpdir(), 'kabuki-openapi-'));
      server = createServer((request, response) => {
        const [target] = (request.url ?? '').split('?');
        const reply = answer(target!);
        response.writeHead(reply ? 200 : 404, { 'content-type': reply?.type ?? 'application/json' });
        response.end(reply?.bytes ?? '{}');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });
    after(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(home, { recursive: true, force: true });
    });

    function answer(target: string): { type: string; bytes: Buffer | string } | undefined {
      if (target === '/openapi/v3') return { type: 'application/json', bytes: openApi.root().bytes };
      const match = /^\/openapi\/v3\/(?:api|apis\/([^/]+))\/([^/]+)$/.exec(target);
      if (match) {
        const document = openApi.document(match[1] ?? '', match[2]!);
        return document && { type: 'application/json', bytes: document.bytes };
      }
      if (target === '/api' || target === '/apis') {
        const body = aggregatedDiscovery(registry, target === '/api' ? 'api' : 'apis');
        return { type: aggregatedDiscoveryType, bytes: JSON.stringify(body) };
      }
      return undefined;
    }

    async function kubectl(...flags: string[]): Promise<string> {
      const { port } = server.address() as AddressInfo;
      const { stdout } = await run(bundledKubectl(), [`--server=http://127.0.0.1:${port}`, ...flags], {
        env: { PATH: process.env['PATH'] ?? '', HOME: home, KUBECACHEDIR: path.join(home, 'cache') },
      });
      return stdout;
    }

    it('api-resources shows names, scopes and kinds', async () => {
      const text = await kubectl('api-resources');
      assert.match(text, /^deployments +deploy +apps\/v1 +true +Deployment$/m);
      assert.match(text, /^nodes +no +v1 +false +Node$/m);
    });

    it('explain walks the schemas', async () => {
      const text = await kubectl('explain', 'deployment.spec.template.spec.containers');
      assert.match(text, /FIELD: containers <\[\]Container>/);
      assert.match(text, /imagePullPolicy\s+<string>/);
      assert.match(await kubectl('explain', 'pods'), /KIND: +Pod/);
    });

    it('create --dry-run=server finds field validation and gets as far as the request', async () => {
      const file = path.join(home, 'cm.yaml');
      await writeFile(file, 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n');
      await assert.rejects(
        kubectl('create', '-f', file),
        /could not find the requested resource|NotFound|not found/,
      );
      const text = await kubectl('create', '-f', file, '--dry-run=client', '-o', 'name');
      assert.equal(text.trim(), 'configmap/a');
    });
  });
});
