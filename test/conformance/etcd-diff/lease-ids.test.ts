/**
 * Leases with every kind of 64-bit id, through all calls that name one, at Debian's etcd and at three members of ours, each call at
 * another of them: the same answers, to the last bit.
 */
import { strict as assert } from 'node:assert';
import { leaseId } from 'raft-consensus';
import type { TxnRequest } from '../../../actors/store/etcd/kv-messages.js';
import type { Schema } from '../../../actors/store/etcd/message.js';
import { rpc } from '../../harness/etcd-calls.js';
import { EtcdCluster } from '../../harness/etcd-cluster.js';
import { GrpcClient, GrpcFailure } from '../../harness/grpc-client.js';
import { isInstalled, startStoreAlone, type StoreAlone } from '../../harness/store-alone.js';
import { plain } from './plain.js';

const ids = [
  7,
  2 ** 53 - 1,
  2n ** 53n,
  2n ** 53n + 1n,
  7_587_870_294_857_493_521n,
  7_587_870_294_857_493_522n,
  2n ** 63n - 1n,
  -1,
  -(2n ** 53n) - 1n,
  -(2n ** 63n),
];
const absent = [8, 7_587_870_294_857_493_523n, -(2n ** 62n)];
const [equal, greater, less] = [0, 1, 2];
const leaseTarget = 4;

