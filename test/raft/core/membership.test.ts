/** Configurations, joint majorities and what they mean for a core, in single steps. */
import { strict as assert } from 'node:assert';
import {
  afterSteps,
  decodeConfiguration,
  encodeConfiguration,
  memberId,
  Quorum,
  type Configuration,
  type MemberStep,
} from 'raft-consensus';
import { Cluster, letter } from './cluster.js';

const ids = (names: string) => names.split(' ').filter(Boolean).map(memberId);
const of = (voters: string, learners = ''): Configuration => ({
  voters: ids(voters),
  learners: ids(learners),
});
const step = (type: 'add-voter' | 'add-learner' | 'remove', id: string): MemberStep => ({
  type,
  id: memberId(id),
});

describe('configurations', () => {
  it('one voter more or less needs no joint configuration, two do', () => {
    assert.deepEqual(afterSteps(of('1 2 3'), [step('add-voter', '4')]), of('1 2 3 4'));
    assert.deepEqual(afterSteps(of('1 2 3', '4'), [step('add-voter', '4')]), of('1 2 3 4'));
    assert.deepEqual(afterSteps(of('1 2 3'), [step('add-voter', '4'), step('remove', '1')]), {
      ...of('2 3 4'),
      votersOutgoing: ids('1 2 3'),
      autoLeave: true,
    });
  });

  it('a voter that becomes a learner in a joint change votes until it is over', () => {
    assert.deepEqual(afterSteps(of('1 2'), [step('add-learner', '2'), step('add-voter', '3')]), {
      ...of('1 3'),
      votersOutgoing: ids('1 2'),
      learnersNext: ids('2'),
      autoLeave: true,
    });
  });

  it('what cannot be is said', () => {
    assert.equal(afterSteps(of('1'), [step('remove', '1')]), 'no voter would be left');
    assert.equal(afterSteps(of('1'), [step('add-voter', '1')]), '1 votes already');
    assert.equal(afterSteps(of('1'), [step('remove', '2')]), '2 is not a member');
    assert.equal(afterSteps(of('1'), [step('add-voter', '')]), 'a member needs a name');
    const joint = afterSteps(of('1 2'), [step('remove', '2')], 'joint') as Configuration;
    assert.equal(afterSteps(joint, [step('add-voter', '3')]), 'a joint change is not over');
  });

  it('are read as they were written, and nothing else is', () => {
    const configuration: Configuration = {
      ...of('1 3', '4'),
      votersOutgoing: ids('1 2'),
      learnersNext: ids('2'),
      autoLeave: false,
      addresses: { 1: 'here' },
    };
    assert.deepEqual(decodeConfiguration(encodeConfiguration(configuration)), configuration);
    for (const text of ['', '{', '{}', 'null', '{"voters":[1],"learners":[]}']) {
      assert.equal(decodeConfiguration(Buffer.from(text)), null, text);
    }
  });
});

describe('joint majorities', () => {
  const joint = new Quorum({ ...of('1 2 3'), votersOutgoing: ids('3 4 5') });

  it('an index is reached when both have it', () => {
    const matches: { readonly [id: string]: number } = { 1: 9, 2: 9, 3: 5, 4: 4, 5: 3 };
    assert.equal(
      joint.reached((id) => matches[id]!),
      4,
    );
  });

  it('an election is won in both, and lost in either', () => {
    const votes = (granted: string, refused: string) =>
      new Map([
        ...ids(granted).map((id) => [id, true] as const),
        ...ids(refused).map((id) => [id, false] as const),
      ]);
    assert.equal(joint.result(votes('1 2', '')), 'pending');
    assert.equal(joint.result(votes('1 2 4 5', '')), 'won');
    assert.equal(joint.result(votes('1 2', '4 5')), 'lost');
    assert.equal(joint.result(votes('1 2 6 7 8', '')), 'pending', 'strangers count for nothing');
  });
});

describe('a core whose members change', () => {
  it('a heartbeat reply that is late or doubled confirms no newer read (etcd #20418)', () => {
    const cluster = new Cluster({ voters: ['1', '2', '3'] });
    cluster.elect('1');
    const core = cluster.core('1');
    const node = cluster.node('1');
    core.readIndex(7);
    cluster.stabilize();
    assert.equal(node.answered.length, 1);
    // From here on nobody hears of the leader; old answers come again, and again.
    core.readIndex(8);
    cluster.act(node);
    cluster.network = [];
    const { term } = core;
    for (const from of ['2', '3', '2', '3']) {
      for (const readRound of [0, 1]) {
        cluster.deliver(letter('heartbeat-reply', from, '1', term, { readRound }));
        cluster.act(node);
      }
    }
    assert.equal(node.answered.length, 1, 'the second read waits');
    cluster.deliver(letter('heartbeat-reply', '9', '1', term, { readRound: 2 }));
    cluster.act(node);
    assert.equal(node.answered.length, 1, 'a stranger confirms nothing');
    cluster.deliver(letter('heartbeat-reply', '2', '1', term, { readRound: 2 }));
    cluster.act(node);
    assert.equal(node.answered.length, 2);
  });

  it('who knows of a change that it has not applied does not campaign', () => {
    const cluster = new Cluster({ voters: ['1', '2', '3'] });
    cluster.elect('1');
    cluster.core('1').changeConfiguration({ type: 'steps', steps: [step('remove', '3')] });
    cluster.stabilize();
    assert.deepEqual(cluster.core('2').configuration.voters, ids('1 2'));
    // A tick brings the commit index to disk.
    cluster.tick('2');
    cluster.stabilize();
    cluster.restart('2');
    cluster.core('2').campaign();
    assert.equal(cluster.core('2').role, 'follower', 'its log says so, its state machine not yet');
    while (cluster.act(cluster.node('2')));
    cluster.core('2').campaign();
    assert.equal(cluster.core('2').role, 'pre-candidate');
  });
});
