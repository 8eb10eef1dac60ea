import { strict as assert } from 'node:assert';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kabukiPath } from '../../harness/process-cluster.js';
import { type Outcome, run } from '../../harness/program.js';
import { isInstalled, startStoreAlone, type StoreAlone } from '../../harness/store-alone.js';
import { etcdctl, type EtcdServer, restoreByEtcdctl, startEtcd } from './etcd-server.js';
import { putLeasedKeys } from './leased-keys.js';
import { servedState } from './served-state.js';

describe('a snapshot that a real etcd saved becomes a store of ours', function () {
  this.timeout(120_000);
  let folder: string;
  let etcd: EtcdServer | undefined;
  let lease = '';
  const stores: StoreAlone[] = [];
  before(async function () {
    if (!isInstalled('etcd', '--version') || !isInstalled('etcdctl', 'version')) return this.skip();
    folder = mkdtempSync(join(tmpdir(), 'kabuki-from-etcd-'));
    etcd = await startEtcd(path('etcd'));
    const ctl = (...args: string[]) => etcdctl(etcd!.endpoint, ...args);
    for (let i = 0; i < 40; i++) await ctl('put', `k${i % 15}`, `value ${i}`);
    await ctl('del', 'k3');
    await ctl('compact', '20');
    await ctl('put', 'k3', 'anew');
    await ctl('put', 'k4', 'x'.repeat(50_000));
    lease = /lease ([0-9a-f]+) granted/.exec(await ctl('lease', 'grant', '900'))![1]!;
    await ctl('put', 'leased', 'by lease', `--lease=${lease}`);
    await putLeasedKeys(etcd.endpoint);
    await ctl('del', 'k5');
    await ctl('snapshot', 'save', path('etcd.db'));
  });
  after(async () => {
    await etcd?.stop();
    for (const store of stores) await store.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  const path = (name: string) => join(folder, name);
  const snapshot = (...args: string[]): Promise<Outcome> =>
    run(process.execPath, [kabukiPath, 'store', 'snapshot', ...args]);
  const started = async (dataDir: string): Promise<StoreAlone> => {
    const store = await startStoreAlone({ dataDir, members: 1 });
    stores.push(store);
    return store;
  };

  it('status says of it what etcdctl says', async () => {
    const ours = JSON.parse((await snapshot('status', path('etcd.db'), '--json')).stdout) as Record<
      string,
      unknown
    >;
    const theirs = JSON.parse(
      await etcdctl(etcd!.endpoint, 'snapshot', 'status', path('etcd.db'), '-w=json'),
    ) as {
      totalKey: number;
      totalSize: number;
    };
    const { hash, revision, totalKeys, totalBytes } = ours;
    const { totalKey, totalSize, ...same } = theirs;
    assert.deepEqual(
      { hash, revision, totalKey: totalKeys, totalSize: totalBytes },
      { ...same, totalKey, totalSize },
    );
    assert.equal(ours['isSumChecked'], true);
  });

  it('the store serves the same keys, values, revisions and versions, later revisions, and the leases', async () => {
    const made = await snapshot('restore', path('etcd.db'), '--data-dir', path('ours'), '--members', '1');
    assert.equal(made.code, 0, made.stderr);
    const store = await started(path('ours'));
    const theirs = await servedState(etcd!.endpoint);
    const ours = await servedState(`http://127.0.0.1:${store.ports[0]}`);
    assert.equal(ours.revision, theirs.revision + 1_000_000_000);
    assert.deepEqual(ours.keys, theirs.keys);
    const left = await store.etcdctl('lease', 'timetolive', lease, '--keys');
    assert.match(left, /granted with TTL\(900s\), remaining\((8\d\d|900)s\), attached keys\(\[leased\]\)/);
    assert.match(await store.etcdctl('put', 'k1', 'goes on', '--prev-kv'), /k1\nvalue 31/);
  });

  it('there and back again: etcd serves the store that was made of its snapshot', async () => {
    const endpoint = `127.0.0.1:${stores[0]!.ports[0]}`;
    await etcdctl(endpoint, 'snapshot', 'save', path('back.db'));
    await restoreByEtcdctl(path('back.db'), path('back'));
    const back = await startEtcd(path('back'));
    assert.deepEqual(await servedState(back.endpoint), await servedState(`http://${endpoint}`));
    await back.stop();
  });

  it('with users and authentication, it is asked for etcd’s passwords, or nobody is when that is wanted', async () => {
    const ctl = (...args: string[]) => etcdctl(etcd!.endpoint, ...args);
    await ctl('user', 'add', 'root:secret');
    await ctl('user', 'grant-role', 'root', 'root');
    await ctl('auth', 'enable');
    await ctl('--user=root:secret', 'snapshot', 'save', path('auth.db'));
    const taken = await snapshot('restore', path('auth.db'), '--data-dir', path('auth'), '--members', '1');
    assert.equal(taken.code, 0, taken.stderr);
    const store = await started(path('auth'));
    assert.equal(await store.etcdctl('--user=root:secret', 'put', 'k1', 'by root'), 'OK\n');
    await assert.rejects(store.etcdctl('--user=root:other', 'get', 'k1'), /authentication failed/);
    await assert.rejects(store.etcdctl('get', 'k1'), /user name is empty/);
    const open = ['--data-dir', path('open'), '--members', '1', '--disable-auth'];
    const disabled = await snapshot('restore', path('auth.db'), ...open);
    assert.equal(disabled.code, 0, disabled.stderr);
    assert.match(await (await started(path('open'))).etcdctl('get', 'k1'), /k1\n/);
  });

  it('a database out of the folder of a member has no sum, and is taken when told so', async () => {
    await etcd!.stop();
    etcd = undefined;
    copyFileSync(join(path('etcd'), 'member/snap/db'), path('copied.db'));
    const refused = await snapshot('status', path('copied.db'));
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /copied\.db is cut off: .*no sum at its end: it is cut off, or copied from a member/,
    );
    const args = ['--data-dir', path('copied'), '--members', '1', '--skip-hash-check', '--disable-auth'];
    const taken = await snapshot('restore', path('copied.db'), ...args);
    assert.equal(taken.code, 0, taken.stderr);
    assert.match(taken.stdout, /with 20 keys and 6 leases/);
  });

  it('users, roles and passwords of our own store come back from its snapshot, and only root may take it', async () => {
    const store = stores[0]!;
    const endpoint = `127.0.0.1:${store.ports[0]}`;
    await store.etcdctl('user', 'add', 'root:secret');
    await store.etcdctl('user', 'grant-role', 'root', 'root');
    await store.etcdctl('role', 'add', 'reader');
    await store.etcdctl('role', 'grant-permission', 'reader', 'read', 'k', 'l');
    await store.etcdctl('user', 'add', 'ann:word');
    await store.etcdctl('user', 'grant-role', 'ann', 'reader');
    await store.etcdctl('auth', 'enable');
    const save = (...who: string[]) => etcdctl(endpoint, ...who, 'snapshot', 'save', path('users.db'));
    await assert.rejects(save('--user=ann:word'), /permission denied/);
    await assert.rejects(save(), /user name is empty|permission denied|invalid auth token/);
    await save('--user=root:secret');
    const made = await snapshot('restore', path('users.db'), '--data-dir', path('users'), '--members', '1');
    assert.equal(made.code, 0, made.stderr);
    const restored = await started(path('users'));
    assert.match(await restored.etcdctl('--user=ann:word', 'get', 'k1'), /k1\ngoes on/);
    await assert.rejects(restored.etcdctl('--user=ann:word', 'put', 'k1', 'x'), /permission denied/);
    await assert.rejects(restored.etcdctl('--user=ann:other', 'get', 'k1'), /authentication failed/);
    await assert.rejects(restored.etcdctl('get', 'k1'), /user name is empty/);
    assert.match(await restored.etcdctl('--user=root:secret', 'role', 'get', 'reader'), /\[k, l\)/);
    // And to etcd, which checks the same passwords.
    await restoreByEtcdctl(path('users.db'), path('users-etcd'));
    const theirs = await startEtcd(path('users-etcd'));
    try {
      assert.match(await etcdctl(theirs.endpoint, '--user=ann:word', 'get', 'k1'), /k1\ngoes on/);
      await assert.rejects(
        etcdctl(theirs.endpoint, '--user=ann:other', 'get', 'k1'),
        /authentication failed/,
      );
      await assert.rejects(etcdctl(theirs.endpoint, 'get', 'k1'), /user name is empty/);
    } finally {
      await theirs.stop();
    }
  });
});