describe('leases with ids of 64 bits', function () {
  this.timeout(120_000);
  let etcd: EtcdCluster;
  let store: StoreAlone;
  let theirs: GrpcClient;
  let ours: readonly GrpcClient[];
  let calls = 0;
  before(async function () {
    if (!isInstalled('etcd', '--version')) return this.skip();
    [etcd, store] = await Promise.all([EtcdCluster.start(), startStoreAlone({ members: 3 })]);
    theirs = new GrpcClient(`http://${etcd.endpoints[0]}`);
    connect();
  });
  after(async () => {
    for (const client of [theirs, ...(ours ?? [])]) client?.close();
    await Promise.all([etcd?.stop(), store?.remove()]);
  });

  function connect(): void {
    ours = store.ports.map((port) => new GrpcClient(`http://127.0.0.1:${port}`));
  }

  /** The answer, which both gave. */
  async function same<Q extends object, R extends object>(
    path: string,
    schemas: readonly [Schema<Q>, Schema<R>],
    request: Partial<Q>,
  ): Promise<unknown> {
    const own = ours[calls++ % ours.length]!;
    const [expected, actual] = await Promise.all(
      [theirs, own].map((client) => outcome(client, path, schemas, request)),
    );
    assert.deepEqual(actual, expected, `${path} of ${Object.values(request).map(String).join()}`);
    return expected;
  }
  const grant = (id: number | bigint) => same(...rpc.leaseGrant, { id, ttl: 1000 });
  const timeToLive = (id: number | bigint) =>
    same(...rpc.leaseTimeToLive, {
      id,
      keys: true,
    });
  const put = (key: string, lease: number | bigint) =>
    same(...rpc.put, {
      key,
      value: Buffer.from('x'),
      lease,
      prevKv: true,
    });
  const compare = async (key: string, result: number, lease: number | bigint) => {
    const compares = [{ key, target: leaseTarget, result, lease: leaseId(lease) }];
    const answer = await same(...rpc.txn, {
      compare: compares as unknown as TxnRequest['compare'],
    });
    return (answer as { succeeded: boolean }).succeeded;
  };

  it('are granted, once, hold keys, live on, and are told apart', async () => {
    for (const id of ids) await grant(id);
    for (const id of ids) await grant(id);
    for (const id of [...ids, ...absent]) await put(`k${id}`, id);
    for (const id of ids) await put(`k${id}`, id);
    await same(...rpc.range, { key: '\0', rangeEnd: '\0' });
    for (const id of [...ids, ...absent]) {
      await timeToLive(id);
      await same(...rpc.leaseKeepAlive, { id });
    }
    await same(...rpc.leases, {});
  });

  it('are compared as what they are', async () => {
    for (const id of ids) {
      const around = [BigInt(id) - 1n, BigInt(id), BigInt(id) + 1n].filter(
        (one) => BigInt.asIntN(64, one) === one,
      );
      for (const other of around) {
        assert.equal(await compare(`k${id}`, equal, other), other === BigInt(id));
        assert.equal(await compare(`k${id}`, greater, other), BigInt(id) > other);
        assert.equal(await compare(`k${id}`, less, other), BigInt(id) < other);
      }
    }
  });

  it('are in the events of a watch, those of the past and those of now', async () => {
    const watches = [theirs, ours[1]!].map((client) => {
      const call = client.stream(...rpc.watch);
      call.send({ create: { key: '\0', rangeEnd: '\0', startRevision: 1, prevKv: true } });
      return call;
    });
    await put('now', ids.at(-1)!);
    const [expected, actual] = await Promise.all(
      watches.map(async (call) => {
        const events = () => call.received.flatMap((one) => one.events);
        await call.until('the last event', () => events().at(-1)?.kv?.key === 'now');
        call.cancel();
        return events().map(plain);
      }),
    );
    assert.ok(expected!.length > ids.length * 2);
    assert.deepEqual(actual, expected);
  });

  it('hold locks and lead elections, under keys that are named after them', async () => {
    for (const lease of [ids[4]!, ids[9]!]) {
      const name = `of/${lease}`;
      await same(...rpc.lock, { name, lease });
      const value = Buffer.from('me');
      const election = { name: `${name}/election`, lease, value };
      const won = await same(...rpc.campaign, election);
      const { leader } = won as { leader: { key: string } };
      assert.equal(leader.key, `${name}/election/${lease.toString(16)}`);
      await same(...rpc.proclaim, { leader, value });
      const request = { name: election.name };
      await same(...rpc.electionLeader, request);
      await same(...rpc.resign, { leader });
      await timeToLive(lease);
    }
  });

  it('are shown by etcdctl as they are', async () => {
    const id = ids[4]!;
    const asked = [
      ['get', `k${id}`, '-w=json'],
      ['lease', 'list', '-w=json'],
      ['lease', 'timetolive', id.toString(16), '--keys', '-w=json'],
      ['lease', 'keep-alive', id.toString(16), '--once'],
    ];
    for (const args of asked) {
      const [expected, actual] = await Promise.all([etcd.etcdctl(...args), store.etcdctl(...args)]);
      const idsIn = (text: string) => text.match(/"(?:id|lease)":-?\d+|lease [0-9a-f]+/g)?.toSorted();
      assert.ok(expected.includes(args[2]!) || expected.includes(String(id)));
      assert.deepEqual(idsIn(actual), idsIn(expected));
    }
  });

  it('outlive our members, and take their keys with them when they are revoked', async () => {
    for (const client of ours) client.close();
    const { dataDir, ports } = store;
    await store.stop();
    store = await startStoreAlone({ members: 3, dataDir, ports });
    connect();
    for (const id of ids) await timeToLive(id);
    for (const id of ids) {
      await same(...rpc.leaseRevoke, { id });
      await same(...rpc.range, { key: '\0', rangeEnd: '\0' });
    }
    await same(...rpc.leases, {});
  });
});

/** Without what must differ, and leases by their ids. */
async function outcome<Q extends object, R extends object>(
  client: GrpcClient,
  path: string,
  schemas: readonly [Schema<Q>, Schema<R>],
  request: Partial<Q>,
): Promise<unknown> {
  try {
    const answer = plain(await client.unary(path, schemas, request)) as Record<string, unknown>;
    const { header, ttl, leases, keys, ...rest } = answer as {
      header?: { revision: number };
      ttl?: number;
      leases?: { id: number | bigint }[];
      keys?: string[];
    };
    return {
      ...rest,
      revision: header?.revision,
      ttl: Math.sign(ttl ?? 0),
      leases: leases?.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      keys: keys?.toSorted(),
    };
  } catch (error) {
    if (error instanceof GrpcFailure) return { code: error.code, message: error.message };
    throw error;
  }
}
