import { strict as assert } from 'node:assert';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configMaps } from '../../actors/client/index.js';
import { startCluster } from '../../deploy/start-cluster.js';
import { waitFor } from '../../deploy/wait.js';
import { EtcdCluster } from '../harness/etcd-cluster.js';
import { freePort, kabukiPath, ProcessCluster } from '../harness/process-cluster.js';
import { run } from '../harness/program.js';
import { isInstalled } from '../harness/store-alone.js';

async function createWeb({ kubectl }: ProcessCluster, replicas: number): Promise<void> {
  await kubectl.run(
    'create',
    'deployment',
    'web',
    '--image=nginx:1',
    '--port=8080',
    `--replicas=${replicas}`,
  );
}

describe('a cluster on a real etcd (kabuki up --store)', function () {
  this.timeout(180_000);
  let etcd: EtcdCluster;
  let cluster: ProcessCluster;
  before(async function () {
    if (!isInstalled('etcd', '--version')) return this.skip();
    etcd = await EtcdCluster.start({ members: 3 });
    cluster = await ProcessCluster.up({ args: ['--store', url()] });
  });
  after(async () => {
    await cluster?.stop();
    await etcd?.stop();
  });

  const url = () => `etcd://${etcd.endpoints.join(',')}`;
  const rollout = (name: string) =>
    cluster.kubectl.run('rollout', 'status', `deployment/${name}`, '--timeout=60s');

  it('masters have no store member, status and tree name the store, and what needs the built-in one says so', async () => {
    const status = await cluster.kabukiOutput('status');
    assert.ok(status.includes(`store ${url()}`), status);
    assert.match(status, /master-1 +running .*127\.0\.0\.1:\d+ rev \d+/);
    assert.ok((await cluster.kabukiOutput('tree')).includes(url()));
    for (const { name } of cluster.spec.machines) {
      assert.deepEqual(
        (await cluster.tree(name)).filter(({ path }) => path === '/store'),
        [],
      );
    }
    const { code, stderr } = await cluster.kabuki('fault', 'kill', 'leader');
    assert.equal(code, 1);
    assert.match(stderr, /the store of this cluster is etcd:\/\/.*use etcdctl/);
  });

  it('kubectl makes a deployment whose pods run; its objects are in etcd', async () => {
    await createWeb(cluster, 3);
    await rollout('web');
    const keys = await etcd.etcdctl('get', '--prefix', '/registry/apps/deployments/', '--keys-only');
    assert.match(keys, /^\/registry\/apps\/deployments\/default\/web$/m);
  });

  it("etcd's leader is killed: writes go on, none that was acknowledged is lost, watches miss nothing", async () => {
    const acknowledged: string[] = [];
    let stop = false;
    const watch = cluster.kubectl.start('get', 'configmaps', '--watch', '--no-headers');
    const writing = (async () => {
      for (let i = 0; !stop && i < 400; i += 1) {
        const body = JSON.stringify({ metadata: { name: `durable-${i}` } });
        const headers = { 'content-type': 'application/json' };
        const path = '/api/v1/namespaces/default/configmaps';
        const call = { method: 'POST', path, body, headers, timeoutMs: 4_000 };
        if ((await cluster.http(call).catch(() => undefined))?.status === 201)
          acknowledged.push(`durable-${i}`);
      }
    })();
    await waitFor('some writes', 10_000, async () => acknowledged.length >= 10);
    const leader = (await etcd.leader()) as string;
    await etcd.kill(leader);
    const before = acknowledged.length;
    await waitFor('writes to go on', 20_000, async () => acknowledged.length >= before + 10);
    stop = true;
    await writing;
    await cluster.kubectl.run('scale', 'deployment/web', '--replicas=4');
    await rollout('web');
    const present = await cluster.kubectl.run('get', 'configmaps', '-o', 'name');
    const seen = () => watch.stdout;
    await waitFor('the watch to see the last write', 20_000, async () =>
      seen().includes(`${acknowledged.at(-1)} `),
    );
    watch.process.kill('SIGTERM');
    await watch.outcome;
    for (const name of acknowledged) {
      assert.ok(present.includes(`configmap/${name}\n`), `${name} was acknowledged and is lost`);
      assert.ok(seen().includes(`${name} `), `the watch missed ${name}`);
    }
    etcd.startMember(leader);
  });

  it('one master of three is enough, for no quorum is theirs', async () => {
    for (const machine of ['master-1', 'master-2']) await cluster.kabukiOutput('fault', 'kill', machine);
    await waitFor('kubectl to write again', 30_000, async () => {
      await cluster.kubectl.run('create', 'configmap', `alone-${Date.now()}`, '--request-timeout=3s');
      return true;
    });
    await cluster.kubectl.run('scale', 'deployment/web', '--replicas=2');
    await rollout('web');
    await cluster.kabukiOutput('fault', 'heal');
    await cluster.allReady(60_000);
  });

  it('a cluster that was stopped goes on with its objects, also from other endpoints of the same etcd', async () => {
    await cluster.kabukiOutput('down');
    await cluster.restart({ args: ['--store', `etcd://${etcd.endpoints[2]}`] });
    await rollout('web');
    assert.deepEqual(cluster.spec.externalStore?.endpoints, [etcd.endpoints[2]]);
  });

  it('another cluster is kept out of these keys, and lives beside them under a prefix', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kabuki-test-'));
    try {
      const refused = await up(join(folder, 'other'), '--store', url());
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /holds the cluster "kabuki" \(id .*--store-prefix/);
      assert.equal(existsSync(join(folder, 'other')), false, 'nothing was written');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    const beside = await startCluster({
      masters: 1,
      workers: 1,
      runtime: 'simulated',
      store: { url: url(), prefix: '/team-a' },
    });
    try {
      const made = await beside.client.create(configMaps, {
        metadata: { name: 'mine', namespace: 'default' },
      });
      assert.equal(made.metadata?.name, 'mine');
      await assert.rejects(beside.leader(), /the store of this cluster is etcd:.*\/team-a/);
      const keys = await etcd.etcdctl(
        'get',
        '--prefix',
        '/team-a/registry/configmaps/default/',
        '--keys-only',
      );
      assert.match(keys, /^\/team-a\/registry\/configmaps\/default\/mine$/m);
      assert.doesNotMatch(await cluster.kubectl.run('get', 'configmaps'), /mine/);
    } finally {
      await beside.stop();
    }
  });
});

