import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { code } from '../../../actors/store/etcd/status.js';
import { rpc } from '../../harness/etcd-calls.js';
import { GrpcClient } from '../../harness/grpc-client.js';
import { isInstalled, startStoreAlone, type StoreAlone } from '../../harness/store-alone.js';
import { etcdctl, restoreByEtcdctl, startEtcd } from './etcd-server.js';
import { putLeasedKeys } from './leased-keys.js';
import { servedState } from './served-state.js';

describe('etcdctl takes a snapshot of our store to a real etcd', function () {
  this.timeout(120_000);
  let folder: string;
  let store: StoreAlone;
  let compactedAt = 0;
  let lease = '';
  before(async function () {
    if (!isInstalled('etcd', '--version') || !isInstalled('etcdctl', 'version')) return this.skip();
    folder = mkdtempSync(join(tmpdir(), 'kabuki-to-etcd-'));
    store = await startStoreAlone({ members: 3 });
    compactedAt = await writeSomething();
  });
  after(async () => {
    await store?.remove();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  /** Of one member: etcdctl wants one. */
  const save = (of: StoreAlone, member: number, file: string) =>
    etcdctl(`127.0.0.1:${of.ports[member]}`, 'snapshot', 'save', file);
  const path = (name: string) => join(folder, name);

  /** Every kind of change, values of several pages, keys that are no text; resolves with the revision of a compaction. */
  async function writeSomething(): Promise<number> {
    const { etcdctl: run, tryEtcdctl } = store;
    const txn = async (input: string) =>
      assert.match((await tryEtcdctl(['txn'], input)).stdout, /SUCCESS[^]*OK/);
    for (let i = 0; i < 60; i++) await run('put', `early/${i % 20}`, `value ${i}`);
    await txn('\nput both/a 1\nput both/b 2\ndel early/3\n\n\n');
    await run('del', 'early/5');
    const { revision } = (JSON.parse(await run('get', 'x', '-w=json')) as { header: { revision: number } })
      .header;
    await run('compact', String(revision));
    await run('put', 'early/5', 'anew');
    await run('put', 'big', 'x'.repeat(100_000));
    await run('put', 'caf\u00e9/\u00ff\u0001', 'not ascii');
    await run('put', 'empty', '');
    lease = /lease ([0-9a-f]+) granted/.exec(await run('lease', 'grant', '1000'))![1]!;
    await run('put', 'leased/a', 'by lease', `--lease=${lease}`);
    await putLeasedKeys(`http://127.0.0.1:${store.ports[0]}`);
    await txn('\nput both/b 3\nput both/c 4\ndel early/1 --prefix\n\n\n');
    return revision;
  }

  it('snapshot save and snapshot status work, and agree on what is in it', async () => {
    await save(store, 0, path('one.db'));
    const bytes = readFileSync(path('one.db'));
    assert.equal(bytes.length % 512, 32);
    const sum = createHash('sha256').update(bytes.subarray(0, -32)).digest();
    assert.deepEqual(bytes.subarray(-32), sum);
    const status = JSON.parse(await store.etcdctl('snapshot', 'status', path('one.db'), '-w=json')) as {
      revision: number;
      totalSize: number;
    };
    const { revision } = await servedState(`http://127.0.0.1:${store.ports[0]}`, compactedAt);
    assert.equal(status.revision, revision);
    assert.equal(status.totalSize, bytes.length - 32);
  });

  it('etcd on it serves the same keys, values, revisions, versions, history, events and leases', async () => {
    await save(store, 1, path('two.db'));
    await restoreByEtcdctl(path('two.db'), path('etcd'));
    const etcd = await startEtcd(path('etcd'));
    try {
      const theirs = await servedState(etcd.endpoint, compactedAt);
      assert.deepEqual(theirs, await servedState(`http://127.0.0.1:${store.ports[1]}`, compactedAt));
      assert((theirs.events as unknown[]).length > 15);
      const leases = await etcdctl(etcd.endpoint, 'lease', 'timetolive', lease.padStart(16, '0'), '--keys');
      assert.match(
        leases,
        /granted with TTL\(1000s\), remaining\((9\d\d|1000)s\), attached keys\(\[leased\/a\]\)/,
      );
      const ids = async (endpoint: string) =>
        (await etcdctl(endpoint, 'lease', 'list')).match(/^-?[0-9a-f]+$/gm)?.toSorted();
      const there = await ids(etcd.endpoint);
      assert.equal(there?.length, 6);
      assert.deepEqual(there, await ids(`127.0.0.1:${store.ports[1]}`));
      await assert.rejects(
        etcdctl(etcd.endpoint, 'get', 'x', `--rev=${compactedAt - 1}`),
        /has been compacted/,
      );
      // And goes on from there.
      await etcdctl(etcd.endpoint, 'put', 'early/5', 'by etcd');
      await etcdctl(etcd.endpoint, 'compact', String(theirs.revision + 1));
      assert.match(await etcdctl(etcd.endpoint, 'get', 'early/5'), /by etcd/);
    } finally {
      await etcd.stop();
    }
  });

  it('a snapshot of a store that never was written to is one, too', async () => {
    const fresh = await startStoreAlone({ members: 1 });
    try {
      await save(fresh, 0, path('fresh.db'));
      await restoreByEtcdctl(path('fresh.db'), path('fresh'));
      const etcd = await startEtcd(path('fresh'));
      assert.match(await etcdctl(etcd.endpoint, 'get', 'x', '-w=json'), /"revision":1,/);
      await etcd.stop();
    } finally {
      await fresh.remove();
    }
  });

  it('says how much is to come, and takes back what a client that goes away did not want', async () => {
    const client = new GrpcClient(`http://127.0.0.1:${store.ports[0]}`);
    const call = client.stream(...rpc.snapshot);
    call.send({});
    call.finish();
    assert.equal((await call.status).code, code.ok);
    const blobs = call.received.map(({ blob }) => blob.length);
    const total = blobs.reduce((sum, length) => sum + length, 0);
    let left = total - 32;
    for (const [i, { remainingBytes }] of call.received.entries()) {
      left = Math.max(0, left - blobs[i]!);
      assert.equal(remainingBytes, left);
    }
    assert.equal(blobs.at(-1), 32);
    for (let i = 0; i < 12; i++) {
      const other = new GrpcClient(`http://127.0.0.1:${store.ports[0]}`);
      other.stream(...rpc.snapshot).send({});
      other.close();
    }
    await save(store, 0, path('after.db'));
    client.close();
  });
});
