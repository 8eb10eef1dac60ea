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

const key = (digit: string): string => digit.repeat(40);

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
      await world.pass(200);
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
    await world.pass(1_000);
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
    await world.pass(15_000);
    assert.deepEqual(
      seen,
      Array.from({ length: written }, (_, i) => String(i + 1)),
    );
  });

  it('what must not be is refused with the reason, and nothing is changed', async () => {
    const { world, client } = groupOf(['m1', 'm2', 'm3'], 'refused');
    await insist(world, () => client.txn(put('/a', '1')));
    await world.pass(1_000);
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

  it('one that is added as a voter votes once it runs and has caught up, and not before', async () => {
    const { world, client, start } = groupOf(['m1'], 'voter-to-be');
    for (let i = 0; i < 30; i++) await insist(world, () => client.txn(put(`/${i}`, 'x')));
    const url = 'tcp://127.0.0.1:4001';
    await insist(world, () => client.memberAdd('m2', { node: 'm2', url }));
    await world.pass(5_000);
    // A group of one with a voter that never started could not even take it out again.
    assert.equal(await namesOf(world, client), 'm1 (m2)');
    start('m2');
    await insist(world, () => client.memberUpdate('m2', { publicKey: key('a') }));
    await world.pass(5_000);
    assert.equal(await namesOf(world, client), 'm1 m2');
    assert.deepEqual((await world.settled(client.members()))[1], {
      name: 'm2',
      voter: true,
      address: 'm2',
      url,
      publicKey: key('a'),
    });
  });

  it('a member that has shown its key keeps it, and no two have one address', async () => {
    const { world, client } = groupOf(['m1', 'm2', 'm3'], 'claims');
    await insist(world, () => client.txn(put('/a', '1')));
    const at = (port: number) => ({ url: `tcp://127.0.0.1:${port}` });
    const add = (name: string, port: number) =>
      world.settled(client.memberAdd(name, { node: name, ...at(port) }, { learner: true }));
    await add('m8', 4008);
    await assert.rejects(add('m9', 4008), refusedFor('member-exists'));
    await world.settled(client.memberUpdate('m8', { publicKey: key('a'), title: 'eight' }));
    await world.settled(client.memberUpdate('m8', { publicKey: key('a'), ...at(4009) }));
    await assert.rejects(
      world.settled(client.memberUpdate('m8', { publicKey: key('b') })),
      refusedFor('member-exists'),
    );
    await assert.rejects(world.settled(client.memberUpdate('m7', at(4007))), refusedFor('member-not-found'));
    await assert.rejects(
      world.settled(client.memberUpdate('m1', { url: 'http://127.0.0.1:4009' })),
      refusedFor('member-exists'),
    );
    for (const change of [{ url: 'm9' }, { url: 'tcp://a:0' }, { publicKey: 'short' }, { title: '' }]) {
      await assert.rejects(world.settled(client.memberUpdate('m1', change)), refusedFor('invalid'));
    }
    const known = (await world.settled(client.members())).find(({ name }) => name === 'm8');
    assert.deepEqual(known, {
      name: 'm8',
      voter: false,
      address: 'm8',
      ...at(4009),
      publicKey: key('a'),
      title: 'eight',
    });
  });

  it('changes that come at the same time wait for each other, and each is done once', async () => {
    const { world, client } = groupOf(['m1', 'm2', 'm3'], 'at-once');
    await insist(world, () => client.txn(put('/a', '1')));
    const urls = ['m1', 'm2', 'm3'].map((name, i) => ({ name, url: `tcp://127.0.0.1:${4001 + i}` }));
    await world.settled(Promise.all(urls.map(({ name, url }) => client.memberUpdate(name, { url }))));
    assert.deepEqual(
      (await world.settled(client.members())).map(({ name, url }) => ({ name, url })),
      urls,
    );
    const twins = await world.settled(
      Promise.allSettled(
        ['m4', 'm5'].map((name) => client.memberAdd(name, { node: name, url: 'tcp://127.0.0.1:4004' })),
      ),
    );
    assert.deepEqual(twins.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  });

  it('what is known of the members outlives a restart of all of them', async () => {
    const { world, client, start } = groupOf(['m1', 'm2', 'm3'], 'restart');
    const url = 'tcp://127.0.0.1:4001';
    await insist(world, () => client.memberUpdate('m1', { url, publicKey: key('a') }));
    for (const name of ['m1', 'm2', 'm3']) world.kill(nodeId(name));
    for (const name of ['m1', 'm2', 'm3']) start(name);
    const [first] = await insist(world, () => client.members());
    assert.deepEqual(first, { name: 'm1', voter: true, address: 'm1', url, publicKey: key('a') });
  });
});
