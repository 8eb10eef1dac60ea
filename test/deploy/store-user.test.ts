/** `kabuki up --store` on an etcd with authentication. */
import { strict as assert } from 'node:assert';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EtcdCluster } from '../harness/etcd-cluster.js';
import { shortTokens } from '../harness/etcd-tokens.js';
import { kabukiPath, ProcessCluster } from '../harness/process-cluster.js';
import { run } from '../harness/program.js';
import { isInstalled } from '../harness/store-alone.js';

const password = 'correct horse 8471';

describe('a cluster on an etcd with authentication (kabuki up --store-user)', function () {
  this.timeout(180_000);
  let folder: string;
  let etcd: EtcdCluster;
  before(async function () {
    if (!isInstalled('etcd', '--version') || !isInstalled('etcdctl', 'version')) return this.skip();
    folder = mkdtempSync(join(tmpdir(), 'kabuki-test-'));
    etcd = await EtcdCluster.start({ args: ['--bcrypt-cost=4', shortTokens(folder, '2s')] });
    await etcd.etcdctl('user', 'add', 'root:secret');
    await etcd.etcdctl('user', 'grant-role', 'root', 'root');
    await etcd.etcdctl('user', 'add', `kabuki:${password}`);
    await etcd.etcdctl('auth', 'enable');
  });
  after(async () => {
    await etcd?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  const file = (text: string): string => {
    const path = join(folder, 'password');
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const url = () => `etcd://${etcd.endpoints[0]}`;
  const refused = async (...args: readonly string[]): Promise<string> => {
    const dir = join(folder, 'new');
    const { code, stdout, stderr } = await run(process.execPath, [
      kabukiPath,
      'up',
      '--data-dir',
      dir,
      ...args,
    ]);
    assert.equal(code, 1, `${stdout}${stderr}`);
    assert.equal(existsSync(dir), false, 'nothing was written');
    return `${stdout}${stderr}`;
  };
  const withPassword = (text: string) => [
    '--store',
    url(),
    '--store-user',
    'kabuki',
    '--store-password-file',
    file(text),
  ];

  it('says that the store asks who calls, that the password is wrong, and which right is missing', async () => {
    assert.match(await refused('--store', url()), /cannot be used: it asks who calls: --store-user and/);
    const wrong = await refused(...withPassword('wrong'));
    assert.match(wrong, /user "kabuki": authentication failed, invalid user ID or password/);
    const rightless = await refused(...withPassword(password));
    assert.match(rightless, /user "kabuki": it may not read and write the keys from \/ to 0/);
  });

  it('refuses half a user, a file that is empty or not there, and a password in the address, which it does not repeat', async () => {
    assert.match(await refused('--store', url(), '--store-user', 'kabuki'), /belong together/);
    assert.match(await refused('--store-user', 'kabuki'), /belong to --store/);
    assert.match(await refused(...withPassword('\n')), /--store-password-file .*password is empty/);
    const nowhere = ['--store', url(), '--store-user', 'kabuki', '--store-password-file', '/nowhere'];
    assert.match(await refused(...nowhere), /--store-password-file \/nowhere cannot be read/);
    for (const told of [
      await refused('--store', `etcd://kabuki:hush@${etcd.endpoints[0]}`),
      await refused('--store', url(), '--store-user', 'kabuki:hush', '--store-password-file', '/nowhere'),
    ]) {
      assert.match(told, /--store-password-file/);
      assert.doesNotMatch(told, /hush/);
    }
  });

  it('serves, beyond the time of a token and over a restart, and keeps the password to itself', async () => {
    const root = (...args: readonly string[]) => etcd.etcdctl('--user=root:secret', ...args);
    await root('role', 'add', 'all');
    await root('role', 'grant-permission', 'all', 'readwrite', '', '--prefix');
    await root('user', 'grant-role', 'kabuki', 'all');
    const cluster = await ProcessCluster.up({
      masters: 1,
      workers: 1,
      args: withPassword(`${password}\n`),
    });
    try {
      const deadline = Date.now() + 6_000;
      let made = 0;
      while (Date.now() < deadline) await cluster.kubectl.run('create', 'configmap', `c${(made += 1)}`);
      await cluster.kabukiOutput('down');
      await cluster.restart();
      const names = await cluster.kubectl.run('get', 'configmaps', '-o', 'name');
      assert.equal(names.match(/configmap\/c\d+\n/g)?.length, made);
      for (const name of readdirSync(cluster.dir.path, { recursive: true, withFileTypes: true })) {
        if (!name.isFile()) continue;
        const path = join(name.parentPath, name.name);
        assert.ok(!readFileSync(path).includes(password), `${path} holds the password`);
      }
    } finally {
      await cluster.stop();
    }
  });
});
