import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { revision, type TxnOp } from 'raft-consensus';
import { realClock } from '../../../../actors/runtime/index.js';
import {
  type ClientTls,
  type EtcdClientLimits,
  etcdClientLimits,
  EtcdStore,
  http2Connect,
} from '../../../../actors/store/etcd-client/index.js';
import { StoreError } from '../../../../actors/store/index.js';
import { createAuthority } from '../../../../deploy/certificates.js';
import { waitFor } from '../../../../deploy/wait.js';
import { EtcdCluster } from '../../../harness/etcd-cluster.js';
import { isInstalled } from '../../../harness/store-alone.js';

const put = (key: string, value = ''): TxnOp => ({
  type: 'txn',
  compare: [],
  success: [{ type: 'put', key, value: Buffer.from(value) }],
  failure: [],
});

function client(
  addresses: readonly string[],
  { tls, limits = {} }: { readonly tls?: ClientTls; readonly limits?: Partial<EtcdClientLimits> } = {},
): EtcdStore {
  const all = { ...etcdClientLimits, ...limits };
  return new EtcdStore({
    endpoints: addresses.map((address) => {
      const [host = '', port = ''] = address.split(':');
      return { address, host, port: Number(port) };
    }),
    connect: http2Connect({ clock: realClock, limits: all, ...(tls && { tls }) }),
    clock: realClock,
    limits,
  });
}

describe('the etcd client and a real etcd under faults', function () {
  this.timeout(120_000);
  let etcd: EtcdCluster;
  let store: EtcdStore;
  before(async function () {
    if (!isInstalled('etcd', '--version')) return this.skip();
    etcd = await EtcdCluster.start({ members: 3 });
    store = client(etcd.endpoints);
  });
  after(async () => {
    store?.close();
    await etcd?.stop();
  });

  it('leaders are killed: no acknowledged write is lost, and a watch sees each once and in order', async () => {
    const seen: number[] = [];
    const start = revision((await store.currentRevision()) + 1);
    const watch = store.watch(
      { key: '/kill/', rangeEnd: '/kill0', startRevision: start },
      { onBatch: ({ events }) => seen.push(...events.map(({ kv }) => kv.modRevision)), onEnd: () => {} },
    );
    const acknowledged: number[] = [];
    let stop = false;
    let unknown = 0;
    const writing = (async () => {
      for (let i = 0; !stop; i += 1) {
        try {
          acknowledged.push((await store.txn(put(`/kill/${i}`), { timeoutMs: 8_000 })).revision);
        } catch (error) {
          assert(error instanceof StoreError, String(error));
          if (!error.definite) unknown += 1;
        }
      }
    })();
    for (let round = 0; round < 2; round += 1) {
      const before = acknowledged.length;
      await waitFor('some writes', 20_000, async () => acknowledged.length > before + 50);
      let leader: string | undefined;
      await waitFor('a leader', 20_000, async () => (leader = await etcd.leader()) !== undefined);
      await etcd.kill(leader!);
      const at = acknowledged.length;
      await waitFor('writes to go on', 20_000, async () => acknowledged.length > at + 50);
      etcd.startMember(leader!);
    }
    stop = true;
    await writing;
    const { revision: now, result } = await store.range({ type: 'range', key: '/kill/', rangeEnd: '/kill0' });
    await waitFor('the watch to be there', 20_000, async () => seen.length >= result.count);
    assert.deepEqual(
      seen,
      result.kvs.map(({ modRevision }) => modRevision).toSorted((a, b) => a - b),
    );
    const present = new Set<number>(seen);
    assert.deepEqual(
      acknowledged.filter((each) => !present.has(each)),
      [],
    );
    assert.ok(present.size - acknowledged.length <= unknown && now >= acknowledged.at(-1)!);
    watch.close();
  });

  it('the endpoint in use is frozen: reads and watches go elsewhere at once, a write that had left is unknown', async () => {
    const { member } = await store.status();
    const frozen = etcd.names.find((name) => etcd.endpointOf(name) === member)!;
    const watched: string[] = [];
    const start = revision((await store.currentRevision()) + 1);
    const watch = store.watch(
      { key: '/frozen/', rangeEnd: '/frozen0', startRevision: start },
      { onBatch: ({ events }) => watched.push(...events.map(({ kv }) => kv.key)), onEnd: () => {} },
    );
    await store.txn(put('/frozen/before'));
    await waitFor('the event', 10_000, async () => watched.length === 1);
    etcd.freeze(frozen);
    try {
      const write = store.txn(put('/frozen/lost'), { timeoutMs: 1_000 });
      const error = await write.then(
        () => assert.fail('a frozen member has answered'),
        (e: unknown) => e,
      );
      assert(error instanceof StoreError && error.code === 'Timeout' && !error.definite, String(error));
      const begun = Date.now();
      await waitFor('a write to go through', 15_000, async () => {
        await store.txn(put('/frozen/after'), { timeoutMs: 4_000 });
        return true;
      });
      await store.currentRevision();
      await waitFor('the watch to go on', 10_000, async () => watched.includes('/frozen/after'));
      assert.ok(Date.now() - begun < 15_000);
    } finally {
      etcd.thaw(frozen);
    }
    watch.close();
  });

  it('history is cut by one of all clients, and whoever asks for it is told', async () => {
    const old = (await store.txn(put('/history/a', '1'))).revision;
    const clients = [0, 1].map(() => client(etcd.endpoints, { limits: { compactionIntervalMs: 200 } }));
    for (const each of clients) each.startCompacting();
    try {
      await waitFor('history to be cut', 20_000, async () => {
        await store.txn(put('/history/a', '2'));
        return store.range({ type: 'range', key: '/history/a', revision: old }).then(
          () => false,
          (error: unknown) => (error as { cause?: { code?: string } }).cause?.code === 'Compacted',
        );
      });
    } finally {
      for (const each of clients) each.close();
    }
    const { result } = await store.range({ type: 'range', key: 'compact_rev_key' });
    assert.match(Buffer.from(result.kvs[0]!.value).toString(), /^\d+$/);
    assert.ok(result.kvs[0]!.version >= 2);
  });

  it('a member that knows no leader answers nothing, and says so', async () => {
    const [first, second, third] = etcd.names as [string, string, string];
    const alone = client([etcd.endpointOf(third)]);
    await etcd.kill(first);
    await etcd.kill(second);
    try {
      await waitFor('it to notice', 20_000, () =>
        alone.status({ timeoutMs: 500 }).then(
          () => false,
          (error: unknown) => /no leader/.test((error as Error).message),
        ),
      );
      const error = await alone.txn(put('/alone'), { timeoutMs: 1_000 }).then(
        () => assert.fail('it was written'),
        (e: unknown) => e,
      );
      assert(error instanceof StoreError && error.code === 'NoLeader' && error.definite, String(error));
    } finally {
      etcd.startMember(first);
      etcd.startMember(second);
      alone.close();
    }
    await waitFor('a leader', 20_000, async () => (await etcd.leader()) !== undefined);
    assert.equal((await store.range({ type: 'range', key: '/alone' })).result.count, 0);
  });
});

