import { strict as assert } from 'node:assert';
import {
  KvError,
  type LeaseId,
  leaseId,
  revision as revisionOf,
  type TxnOp,
  type WatchBatch,
} from 'raft-consensus';
import { actorRef } from '../../../actors/runtime/index.js';
import {
  createStoreClient,
  type LeaseTimeToLive,
  openDiskStorage,
  type StoreClient,
  StoreError,
  storeMember,
  type StoreLimits,
  type StoreMessage,
  type StoreStatus,
} from '../../../actors/store/index.js';
import { nodeId } from '../../../transport/index.js';
import { SimWorld } from '../../sim/world.js';

const names = ['m1', 'm2', 'm3'];
const members = names.map((name) => ({ name, ref: actorRef<StoreMessage>(nodeId(name), '/store') }));

describe('store over actors', () => {
  it('a put is read back linearizably from every member, and a watch sees it with its cause', async () => {
    const { world, client, system } = cluster('put');
    const batches: WatchBatch[] = [];
    client.watch(
      { key: '/', rangeEnd: '0', startRevision: revisionOf(2) },
      { onBatch: (batch) => batches.push(batch), onEnd: ended },
    );
    await world.settled(client.txn(put('/first', '')));
    await world.run(() => batches.some((batch) => batch.events.length === 1));
    const { revision } = await world.settled(system.withCause(undefined, () => client.txn(put('/a', 'one'))));
    assert.equal(revision, 3);
    for (const member of members) {
      const own = createStoreClient({ system: world.system(nodeId(`c.${member.name}`)), members: [member] });
      const { result } = await world.settled(own.range({ type: 'range', key: '/a' }));
      assert.equal(Buffer.from(result.kvs[0]?.value ?? []).toString(), 'one');
    }
    await world.run(() => batches.at(-1)?.revision === 3);
    assert.match(batches.at(-1)?.events[0]?.context ?? '', /^00-/);
  });

  it('members that stop at the same time do not wait for each other to take over', async () => {
    const { world, client } = cluster('stop-all');
    await world.settled(client.txn(put('/a', '')));
    await world.pass(1_000);
    const begunMs = world.simulation.nowMs;
    await world.settled(Promise.all(names.map((name) => world.stop(nodeId(name)))));
    assert.ok(world.simulation.nowMs - begunMs < 500, `it took ${world.simulation.nowMs - begunMs} ms`);
  });

  it('a request that the network doubles is carried out once', async () => {
    const { world, client } = cluster('double');
    await world.settled(client.txn(put('/before', '')));
    world.network.faults.add({
      id: 'double',
      from: ['client'],
      to: ['*'],
      kinds: ['StoreTxn'],
      action: { type: 'duplicate', probability: 1 },
    });
    await world.settled(client.txn(put('/a', 'one')));
    await world.pass(1_000);
    const { result } = await world.settled(client.range({ type: 'range', key: '/a' }));
    assert.deepEqual([result.kvs[0]?.version, result.kvs[0]?.modRevision], [1, 3]);
  });

  it('a refused command tells why and that nothing was written', async () => {
    const { world, client } = cluster('refuse');
    const error = await world.settled(client.txn(put('', 'x')).then(unexpected, (e: unknown) => e));
    assert(error instanceof StoreError && error.code === 'Refused' && error.definite);
  });

  it('no acknowledged write is lost when the leader dies, and writes go on within three seconds', async () => {
    const { world, client, kill } = cluster('failover');
    const acknowledged: string[] = [];
    for (let i = 0; i < 20; i += 1) {
      await world.settled(client.txn(put(`/k${i}`, String(i))));
      acknowledged.push(`/k${i}`);
    }
    const leader = await leaderOf(world, client);
    const before = world.simulation.nowMs;
    kill(leader);
    await writeUntilDone(world, client, '/after');
    assert.ok(world.simulation.nowMs - before < 3_000, `took ${world.simulation.nowMs - before} ms`);
    const { result } = await world.settled(client.range({ type: 'range', key: '/', rangeEnd: '0' }));
    const present = new Set(result.kvs.map((kv) => kv.key));
    assert.deepEqual(
      acknowledged.filter((key) => !present.has(key)),
      [],
    );
  });

  it('a leader that is cut off accepts no write, the majority does, and after the heal all agree', async () => {
    const { world, client } = cluster('partition');
    await world.settled(client.txn(put('/before', '1')));
    const leader = await leaderOf(world, client);
    const inside = world.system(nodeId(`${leader}.client`));
    const cutOff = createStoreClient({ system: inside, members: members.filter((m) => m.name === leader) });
    world.isolate(leader);
    const refused = cutOff
      .txn(put('/minority', '1'), { timeoutMs: 4_000 })
      .then(unexpected, (e: unknown) => e);
    await writeUntilDone(world, client, '/majority');
    assert(((await world.settled(refused)) as StoreError) instanceof StoreError);
    world.heal();
    await world.pass(5_000);
    for (const member of members) {
      const own = createStoreClient({ system: world.system(nodeId(`c.${member.name}`)), members: [member] });
      const { result } = await world.settled(own.range({ type: 'range', key: '/', rangeEnd: '0' }));
      assert.deepEqual(
        result.kvs.map((kv) => kv.key),
        ['/before', '/majority'],
      );
    }
  });

  it('a member that was killed comes back with what it had on disk', async () => {
    const { world, client, kill, restart } = cluster('restart');
    await world.settled(client.txn(put('/a', '1')));
    for (const name of names) kill(name);
    for (const name of names) restart(name);
    const again = createStoreClient({ system: world.system(nodeId('client-2')), members });
    const { result } = await world.settled(again.range({ type: 'range', key: '/a' }));
    assert.equal(result.kvs.length, 1);
  });

  it('a watch goes on without gap or repeat when its member dies', async () => {
    const { world, client, kill } = cluster('watch');
    const seen: string[] = [];
    await world.settled(client.txn(put('/w0', '')));
    client.watch(
      { key: '/w', rangeEnd: '/x', startRevision: revisionOf(2) },
      { onBatch: (batch) => seen.push(...batch.events.map((event) => event.kv.key)), onEnd: ended },
    );
    for (let i = 1; i < 10; i += 1) {
      if (i === 5) kill('m1');
      await writeUntilDone(world, client, `/w${i}`);
    }
    await world.run(() => seen.length >= 10);
    assert.deepEqual(
      seen,
      Array.from({ length: 10 }, (_, i) => `/w${i}`),
    );
  });

  it('a watch whose acknowledgements are lost goes on when the link is whole again', async () => {
    const { world, client } = cluster('credit');
    const seen: string[] = [];
    const lose = (id: string, kinds: string[]) =>
      world.network.faults.add({ id, from: ['client'], to: ['*'], kinds, action: { type: 'cut' } });
    await world.settled(client.txn(put('/w0', '')));
    client.watch(
      { key: '/w', rangeEnd: '/x', startRevision: revisionOf(2) },
      { onBatch: (batch) => seen.push(...batch.events.map((event) => event.kv.key)), onEnd: ended },
    );
    lose('credit', ['StoreWatchCredit']);
    for (let i = 1; i < 150; i += 1) await writeUntilDone(world, client, `/w${i}`);
    assert.ok(seen.length < 100, `a watch without credit was sent ${seen.length} events`);
    world.heal();
    await world.run(() => seen.length >= 150, { maxVirtualMs: 5_000 });
    assert.deepEqual(
      seen,
      Array.from({ length: 150 }, (_, i) => `/w${i}`),
    );
  });

  it('keys of an expired lease go, and a new leader neither resets nor hastens the deadline', async () => {
    const { world, client, kill } = cluster('lease');
    const lease = await world.settled(client.leaseGrant(6_000));
    const granted = world.simulation.nowMs;
    await world.settled(client.txn({ ...put('/leased', 'x', lease) }));
    await world.run(granted + 2_000);
    kill(await leaderOf(world, client));
    await writeUntilDone(world, client, '/other');
    const alive = async () =>
      (await world.settled(client.range({ type: 'range', key: '/leased' }))).result.kvs.length === 1;
    await world.run(granted + 5_500);
    assert.equal(await alive(), true);
    await world.run(granted + 8_500);
    assert.equal(await alive(), false);
  });

  it('history is kept for minutes, and for seconds when it is large', async () => {
    const limits = { compactionHistoryBytesMax: 100_000, compactionRetentionMinMs: 2_000 };
    const { world, client } = cluster('history', limits);
    const compacted = async () => (await world.settled(client.status())).compactRevision;
    for (let i = 0; i < 5; i += 1) await world.settled(client.txn(put('/hot', 'x'.repeat(10_000))));
    await world.pass(30_000);
    assert.equal(await compacted(), 0);
    for (let i = 0; i < 20; i += 1) await world.settled(client.txn(put('/hot', `${i}`.padEnd(10_000))));
    await world.pass(10_000);
    const small = await compacted();
    assert(small > 0, 'nothing was compacted');
    const { result } = await world.settled(client.range({ type: 'range', key: '/hot' }));
    assert.equal(Buffer.from(result.kvs[0]!.value).toString().trim(), '19');
    await world.pass(30_000);
    assert.equal(await compacted(), small, 'what is left is small');
  });

  for (const chosen of [77, -5, 2n ** 62n + 1n]) {
    it(`lease ${chosen} is granted once, kept alive, looked at from any member, and gone when it is revoked`, async () => {
      const { world, client, system } = cluster('lease-face');
      const id = await world.settled(client.leaseGrant(6_000, { id: leaseId(chosen) }));
      assert.equal(id, chosen);
      assert.equal(await refusal(world, client.leaseGrant(6_000, { id })), 'LeaseExists');
      await world.settled(client.txn(put('/b', 'x', id)));
      await world.settled(client.txn(put('/a', 'x', id)));
      await world.pass(4_000);
      for (const member of members) {
        const others = members.filter((other) => other !== member);
        const own = createStoreClient({ system, members: [member, ...others] });
        const time: LeaseTimeToLive = await world.settled(own.leaseTimeToLive(id, { keys: true }));
        assert.equal(time.grantedTtlMs, 6_000);
        assert.deepEqual(time.keys, ['/a', '/b']);
        assert.ok(time.ttlMs > 1_500 && time.ttlMs < 2_100, `${time.ttlMs} ms left`);
      }
      assert.equal((await world.settled(client.leaseKeepAlive(id))).ttlMs, 6_000);
      const { ttlMs, keys } = await world.settled(client.leaseTimeToLive(id));
      assert.ok(ttlMs > 5_500, `${ttlMs} ms left`);
      assert.deepEqual(keys, []);
      assert.deepEqual((await world.settled(client.leases())).result, [chosen]);
      await world.settled(client.leaseRevoke(id));
      assert.equal(await refusal(world, client.leaseKeepAlive(id)), 'LeaseNotFound');
      assert.equal(await refusal(world, client.leaseTimeToLive(id)), 'LeaseNotFound');
      assert.equal(await refusal(world, client.leaseRevoke(id)), 'LeaseNotFound');
      assert.deepEqual((await world.settled(client.leases())).result, []);
    });
  }

  it('members give the same hash of the same revision, and say how large they are', async () => {
    const { world, client, system } = cluster('hash');
    await world.settled(client.txn(put('/a', 'one')));
    const { revision } = await world.settled(client.txn(put('/b', 'two')));
    await world.pass(2_000);
    const hashes = new Set<number>();
    for (const member of members) {
      const own = createStoreClient({ system, members: [member] });
      const { hash, hashRevision, compactRevision } = await world.settled(own.hashKv(revision));
      assert.deepEqual([hashRevision, compactRevision], [revision, 0]);
      hashes.add(hash);
      const { dbSizeBytes, quotaBytes, errors } = await world.settled(own.status());
      assert.ok(dbSizeBytes > 0 && dbSizeBytes < quotaBytes);
      assert.deepEqual(errors, []);
    }
    assert.equal(hashes.size, 1);
    assert.equal(await refusal(world, client.hashKv(revisionOf(99))), 'FutureRevision');
  });

  it('an alarm is raised once, listed everywhere, stops what grows the store, and is disarmed', async () => {
    const { world, client } = cluster('alarm');
    const lease = await world.settled(client.leaseGrant(60_000));
    await world.settled(client.txn(put('/a', 'one', lease)));
    const alarm = { type: 'NoSpace', member: 'm1' } as const;
    assert.deepEqual(await world.settled(client.alarmActivate(alarm)), [alarm]);
    assert.deepEqual(await world.settled(client.alarmActivate(alarm)), []);
    assert.deepEqual(await world.settled(client.alarms()), [alarm]);
    assert.equal(await refusal(world, client.txn(put('/b', 'two'))), 'NoSpace');
    assert.equal(await refusal(world, client.leaseGrant(6_000)), 'NoSpace');
    assert.equal((await world.settled(client.range({ type: 'range', key: '/a' }))).result.count, 1);
    await world.settled(client.leaseKeepAlive(lease));
    const { revision } = await world.settled(client.leaseRevoke(lease).then(() => client.status()));
    await world.settled(client.compact(revision));
    assert.deepEqual(await world.settled(client.alarmDisarm(alarm)), [alarm]);
    await world.settled(client.txn(put('/b', 'two')));
    await world.settled(client.alarmActivate({ type: 'Corrupt', member: '' }));
    assert.equal(await refusal(world, client.range({ type: 'range', key: '/b' })), 'Corrupt');
    assert.equal(await refusal(world, client.txn(put('/b', 'two'))), 'Corrupt');
  });

  it('the same seed gives the same journal byte for byte, and another seed another one', async () => {
    const play = async (seed: string) => {
      const { world, client, kill } = cluster(seed);
      await world.settled(client.txn(put('/a', '1')));
      kill(await leaderOf(world, client));
      await writeUntilDone(world, client, '/b');
      return world.journal.toNdjson();
    };
    const first = await play('one');
    assert.equal(await play('one'), first);
    assert.notEqual(await play('two'), first);
  });
});

