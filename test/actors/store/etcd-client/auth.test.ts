/** The etcd client and Debian's etcd with authentication: tokens that end, users without rights. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { revision, type TxnOp } from 'raft-consensus';
import { realClock } from '../../../../actors/runtime/index.js';
import {
  type Credentials,
  etcdClientLimits,
  EtcdStore,
  http2Connect,
} from '../../../../actors/store/etcd-client/index.js';
import { StoreError } from '../../../../actors/store/index.js';
import { waitFor } from '../../../../deploy/wait.js';
import { EtcdCluster } from '../../../harness/etcd-cluster.js';
import { shortTokens } from '../../../harness/etcd-tokens.js';
import { isInstalled } from '../../../harness/store-alone.js';

const put = (key: string): TxnOp => ({
  type: 'txn',
  compare: [],
  success: [{ type: 'put', key, value: Buffer.from('x') }],
  failure: [],
});
const root: Credentials = { name: 'root', password: () => 'secret' };

describe('the etcd client and an etcd with authentication', function () {
  this.timeout(120_000);
  let folder: string;
  let etcd: EtcdCluster;
  const stores: EtcdStore[] = [];
  before(function () {
    if (!isInstalled('etcd', '--version') || !isInstalled('etcdctl', 'version')) this.skip();
    folder = mkdtempSync(join(tmpdir(), 'kabuki-auth-'));
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) store.close();
    await etcd?.stop();
  });
  after(() => {
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  const client = (credentials?: Credentials, prefix = ''): EtcdStore => {
    const store = new EtcdStore({
      endpoints: etcd.endpoints.map((address) => {
        const [host = '', port = ''] = address.split(':');
        return { address, host, port: Number(port) };
      }),
      connect: http2Connect({ clock: realClock, limits: etcdClientLimits }),
      clock: realClock,
      prefix,
      ...(credentials && { credentials }),
    });
    stores.push(store);
    return store;
  };
  const start = async (...args: readonly string[]) => {
    etcd = await EtcdCluster.start({ args: ['--bcrypt-cost=4', ...args] });
    await etcd.etcdctl('user', 'add', 'root:secret');
    await etcd.etcdctl('user', 'grant-role', 'root', 'root');
  };
  const enable = () => etcd.etcdctl('auth', 'enable');
  const asRoot = (...args: readonly string[]) => etcd.etcdctl('--user=root:secret', ...args);
  const refusal = async (promise: Promise<unknown>): Promise<string> => {
    const error = await promise.then(
      () => assert.fail('it went well'),
      (e: unknown) => e,
    );
    assert(error instanceof StoreError && error.code === 'Refused' && error.definite, String(error));
    return error.message;
  };
  const watched = async (store: EtcdStore) => {
    const seen: string[] = [];
    const begin = revision((await store.currentRevision()) + 1);
    store.watch(
      { key: '/', rangeEnd: '0', startRevision: begin },
      { onBatch: ({ events }) => seen.push(...events.map(({ kv }) => kv.key)), onEnd: () => {} },
    );
    return seen;
  };

  it('writes and watches go on when tokens are forgotten, when users change, and when it is enabled meanwhile', async () => {
    await start();
    const store = client(root);
    const seen = await watched(store);
    await store.txn(put('/before'));
    await enable();
    await store.txn(put('/enabled'));
    await asRoot('role', 'add', 'other');
    await store.txn(put('/changed'));
    // A member that starts anew knows no token of before.
    const [name] = etcd.names;
    await etcd.kill(name!);
    etcd.startMember(name!);
    await store.currentRevision({ timeoutMs: 20_000 });
    const lease = await store.leaseGrant(60_000);
    await store.txn({
      ...put('/again'),
      success: [{ type: 'put', key: '/again', value: Buffer.from('x'), lease }],
    });
    await waitFor('all events', 10_000, async () => seen.length === 4);
    assert.deepEqual(seen, ['/before', '/enabled', '/changed', '/again']);
  });

  it('writes and watches go on beyond the time of its tokens', async () => {
    await start(shortTokens(folder, '1s'));
    await enable();
    const store = client(root);
    const seen = await watched(store);
    const begun = Date.now();
    let written = 0;
    while (Date.now() - begun < 4_000) await store.txn(put(`/${(written += 1)}`));
    await waitFor('all events', 10_000, async () => seen.length === written);
    assert.deepEqual(
      seen,
      Array.from({ length: written }, (_, i) => `/${i + 1}`),
    );
  });

  it('is told apart: nobody, the wrong password, no such user, too few rights', async () => {
    await start();
    await asRoot('user', 'add', 'team:secret');
    await asRoot('role', 'add', 'team');
    await asRoot('user', 'grant-role', 'team', 'team');
    const grant = (...args: readonly string[]) =>
      asRoot('role', 'grant-permission', 'team', 'readwrite', ...args);
    await enable();
    assert.match(await refusal(client().currentRevision()), /user name is empty/);
    for (const who of ['root', 'stranger']) {
      const text = await refusal(client({ name: who, password: () => 'wrong' }).txn(put('/x')));
      assert.match(text, new RegExp(`user "${who}": authentication failed, invalid user ID or password`));
    }
    const team = client({ name: 'team', password: () => 'secret' }, '/team');
    assert.match(
      await refusal(team.checkRights()),
      /may not read and write the keys from \/team\/ to \/team0$/,
    );
    await grant('/team/', '/team0');
    await team.txn(put('/mine'));
    assert.match(await refusal(team.checkRights()), /may not read and write compact_rev_key/);
    await grant('compact_rev_key');
    assert.match(await refusal(team.checkRights()), /may not read all keys: etcd 3\.4\.23 can be trusted/);
    await asRoot('role', 'grant-permission', 'team', 'read', '', '--prefix');
    await team.checkRights();
    await client(root).checkRights();
    const all = await client(root).range({ type: 'range', key: '\0', rangeEnd: '\0' });
    assert.deepEqual(
      all.result.kvs.map(({ key }) => key),
      ['/team/mine'],
      'looking at rights has written nothing',
    );
  });
});
