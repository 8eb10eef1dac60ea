import { strict as assert } from 'node:assert';
import type { Fsm } from 'raft-consensus';
import { Measures } from '../../../actors/store/measures.js';
import { SmallGroup } from './small-group.js';

describe('what a member measures', () => {
  it('a leader: how long its peers take to answer', async () => {
    const group = new SmallGroup('round trips');
    const leader = await group.leader();
    await group.wait(3_000);
    const { heartbeats } = await group.do(group.clientOf(leader).measures());
    const others = group.names.filter((name) => name !== leader);
    assert.deepEqual(Object.keys(heartbeats.roundTrips).sort(), others);
    for (const { count, sumMs } of Object.values(heartbeats.roundTrips)) {
      assert.ok(count >= 10 && sumMs / count < 200, `${sumMs} ms of ${count} answers`);
    }
    const follower = await group.do(group.clientOf(others[0]!).measures());
    assert.deepEqual(follower.heartbeats.roundTrips, {});
  });

  it('one that is alone: the reads that nobody confirmed in time', async () => {
    const group = new SmallGroup('reads');
    await group.leader();
    const [first = '', ...others] = group.names;
    const alone = group.clientOf(first);
    assert.equal((await group.do(alone.measures())).reads.timedOut, 0);
    for (const name of others) group.kill(name);
    const read = alone.range({ type: 'range', key: 'a' }, { timeoutMs: 12_000 });
    await assert.rejects(group.do(read));
    const { timedOut, refused } = (await group.do(alone.measures())).reads;
    assert.ok(timedOut + refused > 0, `${timedOut} and ${refused}`);
  });

  it('batches of entries that take the state machine longer than 100 ms, and leaves the rest to it', async () => {
    const group = new SmallGroup('applies', { members: ['m1'] });
    await group.leader();
    const { store } = group.parts.get('m1')!;
    let nowMs = 0;
    const clock = { ...group.world.simulation, monotonicMs: () => nowMs } as never;
    const measures = new Measures(store, clock);
    const played: Required<Fsm<number>> = {
      apply: (entries) => {
        nowMs += entries.length;
        return entries.map((_, i) => i);
      },
      snapshot: () => ({ chunks: () => [] }),
      restore: async () => undefined,
      rewrite: () => null,
    };
    const fsm = measures.watched(played);
    assert.deepEqual(fsm.apply(Array.from({ length: 3 }) as never), [0, 1, 2]);
    fsm.apply(Array.from({ length: 100 }) as never);
    assert.equal(measures.slowApplies, 0);
    fsm.apply(Array.from({ length: 101 }) as never);
    assert.equal(measures.slowApplies, 1);
    assert.equal(fsm.rewrite?.(new Uint8Array(0)), null);
    assert.deepEqual([...fsm.snapshot().chunks()], []);
  });
});