async function refusal(world: SimWorld, request: Promise<unknown>): Promise<string> {
  const error = await world.settled(request.then(unexpected, (e: unknown) => e));
  assert(error instanceof StoreError && error.code === 'Refused' && error.definite, String(error));
  assert(error.cause instanceof KvError);
  return error.cause.code;
}

function cluster(seed: string, store: Partial<StoreLimits> = {}) {
  const world = new SimWorld(seed);
  const start = (name: string) => {
    const system = world.system(nodeId(name));
    system.spawn(
      storeMember({
        name,
        members,
        openStorage: async () => openDiskStorage(await system.env.disk('raft'), 'test-cluster', name),
        limits: { store },
        onFatal: (error) => assert.fail(`member ${name} failed: ${String(error)}`),
      }),
    );
  };
  for (const name of names) start(name);
  const system = world.system(nodeId('client'));
  const client = createStoreClient({ system, members });
  return { world, client, system, kill: (name: string) => world.kill(nodeId(name)), restart: start };
}

function put(key: string, value: string, lease?: LeaseId): TxnOp {
  const op = {
    type: 'put' as const,
    key,
    value: Buffer.from(value),
    ...(lease && { lease }),
  };
  return { type: 'txn', compare: [], success: [op], failure: [] };
}

async function leaderOf(world: SimWorld, client: StoreClient): Promise<string> {
  const { leader } = (await world.settled(client.status())) as StoreStatus;
  assert(leader, 'the store has a leader');
  return leader;
}

/** As a user would: again and again until it is known to be done. */
async function writeUntilDone(world: SimWorld, client: StoreClient, key: string): Promise<void> {
  for (let tries = 0; tries < 50; tries += 1) {
    try {
      await world.settled(client.txn(put(key, 'x'), { timeoutMs: 1_000 }));
      return;
    } catch (error) {
      assert(error instanceof StoreError, String(error));
    }
  }
  assert.fail(`${key} could not be written`);
}

function unexpected(): never {
  assert.fail('it should have been refused');
}

function ended(reason: { readonly type: string }): void {
  assert.fail(`the watch ended: ${reason.type}`);
}