describe('a cluster that outgrows its own store', function () {
  this.timeout(180_000);
  let cluster: ProcessCluster;
  let etcd: EtcdCluster | undefined;
  before(async function () {
    if (!isInstalled('etcd', '--version')) return this.skip();
    cluster = await ProcessCluster.up({ masters: 1, workers: 1 });
  });
  after(async () => {
    await cluster?.stop();
    await etcd?.stop();
  });

  it('moves to an etcd that was restored from its backup, and to no other', async () => {
    await createWeb(cluster, 2);
    await cluster.kubectl.run('rollout', 'status', 'deployment/web', '--timeout=60s');
    const file = join(cluster.dir.path, 'backup.db');
    await cluster.kabukiOutput('store', 'snapshot', 'save', file);
    const uid = await cluster.kubectl.run('get', 'deployment', 'web', '-o', 'jsonpath={.metadata.uid}');
    await cluster.kabukiOutput('down');

    etcd = await EtcdCluster.start();
    const empty = await cluster.kabuki('up', '--detach', '--store', `etcd://${etcd.endpoints[0]}`);
    assert.equal(empty.code, 1);
    assert.match(
      `${empty.stdout}${empty.stderr}`,
      /are not in etcd:.*To move them: "kabuki store snapshot save FILE"/,
    );
    assert.equal(cluster.spec.externalStore, undefined);
    await etcd.stop();

    etcd = await EtcdCluster.start({ members: 3, snapshot: file });
    await cluster.restart({ args: ['--store', `etcd://${etcd.endpoints.join(',')}`] });
    await cluster.kubectl.run('scale', 'deployment/web', '--replicas=3');
    await cluster.kubectl.run('rollout', 'status', 'deployment/web', '--timeout=60s');
    assert.equal(
      await cluster.kubectl.run('get', 'deployment', 'web', '-o', 'jsonpath={.metadata.uid}'),
      uid,
    );
    assert.match(await cluster.kabukiOutput('status'), /store etcd:/);
    const { stderr } = await cluster.kabuki('store', 'snapshot', 'save', `${file}.2`);
    assert.match(stderr, /the store of this cluster is etcd:.*use etcdctl/);
  });
});

describe('kabuki up --store refuses, soon and with the reason', function () {
  this.timeout(60_000);
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'kabuki-test-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    [
      'what is no address of an etcd',
      ['--store', 'http://127.0.0.1:2379'],
      /--store takes etcd:\/\/host:port/,
    ],
    ['no port', ['--store', 'etcd://127.0.0.1:0'], /is not host:port/],
    ['an endpoint twice', ['--store', 'etcd://a:1,a:1'], /names a:1 twice/],
    ['a prefix that is none', ['--store', 'etcd://a:1', '--store-prefix', 'x'], /must be like \/team-a/],
    ['options of a store without a store', ['--store-prefix', '/x'], /belong to --store/],
    ['half an identity', ['--store', 'etcds://a:1', '--store-cert', '/x'], /belong together/],
    [
      'a file that is not there',
      ['--store', 'etcd://a:1', '--store-cacert', '/nowhere'],
      /--store-cacert \/nowhere cannot be read/,
    ],
    ['too many masters', ['--store', 'etcd://a:1', '--masters', '10'], /from 1 to 9 with --store/],
  ];
  for (const [what, args, reason] of cases) {
    it(what, async () => {
      const { code, stderr } = await up(join(folder, 'new'), ...args);
      assert.deepEqual([code, reason.test(stderr)], [1, true], stderr);
      assert.equal(existsSync(join(folder, 'new')), false, 'nothing was written');
    });
  }

  it('endpoints where nobody listens, within seconds', async () => {
    const port = await freePort();
    const begun = Date.now();
    const { code, stderr } = await up(join(folder, 'new'), '--store', `etcd://127.0.0.1:${port}`);
    assert.equal(code, 1);
    assert.match(stderr, /cannot be used: connect ECONNREFUSED 127\.0\.0\.1/);
    assert.ok(Date.now() - begun < 15_000);
    assert.equal(existsSync(join(folder, 'new')), false, 'nothing was written');
  });
});

const up = (folder: string, ...args: readonly string[]) =>
  run(process.execPath, [kabukiPath, 'up', '--data-dir', folder, ...args]);
