/** Members come and go: whole `Raft` members in virtual time. The core's side is in core/membership.test.ts. */
import { strict as assert } from 'node:assert';
import {
  memberId,
  RaftError,
  recoverLostQuorum,
  type MemberId,
  type MembershipRefusal,
  type Observation,
  type Raft,
} from 'raft-consensus';
import { fiveMembers } from './five-members.js';
import { bytes, Group } from './group.js';

const [a, b, c, d, e] = fiveMembers;

const refusedFor = (reason: MembershipRefusal) => (error: unknown) =>
  error instanceof RaftError && error.code === 'Membership' && error.definite && error.reason === reason;

/** The leader, once it may take a change: its configuration stands in the log. */
async function ready(group: Group): Promise<Raft<number>> {
  const leader = await group.leader();
  await group.clock.until(() => leader.configuration().index !== undefined);
  return leader;
}

const other = (group: Group, ...not: MemberId[]): MemberId =>
  group.running.find(({ id }) => !not.includes(id))!.id;

describe('raft members that come and go', () => {
  it('a group writes the members it was made with into its log', async () => {
    const group = await Group.started(['a', 'b', 'c']);
    const leader = await ready(group);
    await group.converged();
    for (const raft of group.running) {
      assert.deepEqual(raft.configuration(), { voters: [a, b, c], learners: [], index: 2 });
    }
    assert.equal(leader.stats().configuration.index, 2);
  });

  it('a group of one grows to three under load, by learners that are promoted', async () => {
    const group = await Group.started(['a']);
    const leader = await ready(group);
    let sum = 0;
    for (const id of [b, c]) {
      await group.join(id);
      await group.settled(leader.addNonvoter(id, { address: `tcp://${id}` }));
      for (let i = 0; i < 50; i++) sum = await group.settled(leader.apply(bytes(1)));
      await group.converged();
      await group.settled(leader.promote(id));
    }
    await group.converged();
    const { voters, learners, addresses } = group.raft(c).configuration();
    assert.deepEqual([voters, learners, addresses], [[a, b, c], [], { b: 'tcp://b', c: 'tcp://c' }]);
    await group.kill(a);
    const next = await group.leader();
    assert.equal(await group.settled(next.apply(bytes(1))), sum + 1);
  });

  it('a learner behind a compacted log gets a snapshot with the members in it', async () => {
    const group = await Group.started(['a'], 1, { snapshotEveryEntries: 20, trailingEntriesMax: 2 });
    const leader = await ready(group);
    for (let i = 0; i < 100; i++) await group.settled(leader.apply(bytes(1)));
    await group.join('b');
    await group.settled(leader.addNonvoter(b));
    await group.converged();
    assert.equal(group.seat(b).fsm.restores, 1);
    assert.deepEqual(group.raft(b).configuration().learners, [b]);
  });

  it('restarts with the members of its snapshot and log, whatever it is told', async () => {
    const group = await Group.started(['a'], 1, { snapshotEveryEntries: 5, trailingEntriesMax: 0 });
    const leader = await ready(group);
    await group.join('b');
    await group.settled(leader.addVoter(b, { address: 'there' }));
    for (let i = 0; i < 12; i++) await group.settled(leader.apply(bytes(1)));
    await group.converged();
    const { configuration } = leader.stats();
    for (const id of [a, b]) await group.kill(id);
    for (const id of [a, b]) await group.start(id);
    assert(group.raft(a).stats().snapshotIndex > 0);
    assert.deepEqual(group.raft(a).configuration(), configuration);
    assert.equal(await group.settled((await group.leader()).apply(bytes(1))), 13);
  });

  it('refuses to promote a learner that is not in sync', async () => {
    const group = await Group.started(['a', 'b', 'c']);
    const leader = await ready(group);
    for (let i = 0; i < 50; i++) await group.settled(leader.apply(bytes(1)));
    await group.settled(leader.addNonvoter(d));
    await assert.rejects(leader.promote(d), {
      code: 'Membership',
      message: 'can only promote a learner member which is in sync with leader',
    });
    await assert.rejects(leader.addVoter(d), refusedFor('learner-not-ready'));
    await group.join('d');
    await group.converged();
    await group.settled(leader.promote(d));
    assert.deepEqual(leader.configuration().voters, [a, b, c, d]);
  });

  it('a leader that is removed steps down, and the others go on at once', async () => {
    const group = await Group.started(['a', 'b', 'c']);
    const leader = await ready(group);
    await group.settled(leader.removeServer(leader.id));
    await group.clock.until(() => !leader.isLeader(), 500);
    await group.clock.until(() => group.running.some((raft) => raft.isLeader()), 500);
    const next = group.running.find((raft) => raft.isLeader())!;
    assert.notEqual(next.id, leader.id);
    await group.settled(next.apply(bytes(1)));
    const term = next.stats().term;
    await group.clock.pass(10_000);
    assert.equal(next.stats().term, term, 'the removed one disturbs nobody');
    assert(next.isLeader());
  });

  it('a member removed while it is cut off disturbs nobody when it comes back', async () => {
    const group = await Group.started(['a', 'b', 'c', 'd']);
    const leader = await ready(group);
    const away = other(group, leader.id);
    group.isolate(away);
    await group.clock.pass(3_000);
    await group.settled(leader.removeServer(away));
    const { term } = leader.stats();
    group.heal();
    await group.clock.pass(10_000);
    assert(leader.isLeader());
    assert.equal(leader.stats().term, term);
  });

  it('a member that was never added disturbs nobody, whatever it believes', async () => {
    const group = await Group.started(['a', 'b', 'c']);
    const leader = await ready(group);
    const { term } = leader.stats();
    await group.join('x', { voters: [a, b, c, memberId('x')], learners: [] });
    await group.clock.pass(10_000);
    assert(leader.isLeader());
    assert.equal(leader.stats().term, term);
  });

  it('a member is told that it was removed', async () => {
    const group = await Group.started(['a', 'b', 'c']);
    const leader = await ready(group);
    const gone = other(group, leader.id);
    const seen: Observation[] = [];
    group.raft(gone).observe((one) => seen.push(one));
    await group.settled(leader.removeServer(gone));
    const isTold = (one: Observation) => one.type === 'configuration-changed' && !one.isMember;
    await group.clock.until(() => seen.some(isTold));
  });

  it('replaces two of three members at once through a joint configuration', async () => {
    const group = await Group.started(['a', 'b', 'c']);
    const leader = await ready(group);
    await group.join('d');
    await group.join('e');
    const gone = [a, b, c].filter((id) => id !== leader.id);
    for (const id of [d, e]) await group.settled(leader.addNonvoter(id));
    await group.converged();
    const seen: Observation[] = [];
    leader.observe((one) => seen.push(one));
    await group.settled(
      leader.changeMembers([
        ...[d, e].map((id) => ({ type: 'add-voter' as const, id })),
        ...gone.map((id) => ({ type: 'remove' as const, id })),
      ]),
    );
    const joint = seen.flatMap((one) =>
      one.type === 'configuration-changed' ? [one.configuration.votersOutgoing ?? []] : [],
    );
    assert.deepEqual(joint, [[a, b, c], []], 'first joint, then not');
    assert.deepEqual(leader.configuration().voters, [leader.id, d, e]);
    for (const id of gone) await group.discard(id);
    assert.equal(await group.settled(leader.apply(bytes(1))), 1);
  });

  it('takes one change at a time, and only of the configuration that was looked at', async () => {
    const group = await Group.started(['a', 'b', 'c']);
    const leader = await ready(group);
    const { index } = leader.configuration();
    const first = leader.addNonvoter(d, { prevIndex: index! });
    await assert.rejects(leader.addNonvoter(e), refusedFor('pending'));
    const second = await group.settled(first);
    await assert.rejects(leader.addNonvoter(e, { prevIndex: index! }), refusedFor('prev-index'));
    await group.settled(leader.removeServer(d, { prevIndex: second }));
    assert.deepEqual(leader.configuration().learners, []);
  });

  it('says what is wrong with a change', async () => {
    const group = await Group.started(['a', 'b', 'c']);
    const leader = await ready(group);
    await group.settled(leader.addNonvoter(d, { address: 'x' }));
    await assert.rejects(leader.addVoter(leader.id), refusedFor('member-exists'));
    await assert.rejects(leader.addNonvoter(leader.id), refusedFor('member-exists'));
    await assert.rejects(leader.addNonvoter(d), refusedFor('member-exists'));
    await assert.rejects(leader.addNonvoter(e, { address: 'x' }), refusedFor('member-exists'));
    await assert.rejects(leader.removeServer(e), refusedFor('member-not-found'));
    await assert.rejects(leader.promote(e), refusedFor('member-not-found'));
    await assert.rejects(leader.promote(leader.id), refusedFor('not-a-learner'));
    await assert.rejects(leader.demoteVoter(d), refusedFor('member-not-found'));
    await assert.rejects(leader.leadershipTransfer(d), { code: 'InvalidArgument' });
    const follower = group.raft(other(group, leader.id));
    await assert.rejects(follower.removeServer(d), { code: 'NotLeader', leader: leader.id });
  });

  it('leaves a group neither without a voter nor with more members than it can have', async () => {
    const group = await Group.started(['a']);
    const leader = await ready(group);
    await assert.rejects(leader.removeServer(a), refusedFor('no-voter-left'));
    const steps = Array.from({ length: 64 }, (_, i) => ({
      type: 'add-learner' as const,
      id: memberId(`x${i}`),
    }));
    await assert.rejects(leader.changeMembers(steps), refusedFor('too-many-members'));
    await assert.rejects(leader.changeMembers(steps.slice(0, 9)), refusedFor('too-many-learners'));
  });

  it('refuses a change after which the living voters were no majority', async () => {
    const group = await Group.started(['a', 'b', 'c']);
    const leader = await ready(group);
    const dead = other(group, leader.id);
    const alive = other(group, leader.id, dead);
    await group.kill(dead);
    await group.clock.pass(2_000);
    await assert.rejects(leader.removeServer(alive), refusedFor('quorum-at-risk'));
    await assert.rejects(leader.addVoter(d), refusedFor('quorum-at-risk'));
    await group.settled(leader.removeServer(dead));
    assert.equal(leader.configuration().voters.length, 2);
  });

  it('a voter that is demoted goes on as a learner', async () => {
    const group = await Group.started(['a', 'b', 'c']);
    const leader = await ready(group);
    const id = other(group, leader.id);
    await group.settled(leader.demoteVoter(id));
    await group.settled(leader.apply(bytes(1)));
    await group.converged();
    assert.deepEqual(leader.configuration().learners, [id]);
    assert.equal(group.seat(id).fsm.total, 1);
    await group.kill(leader.id);
    await group.clock.pass(5_000);
    assert(!group.raft(id).isLeader());
  });

  it('a leader whose disk hangs steps down even when nobody can take over', async () => {
    // etcd #13527, hashicorp/raft #503
    const group = await Group.started(['a', 'b', 'c']);
    const leader = await ready(group);
    await group.converged();
    group.seat(leader.id).storage.state = 'stalled';
    leader.apply(bytes(1)).catch(() => undefined);
    const others = [a, b, c].filter((id) => id !== leader.id);
    // Letters of a hand-over get lost; heartbeats do not.
    const pass = group.filter;
    group.filter = (message) => message.type !== 'timeout-now' && pass(message);
    await group.clock.until(() => !leader.isLeader(), 3_000, 'the step down');
    await group.clock.until(() => others.some((id) => group.raft(id).isLeader()), 4_000);
    const next = others.map((id) => group.raft(id)).find((raft) => raft.isLeader())!;
    await group.settled(next.apply(bytes(1)));
  });

  it('a leader that stops leaves a gap of less than an election timeout', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const group = await Group.started(['a', 'b', 'c'], seed);
      const leader = await ready(group);
      await group.converged();
      const beganMs = group.clock.monotonicMs();
      const stopped = leader.stop();
      await group.clock.until(() => group.running.some((raft) => raft !== leader && raft.isLeader()));
      const next = group.running.find((raft) => raft !== leader && raft.isLeader())!;
      await group.settled(next.apply(bytes(1)));
      await group.settled(stopped);
      assert(group.clock.monotonicMs() - beganMs < 200, `seed ${seed}`);
    }
  });

  it('a group that lost its majority for good goes on from the survivor, and grows again', async () => {
    const group = await Group.started(['a', 'b', 'c'], 1, {
      snapshotEveryEntries: 20,
      trailingEntriesMax: 5,
    });
    const leader = await ready(group);
    for (let i = 0; i < 50; i++) await group.settled(leader.apply(bytes(1)));
    await group.converged();
    // One more entry that only the survivor has.
    group.isolate(leader.id);
    leader.apply(bytes(1)).catch(() => undefined);
    await group.clock.pass(100);
    const { id } = leader;
    const others = [a, b, c].filter((one) => one !== id);
    for (const gone of others) await group.discard(gone);
    await group.kill(id);
    group.heal();
    const { storage, snapshots } = group.seat(id);
    const before = await storage.load();
    const recovery = await group.settled(recoverLostQuorum({ id, storage, snapshots }));
    assert.deepEqual(recovery.lost, others);
    assert.equal(recovery.term, before.hardState!.term + 1);
    assert.match(recovery.warning, /must never be started/);
    await group.start(id);
    const survivor = await group.leader();
    assert.equal(await group.settled(survivor.apply(bytes(1))), 52, 'nothing that it had is lost');
    assert.deepEqual(survivor.configuration().voters, [id]);
    await group.join('d');
    await group.settled(survivor.addNonvoter(d));
    await group.converged();
    await group.settled(survivor.promote(d));
    await group.settled(survivor.apply(bytes(1)));
    await group.converged();
    assert.equal(group.seat(d).fsm.total, 53);
  });

  it('there is nothing to recover on an empty disk', async () => {
    const { storage, snapshots } = new Group(['a']).seat(a);
    await assert.rejects(recoverLostQuorum({ id: a, storage, snapshots }), { code: 'InvalidArgument' });
  });
});