describe('the etcd client and an etcd that wants certificates', function () {
  this.timeout(60_000);
  let folder: string;
  let etcd: EtcdCluster;
  let ours: Required<ClientTls>;
  let foreign: string;
  before(async function () {
    if (!isInstalled('etcd', '--version')) return this.skip();
    folder = mkdtempSync(join(tmpdir(), 'kabuki-etcd-tls-'));
    const authority = await createAuthority('etcd-ca');
    const server = await authority.issueServer('etcd', ['127.0.0.1', 'localhost']);
    const own = await authority.issueClient('kabuki', []);
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    etcd = await EtcdCluster.start({
      tls: {
        ca: file('ca.crt', authority.cert),
        certificate: file('server.crt', server.cert),
        key: file('server.key', server.key),
        clientCertificate: file('client.crt', own.cert),
        clientKey: file('client.key', own.key),
      },
    });
    ours = { ca: authority.cert, certificate: own.cert, key: own.key };
    foreign = (await createAuthority('another-ca')).cert;
  });
  after(async () => {
    await etcd?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  it('serves us with ours', async () => {
    const store = client(etcd.endpoints, { tls: ours });
    try {
      const { revision: written } = await store.txn(put('/tls', 'x'));
      assert.equal(await store.currentRevision(), written);
    } finally {
      store.close();
    }
  });

  it('which ends without a word: the watch goes on when it is back', async () => {
    const store = client(etcd.endpoints, { tls: ours });
    try {
      const seen: string[] = [];
      const start = revision((await store.currentRevision()) + 1);
      store.watch(
        { key: '/tls/', rangeEnd: '/tls0', startRevision: start },
        { onBatch: ({ events }) => seen.push(...events.map(({ kv }) => kv.key)), onEnd: () => {} },
      );
      await store.txn(put('/tls/before'));
      await waitFor('the first event', 10_000, async () => seen.length === 1);
      await etcd.kill(etcd.names[0]!);
      etcd.startMember(etcd.names[0]!);
      // A write into the connection that breaks would have no known outcome.
      await store.currentRevision({ timeoutMs: 20_000 });
      await store.txn(put('/tls/after'));
      await waitFor('the second event', 10_000, async () => seen.length === 2);
    } finally {
      store.close();
    }
  });

  for (const [what, tls, reason] of [
    ['no certificate', () => ({ ca: ours.ca }), /certificate required|ECONNRESET|closed|bad certificate/i],
    ['another authority', () => ({ ...ours, ca: foreign }), /certificate/i],
    ['plaintext', () => undefined, /closed|ECONNRESET|Protocol error|socket/i],
  ] as const) {
    it(`with ${what} the error says what is wrong`, async () => {
      const wanted = tls();
      const store = client(etcd.endpoints, wanted ? { tls: wanted } : {});
      try {
        await assert.rejects(store.currentRevision({ timeoutMs: 4_500 }), (error: unknown) => {
          assert(error instanceof StoreError && error.definite && error.code === 'NoLeader', String(error));
          assert.match(error.message, reason);
          return true;
        });
      } finally {
        store.close();
      }
    });
  }
});
