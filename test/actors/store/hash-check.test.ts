import { strict as assert } from 'node:assert';
import { KvError, revision } from 'raft-consensus';
import type { MemberParts } from '../../../actors/store/index.js';
import { judge } from '../../../actors/store/hash-check.js';
import { regression } from '../../raft/planted-bug.js';
import { SmallGroup } from './small-group.js';

type Plant = (parts: MemberParts) => void;

const quick = { hashCheckIntervalMs: 1_000 };

describe('members that compare the hashes of their states', () => {
  it('find a follower whose value changed in memory; it ends, the group goes on and names it', async () => {
    const group = new SmallGroup('follower', { store: quick });
    await group.put('/a', 'one');
    await group.put('/b', 'two');
    const leader = await group.leader();
    const victim = group.names.find((name) => name !== leader)!;
    await group.wait(1_000);
    flipBit(group.parts.get(victim)!, '/a');
    await group.put('/a', 'three');
    await group.world.run(() => group.ended.has(victim));
    const error = group.ended.get(victim);
    assert(error instanceof KvError && error.code === 'Corrupt');
    assert.match(error.message, new RegExp(`data of store member ${victim} differs`));
    await group.put('/c', 'four');
    assert.deepEqual(await group.do(group.client.alarms()), [{ type: 'Corrupt', member: victim }]);
    assert.deepEqual([...group.ended.keys()], [victim]);
    group.ended.clear();
    group.start(victim);
    await group.world.run(() => group.ended.has(victim));
  });

  regression<Plant>(
    'find a leader that differs, and go on under another one (etcd #14039)',
    async (plant) => {
      const group = new SmallGroup('leader', { store: quick });
      await group.put('/a', 'one');
      await group.wait(1_000);
      for (const parts of group.parts.values()) plant?.(parts);
      const leader = await group.leader();
      strayOnce(group.parts.get(leader)!);
      await group.put('/b', 'else on the leader');
      await group.wait(10_000);
      assert.deepEqual([...group.ended.keys()], [leader]);
      await group.leader();
      assert.equal(await group.has('/b'), true);
      assert.deepEqual(await group.do(group.client.alarms()), [{ type: 'Corrupt', member: leader }]);
    },
    // A hash that does not look at values.
    ({ store }) => {
      Object.defineProperty(store, 'digest', { get: () => store.revision });
    },
  );

  it('trust nobody when two are left and differ', async () => {
    const group = new SmallGroup('two', { store: quick });
    await group.put('/a', 'one');
    await group.wait(1_000);
    const leader = await group.leader();
    const [third, other] = group.names.filter((name) => name !== leader);
    group.kill(third!);
    strayOnce(group.parts.get(other!)!);
    await group.put('/b', 'two');
    await group.world.run(() => group.parts.get(leader)!.store.alarms().length > 0);
    assert.equal(await group.refusal(group.client.range({ type: 'range', key: '/a' })), 'Corrupt');
    assert.equal(
      await group.refusal(group.client.txn({ type: 'txn', compare: [], success: [], failure: [] })),
      'Corrupt',
    );
  });

  it('find nothing in a group that is restarted, compacts and takes snapshots', async () => {
    const group = new SmallGroup('well', { store: { ...quick, compactStepRecords: 1 } });
    for (let i = 0; i < 100; i++) await group.put(`/k${i % 7}`, `${i}`);
    await group.do(group.client.compact(revision(60)));
    for (const [, { raft }] of group.parts) await group.do(raft.snapshot());
    for (const name of group.names) {
      group.kill(name);
      group.start(name);
      await group.put('/k0', name);
      await group.wait(3_000);
    }
    const digests = [...group.parts.values()].map(({ store }) => store.digest);
    assert.equal(new Set(digests).size, 1);
    assert.deepEqual([await group.do(group.client.alarms()), [...group.ended.keys()]], [[], []]);
  });

  it('judge by the majority of voters at one index, over all indexes', () => {
    const at = (index: number, digest: number) => ({ index, digest });
    const told = (points: Record<string, ReturnType<typeof at>[]>) =>
      judge(new Map(Object.entries(points)), ['a', 'b', 'c']);
    assert.deepEqual(told({ a: [at(1, 5), at(2, 6)], b: [at(1, 5)], c: [at(2, 6)] }), {
      diverged: [],
      isUndecided: false,
    });
    assert.deepEqual(told({ a: [at(1, 5)], b: [at(1, 5)], c: [at(1, 7)] }).diverged, ['c']);
    assert.deepEqual(told({ a: [at(1, 7)], b: [at(1, 5)], c: [at(1, 5)] }).diverged, ['a']);
    assert.deepEqual(told({ a: [at(1, 5)], b: [at(1, 7)] }), { diverged: [], isUndecided: true });
  });
});

/** What a cosmic ray would do. */
function flipBit({ store }: MemberParts, key: string): void {
  const { index, values } = store.versions;
  values.read(index.get(key)!.newest)[0]! ^= 1;
}

/** The next transaction puts something else on this member. */
function strayOnce({ store }: MemberParts): void {
  const { apply } = store;
  store.apply = (command, index) => {
    if (command.type !== 'txn') return apply.call(store, command, index);
    store.apply = apply;
    const success = command.txn.success.map((op) => (op.type === 'put' ? { ...op, value: stray } : op));
    return apply.call(store, { ...command, txn: { ...command.txn, success } }, index);
  };
}

const stray = Buffer.from('stray');
