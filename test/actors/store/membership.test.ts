/** Members that join, are promoted and leave, through the store client and real members in virtual time. */
import { strict as assert } from 'node:assert';
import { RaftError, revision, type TxnOp } from 'raft-consensus';
import { actorRef } from '../../../actors/runtime/index.js';
import {
  createStoreClient,
  openDiskStorage,
  type StoreClient,
  StoreError,
  storeMember,
  type StoreMessage,
} from '../../../actors/store/index.js';
import { nodeId } from '../../../transport/index.js';
import { SimWorld } from '../../sim/world.js';

const peer = (name: string) => ({ name, ref: actorRef<StoreMessage>(nodeId(name), '/store') });

function groupOf(names: readonly string[], seed: string) {
  const world = new SimWorld(seed);
  const start = (name: string) => {
    const system = world.system(nodeId(name));
    system.spawn(
      storeMember({
        name,
        members: names.map(peer),
        openStorage: async () => openDiskStorage(await system.env.disk('raft'), 'test-cluster', name),
        onFatal: (error) => assert.fail(`member ${name} failed: ${String(error)}`),
        limits: { raft: { snapshotEveryEntries: 20, trailingEntriesMax: 5 } },
      }),
    );
  };
  for (const name of names) start(name);
  const system = world.system(nodeId('client'));
  const client = createStoreClient({ system, members: names.map(peer) });
  return { world, client, system, start };
}

function put(key: string, value: string): TxnOp {
  const op = { type: 'put' as const, key, value: Buffer.from(value) };
  return { type: 'txn', compare: [], success: [op], failure: [] };
}

const refusedFor = (reason: string) => (error: unknown) =>
  error instanceof StoreError &&
  error.code === 'Refused' &&
  error.cause instanceof RaftError &&
  error.cause.reason === reason;

/** Asks again until it is done: a member needs a moment to catch up, a group to agree on a leader. */
async function insist<T>(world: SimWorld, call: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await world.settled(call());
    } catch (error) {
      if (tries === 50 || !(error instanceof StoreError)) throw error;
      await world.run(world.simulation.nowMs + 200);
    }
  }
}

const namesOf = async (world: SimWorld, client: StoreClient): Promise<string> =>
  (await insist(world, () => client.members()))
    .map(({ name, voter }) => (voter ? name : `(${name})`))
    .join(' ');

describe('members of the store', () => {
  it('a client sees who they are and where they live', async () => {
    const { world, client } = groupOf(['m1', 'm2', 'm3'], 'list');
    await insist(world, () => client.txn(put('/a', '1')));
    await world.run(world.simulation.nowMs + 1_000);
    assert.deepEqual(
      await insist(world, () => client.members()),
      ['m1', 'm2', 'm3'].map((name) => ({ name, voter: true, address: name })),
    );
  });

  it('every member is replaced by a new one while clients write and watch', async () => {
    const { world, client, start } = groupOf(['m1', 'm2', 'm3'], 'replace');
    const seen: string[] = [];
    client.watch(
      { key: '/', rangeEnd: '0', startRevision: revision(1) },
      {
        onBatch: ({ events }) => seen.push(...events.map(({ kv }) => Buffer.from(kv.value).toString())),
        onEnd: (reason) => assert.fail(`the watch ended: ${reason.type}`),
      },
    );
    let written = 0;
    const write = async () => {
      const value = String(++written);
      await insist(world, () => client.txn(put(`/k${written % 5}`, value)));
    };
    for (let i = 0; i < 50; i++) await write();
    for (const [at, old] of ['m1', 'm2', 'm3'].entries()) {
      const name = `m${at + 4}`;
      start(name);
      await insist(world, () => client.memberAdd(name, name, { learner: true }));
      for (let i = 0; i < 10; i++) await write();
      await insist(world, () => client.memberPromote(name));
      await insist(world, () => client.memberRemove(old));
      for (let i = 0; i < 10; i++) await write();
      if (at < 2) world.kill(nodeId(old));
    }
    assert.equal(await namesOf(world, client), 'm4 m5 m6');
    const { result } = await insist(world, () => client.range({ type: 'range', key: '/', rangeEnd: '0' }));
    assert.equal(result.kvs.length, 5);
    // The removed member that still runs lets go of its watchers; the client knows others only as leaders.
    await world.run(world.simulation.nowMs + 15_000);
    assert.deepEqual(
      seen,
      Array.from({ length: written }, (_, i) => String(i + 1)),
    );
  });

  it('what must not be is refused with the reason, and nothing is changed', async () => {
    const { world, client } = groupOf(['m1', 'm2', 'm3'], 'refused');
    await insist(world, () => client.txn(put('/a', '1')));
    await world.run(world.simulation.nowMs + 1_000);
    await assert.rejects(world.settled(client.memberRemove('m9')), refusedFor('member-not-found'));
    await assert.rejects(world.settled(client.memberAdd('m1', 'm9')), refusedFor('member-exists'));
    await assert.rejects(world.settled(client.memberAdd('m9', 'm1')), refusedFor('member-exists'));
    await assert.rejects(world.settled(client.memberAdd('', 'm9')), refusedFor('invalid'));
    await assert.rejects(world.settled(client.memberAdd('m9', '')), refusedFor('invalid'));
    await assert.rejects(world.settled(client.memberPromote('m1')), refusedFor('not-a-learner'));
    await world.settled(client.memberAdd('m9', 'm9', { learner: true }));
    await assert.rejects(world.settled(client.memberPromote('m9')), {
      message: 'can only promote a learner member which is in sync with leader',
    });
    assert.equal(await namesOf(world, client), 'm1 m2 m3 (m9)');
  });
});
