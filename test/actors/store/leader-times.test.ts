import { strict as assert } from 'node:assert';
import { type Configuration, type MemberId } from 'raft-consensus';
import { LeaderTimes } from '../../../actors/store/leader-times.js';
import { fiveMembers } from '../../raft/five-members.js';
import { ManualClock } from '../client/manual-env.js';
import { SmallGroup } from './small-group.js';

const [a, b, c, d, e] = fiveMembers;

describe('for how long a member', () => {
  let clock: ManualClock;
  let leader: MemberId | null;
  let configuration: Configuration;
  const timesOf = (id: MemberId) =>
    new LeaderTimes({ id, leader: () => leader, configuration: () => configuration }, clock);

  beforeEach(() => {
    clock = new ManualClock();
    leader = a;
    configuration = { voters: [a, b, c], learners: [] };
  });

  it('has its leader: from when it knows of it, also when it is the same as before', async () => {
    const times = timesOf(b);
    await clock.advance(1_000);
    assert.equal(times.leaderForMs(), 1_000);
    leader = null;
    times.leaderChanged();
    await clock.advance(500);
    assert.deepEqual([times.leaderForMs(), times.connectedForMs()], [0, 0]);
    leader = a;
    times.leaderChanged();
    await clock.advance(30);
    assert.equal(times.leaderForMs(), 30);
  });

  it('has had a connection to its leader; the others are no matter', async () => {
    const times = timesOf(b);
    await clock.advance(1_000);
    times.peerLost(c);
    assert.equal(times.connectedForMs(), 1_000);
    times.peerLost(a);
    await clock.advance(200);
    assert.equal(times.connectedForMs(), 200);
  });

  it('has had, as the leader, a majority: whichever members it was', async () => {
    const times = timesOf(a);
    await clock.advance(1_000);
    times.peerLost(b);
    await clock.advance(100);
    assert.equal(times.connectedForMs(), 1_100, 'c was there');
    times.peerLost(c);
    await clock.advance(100);
    assert.equal(times.connectedForMs(), 200, 'since b was lost there is one that was not lost later');
  });

  it('has had, in a joint configuration, a majority of both', async () => {
    configuration = { voters: [a, d, e], learners: [], votersOutgoing: [a, b, c] };
    const times = timesOf(a);
    await clock.advance(1_000);
    times.peerLost(d);
    times.peerLost(e);
    await clock.advance(100);
    assert.equal(times.connectedForMs(), 100);
  });

  it('alone has all that it needs', async () => {
    configuration = { voters: [a], learners: [] };
    const times = timesOf(a);
    await clock.advance(1_000);
    assert.equal(times.connectedForMs(), 1_000);
  });

  it('says so in its status', async () => {
    const group = new SmallGroup('times');
    const old = await group.leader();
    const other = group.names.find((name) => name !== old)!;
    await group.wait(5_000);
    const status = () => group.do(group.clientOf(other).status());
    assert((await status()).leaderForMs > 4_000);
    assert((await status()).connectedForMs > 4_000);
    group.kill(old);
    await group.leader();
    await group.world.run(() => group.parts.get(other)!.raft.leader() !== null);
    await group.wait(500);
    const { leaderForMs, connectedForMs } = await status();
    assert(leaderForMs >= 490 && leaderForMs < 1_500, `${leaderForMs} ms`);
    assert(connectedForMs > 5_000, 'the new leader was there all the time');
  });
});
