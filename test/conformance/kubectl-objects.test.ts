import { strict as assert } from 'node:assert';
import { waitFor } from '../../deploy/wait.js';
import type { Kubectl } from '../harness/kubectl.js';
import { freshNamespace, sharedCluster } from '../harness/shared-cluster.js';

interface ConfigMap {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly managedFields?: readonly { readonly manager: string; readonly operation: string }[];
  };
  readonly data?: Readonly<Record<string, string>>;
}

const manifest = (name: string, data: Readonly<Record<string, string>>) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels: { test: 'objects' } },
  data,
});

describe('kubectl on objects', function () {
  this.timeout(90_000);
  let kubectl: Kubectl;
  before(async () => {
    await sharedCluster();
    kubectl = await freshNamespace('objects');
  });

  it('create, get and delete configmap', async () => {
    assert.equal(
      await kubectl.run('create', 'configmap', 'made', '--from-literal=a=1'),
      'configmap/made created\n',
    );
    assert.deepEqual((await kubectl.json<ConfigMap>('get', 'configmap', 'made')).data, { a: '1' });
    assert.match(await kubectl.run('delete', 'configmap', 'made'), /configmap "made" deleted/);
    const gone = await kubectl.try('get', 'configmap', 'made');
    assert.equal(gone.code, 1);
    assert.equal(gone.stderr, 'Error from server (NotFound): configmaps "made" not found\n');
  });

  it('create twice says AlreadyExists', async () => {
    await kubectl.run('create', 'configmap', 'twice');
    const again = await kubectl.try('create', 'configmap', 'twice');
    assert.match(again.stderr, /configmaps "twice" already exists/);
  });

  it('create secret keeps bytes', async () => {
    await kubectl.run('create', 'secret', 'generic', 'key', '--from-literal=password=s3cret');
    const encoded = await kubectl.run('get', 'secret', 'key', '-o', 'jsonpath={.data.password}');
    assert.equal(Buffer.from(encoded, 'base64').toString(), 's3cret');
  });

  it('create -f a list of several kinds', async () => {
    const yaml = `
apiVersion: v1
kind: ConfigMap
metadata: {name: first}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: second}
`;
    const said = await kubectl.feed(yaml, 'create', '-f', '-');
    assert.equal(said, 'configmap/first created\nserviceaccount/second created\n');
  });

  it('create -f a List, as kubectl get -o yaml prints it', async () => {
    const items = [manifest('listed-1', {}), manifest('listed-2', {})];
    const said = await kubectl.feed({ apiVersion: 'v1', kind: 'List', items }, 'create', '-f', '-');
    assert.equal(said, 'configmap/listed-1 created\nconfigmap/listed-2 created\n');
  });

  it('apply creates, configures, and finds nothing to do', async () => {
    const apply = (data: Record<string, string>) =>
      kubectl.feed(manifest('applied', data), 'apply', '-f', '-');
    assert.equal(await apply({ a: '1', b: '2' }), 'configmap/applied created\n');
    assert.equal(await apply({ a: '1', b: '2' }), 'configmap/applied unchanged\n');
    assert.equal(await apply({ a: '3' }), 'configmap/applied configured\n');
    assert.deepEqual((await kubectl.json<ConfigMap>('get', 'cm', 'applied')).data, { a: '3' });
  });

  it('apply --server-side owns fields, names the conflict, and takes over by force', async () => {
    const apply = (manager: string, value: string, ...more: string[]) =>
      kubectl.tryFeed(
        manifest('owned', { a: value }),
        'apply',
        '--server-side',
        '-f',
        '-',
        `--field-manager=${manager}`,
        ...more,
      );
    assert.equal((await apply('one', '1')).stdout, 'configmap/owned serverside-applied\n');
    const refused = await apply('two', '2');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /conflict with "one": \.data\.a/);
    assert.equal((await apply('two', '2', '--force-conflicts')).code, 0);
    const owned = await kubectl.json<ConfigMap>('get', 'cm', 'owned', '--show-managed-fields');
    assert.deepEqual(owned.data, { a: '2' });
    const managers = owned.metadata.managedFields?.map(({ manager, operation }) => `${manager} ${operation}`);
    assert(managers?.includes('two Apply'), `managers: ${managers?.join(', ')}`);
  });

  it('diff shows what apply would change, and changes nothing', async () => {
    await kubectl.feed(manifest('differs', { a: 'old' }), 'apply', '-f', '-');
    const same = await kubectl.tryFeed(manifest('differs', { a: 'old' }), 'diff', '-f', '-');
    assert.deepEqual([same.code, same.stdout], [0, '']);
    const diff = await kubectl.tryFeed(manifest('differs', { a: 'new' }), 'diff', '-f', '-');
    assert.equal(diff.code, 1);
    assert.match(diff.stdout, /-\s+a: old\n\+\s+a: new/);
    assert.deepEqual((await kubectl.json<ConfigMap>('get', 'cm', 'differs')).data, { a: 'old' });
  });

  it('--dry-run=server validates and writes nothing', async () => {
    const said = await kubectl.run('create', 'configmap', 'dry', '--dry-run=server');
    assert.equal(said, 'configmap/dry created (server dry run)\n');
    assert.equal((await kubectl.try('get', 'cm', 'dry')).code, 1);
  });

  it('replace needs the latest version', async () => {
    await kubectl.feed(manifest('replaced', { a: '1' }), 'create', '-f', '-');
    const before = await kubectl.json<ConfigMap>('get', 'cm', 'replaced');
    const said = await kubectl.feed({ ...before, data: { a: '2' } }, 'replace', '-f', '-');
    assert.equal(said, 'configmap/replaced replaced\n');
    const stale = await kubectl.tryFeed({ ...before, data: { a: '3' } }, 'replace', '-f', '-');
    assert.match(stale.stderr, /\(Conflict\).*the object has been modified/);
  });

  for (const [type, patch, expected] of [
    ['merge', '{"data":{"b":"2","a":null}}', { b: '2' }],
    ['strategic', '{"data":{"b":"2"}}', { a: '1', b: '2' }],
    ['json', '[{"op":"replace","path":"/data/a","value":"9"}]', { a: '9' }],
  ] as const) {
    it(`patch --type=${type}`, async () => {
      const name = `patched-${type}`;
      await kubectl.feed(manifest(name, { a: '1' }), 'create', '-f', '-');
      const said = await kubectl.run('patch', 'cm', name, `--type=${type}`, '-p', patch);
      assert.equal(said, `configmap/${name} patched\n`);
      assert.deepEqual((await kubectl.json<ConfigMap>('get', 'cm', name)).data, expected);
    });
  }

  it('patch --type=json whose test fails is refused', async () => {
    await kubectl.feed(manifest('tested', { a: '1' }), 'create', '-f', '-');
    const patch = '[{"op":"test","path":"/data/a","value":"2"},{"op":"remove","path":"/data/a"}]';
    const refused = await kubectl.try('patch', 'cm', 'tested', '--type=json', '-p', patch);
    assert.equal(refused.code, 1);
    assert.deepEqual((await kubectl.json<ConfigMap>('get', 'cm', 'tested')).data, { a: '1' });
  });

  it('label and annotate set, refuse to overwrite, and remove', async () => {
    await kubectl.run('create', 'configmap', 'named');
    assert.equal(await kubectl.run('label', 'cm', 'named', 'tier=one'), 'configmap/named labeled\n');
    assert.equal((await kubectl.try('label', 'cm', 'named', 'tier=two')).code, 1);
    await kubectl.run('label', 'cm', 'named', 'tier=two', '--overwrite');
    assert.equal(await kubectl.run('annotate', 'cm', 'named', 'note=text'), 'configmap/named annotated\n');
    const { metadata } = await kubectl.json<ConfigMap>('get', 'cm', 'named');
    assert.equal(metadata.labels?.['tier'], 'two');
    assert.equal(metadata.annotations?.['note'], 'text');
    assert.equal(await kubectl.run('label', 'cm', 'named', 'tier-'), 'configmap/named unlabeled\n');
    assert.equal((await kubectl.json<ConfigMap>('get', 'cm', 'named')).metadata.labels?.['tier'], undefined);
  });

  it('get by label and field selectors', async () => {
    await kubectl.run('create', 'configmap', 'red');
    await kubectl.run('create', 'configmap', 'blue');
    await kubectl.run('label', 'cm', 'red', 'colour=red');
    const names = (...args: string[]) => kubectl.run('get', 'cm', '-o', 'name', ...args);
    assert.equal(await names('-l', 'colour=red'), 'configmap/red\n');
    assert.equal(await names('-l', 'colour in (red,green)'), 'configmap/red\n');
    assert.equal(await names('--field-selector', 'metadata.name=blue'), 'configmap/blue\n');
    const unknown = await kubectl.try('get', 'cm', '--field-selector', 'data.a=1');
    assert.match(unknown.stderr, /"data.a" is not a known field selector/);
  });

  it('get -o table, wide, yaml, json, jsonpath, custom-columns, go-template, name', async () => {
    await kubectl.run('create', 'configmap', 'shown', '--from-literal=key=value');
    const get = (...args: string[]) => kubectl.run('get', 'cm', 'shown', ...args);
    assert.match(await get(), /^NAME +DATA +AGE\nshown +1 +\d+s\n$/);
    assert.match(await get('-o', 'wide'), /^NAME +DATA +AGE\n/);
    assert.match(await get('-o', 'yaml'), /^apiVersion: v1\ndata:\n {2}key: value\nkind: ConfigMap\n/);
    assert.equal(await get('-o', 'jsonpath={.data.key}'), 'value');
    assert.equal(await get('-o', 'custom-columns=K:.data.key', '--no-headers'), 'value\n');
    assert.equal(await get('-o', 'go-template={{.data.key}}'), 'value');
    assert.equal(await get('-o', 'name'), 'configmap/shown\n');
  });

  it('get --chunk-size pages through everything', async () => {
    const items = Array.from({ length: 7 }, (_, i) => JSON.stringify(manifest(`page-${i}`, {})));
    await kubectl.feed(items.join('\n---\n'), 'create', '-f', '-');
    const names = await kubectl.run('get', 'cm', '-l', 'test=objects', '--chunk-size=2', '-o', 'name');
    assert.equal(names.split('\n').filter((line) => line.includes('page-')).length, 7);
  });

  it('get -w prints what happens', async () => {
    const watch = kubectl.start('get', 'cm', '-w', '--output-watch-events');
    try {
      await waitFor('the watch to list', 15_000, async () => watch.stdout.includes('kube-root-ca.crt'));
      await kubectl.run('create', 'configmap', 'watched');
      await kubectl.run('label', 'cm', 'watched', 'a=b');
      await kubectl.run('delete', 'cm', 'watched');
      const expected = ['ADDED', 'MODIFIED', 'DELETED'];
      await waitFor('added, modified, deleted', 15_000, async () => {
        const lines = watch.stdout.split('\n').filter((line) => /\swatched\s/.test(line));
        return lines.map((line) => line.split(/\s+/)[0]).join() === expected.join();
      });
    } finally {
      watch.process.kill();
      await watch.outcome;
    }
  });

  it('describe shows the object and its events', async () => {
    await kubectl.run('create', 'configmap', 'described', '--from-literal=key=value');
    const text = await kubectl.run('describe', 'cm', 'described');
    assert.match(text, /^Name: +described\n/);
    assert.match(text, /key:\n----\nvalue\n/);
    assert.match(text, /Events: +<none>/);
  });

  it('edit goes through the editor and writes what it saved', async () => {
    await kubectl.run('create', 'configmap', 'edited', '--from-literal=key=before');
    const said = await kubectl
      .withEnvironment({ KUBE_EDITOR: 'sed -i s/before/after/' })
      .run('edit', 'cm', 'edited');
    assert.equal(said, 'configmap/edited edited\n');
    assert.equal((await kubectl.json<ConfigMap>('get', 'cm', 'edited')).data?.['key'], 'after');
  });

  it('wait --for=jsonpath, =create and =delete', async () => {
    const created = kubectl.start('wait', '--for=create', 'cm/awaited', '--timeout=20s');
    await kubectl.run('create', 'configmap', 'awaited', '--from-literal=key=first');
    assert.equal((await created.outcome).code, 0);
    const changed = kubectl.start('wait', '--for=jsonpath={.data.key}=second', 'cm/awaited', '--timeout=20s');
    await kubectl.run('patch', 'cm', 'awaited', '-p', '{"data":{"key":"second"}}');
    assert.equal((await changed.outcome).code, 0);
    const deleted = kubectl.start('wait', '--for=delete', 'cm/awaited', '--timeout=20s');
    await kubectl.run('delete', 'cm', 'awaited');
    assert.equal((await deleted.outcome).code, 0);
    const never = await kubectl.try('wait', '--for=create', 'cm/never', '--timeout=1s');
    assert.match(never.stderr, /timed out waiting/);
  });

  it('delete with a finalizer waits until the finalizer goes', async () => {
    await kubectl.feed(
      { ...manifest('held', {}), metadata: { name: 'held', finalizers: ['example.com/held'] } },
      'create',
      '-f',
      '-',
    );
    const deletion = kubectl.start('delete', 'cm', 'held');
    await waitFor('the deletion timestamp', 15_000, async () => {
      const { metadata } = await kubectl.json<{ metadata: { deletionTimestamp?: string } }>(
        'get',
        'cm',
        'held',
      );
      return metadata.deletionTimestamp !== undefined;
    });
    await kubectl.run(
      'patch',
      'cm',
      'held',
      '--type=json',
      '-p',
      '[{"op":"remove","path":"/metadata/finalizers"}]',
    );
    assert.equal((await deletion.outcome).code, 0);
  });

  it('delete --all and by label', async () => {
    const other = await freshNamespace('emptied');
    for (const name of ['a', 'b', 'c']) await other.run('create', 'configmap', name);
    await other.run('label', 'cm', 'a', 'x=y');
    assert.match(await other.run('delete', 'cm', '-l', 'x=y'), /^configmap "a" deleted/);
    await other.run('delete', 'cm', '--all');
    const left = await other.run(
      'get',
      'cm',
      '-o',
      'name',
      '--field-selector',
      'metadata.name!=kube-root-ca.crt',
    );
    assert.equal(left, '');
  });

  it('delete namespace takes everything in it along', async () => {
    const cluster = await sharedCluster();
    const doomed = await freshNamespace('doomed');
    await doomed.run('create', 'configmap', 'inside');
    const { namespace } = doomed;
    await cluster.kubectl.run('delete', 'namespace', namespace, '--timeout=30s');
    assert.equal((await cluster.kubectl.try('get', 'namespace', namespace)).code, 1);
    await cluster.kubectl.run('create', 'namespace', namespace);
    assert.equal((await doomed.try('get', 'configmap', 'inside')).code, 1);
  });
});
