/** A leader that ends is missed at once, not when its silence has lasted: the link knows that its process is gone. */
import { strict as assert } from 'node:assert';
import { defaultRaftLimits, memberId } from 'raft-consensus';
import { SmallGroup } from './small-group.js';

describe('a leader that ends', () => {
  it('is replaced before an election timeout has passed', async () => {
    const { electionTicks, tickMs } = defaultRaftLimits;
    for (const seed of ['one', 'two', 'three']) {
      const group = new SmallGroup(`ended ${seed}`);
      await group.put('before');
      const leader = await group.leader();
      await group.wait(1_000);
      const endedMs = group.nowMs;
      group.kill(leader, 'seen');
      await group.leader();
      const tookMs = group.nowMs - endedMs;
      assert(tookMs < electionTicks * tickMs, `${tookMs} ms`);
      await group.put('after');
    }
  });

  it('is replaced so when it has ended before, too', async () => {
    const { tickMs, electionTicks: usual } = defaultRaftLimits;
    const electionTicks = 3 * usual;
    const group = new SmallGroup('ended again', { raft: { electionTicks } });
    await group.put('before');
    const first = await group.leader();
    group.kill(first, 'seen');
    const second = await group.leader();
    group.start(first);
    await group.wait(3_000);
    await group.do(group.parts.get(second)!.raft.leadershipTransfer(memberId(first)));
    assert.equal(await group.leader(), first);
    await group.wait(1_000);
    const endedMs = group.nowMs;
    group.kill(first, 'seen');
    await group.leader();
    const tookMs = group.nowMs - endedMs;
    assert(tookMs < 0.8 * electionTicks * tickMs, `${tookMs} ms`);
  });

  it('or only seems to have, to one of the others, does not lose its place', async () => {
    const group = new SmallGroup('seemed');
    await group.put('before');
    const leader = await group.leader();
    const { term } = group.parts.get(leader)!.raft.stats();
    const [follower] = [...group.parts.values()].filter(({ raft }) => !raft.isLeader());
    follower!.raft.peerGone(memberId(leader));
    await group.wait(5_000);
    assert.equal(await group.leader(), leader);
    assert.equal(group.parts.get(leader)!.raft.stats().term, term);
  });
});
