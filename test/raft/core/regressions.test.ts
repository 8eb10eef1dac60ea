/** Bugs that other Raft stores had, each as it must not be here, and once with the bug planted, which must be seen. */
import { strict as assert } from 'node:assert';
import { memberId, type Message, type RaftCore } from 'raft-consensus';
import { Cluster } from './cluster.js';

describe('regressions of other Raft stores', () => {
  regression(
    'a group of one answers no read below what it acknowledged before a crash (etcd-io/raft #105, etcd #7331)',
    (plant) => {
      const cluster = new Cluster({ voters: ['1'] });
      cluster.elect('1');
      const written = cluster.propose('1', 'x');
      assert(written.type === 'accepted');
      cluster.stabilize();
      assert.equal(cluster.core('1').commit, written.firstIndex);
      cluster.crash('1');
      cluster.restart('1');
      const node = cluster.node('1');
      plant?.(node.core);
      assert(node.core.commit < written.firstIndex, 'the disk was never told of the commit');
      node.core.campaign();
      cluster.act(node);
      assert.equal(node.core.role, 'leader');
      node.core.readIndex(7);
      cluster.stabilize();
      assert.equal(node.answered.length, 1);
      assert(node.answered[0]!.index >= written.firstIndex);
    },
    (core) => {
      core.readIndex = (context) => core.answerRead({ context, index: core.commit });
    },
  );

  regression(
    'a learner whose address changes is a learner still (etcd #21694)',
    (plant) => {
      const cluster = new Cluster({ voters: ['1', '2', '3'], learners: ['4'] });
      cluster.elect('1');
      const core = cluster.core('1');
      plant?.(core);
      core.changeConfiguration({
        type: 'steps',
        steps: [{ type: 'set-address', id: memberId('4'), address: 'elsewhere' }],
      });
      cluster.stabilize();
      for (const { configuration } of cluster.running.map((node) => node.core)) {
        assert.equal(configuration.addresses?.['4'], 'elsewhere');
        assert.deepEqual(configuration.learners, ['4']);
      }
    },
    (core) => {
      const original = core.changeConfiguration.bind(core);
      core.changeConfiguration = (change) => {
        if (change.type !== 'steps') return original(change);
        const steps = change.steps.map((step) =>
          step.type === 'set-address' ? { ...step, type: 'add-voter' as const } : step,
        );
        return original({ ...change, steps });
      };
    },
  );

  regression(
    'two members that cannot see each other do not take the leadership from one another for ever (Cloudflare 2020)',
    (plant) => {
      const cluster = new Cluster({ voters: ['1', '2', '3'] });
      for (const { core } of cluster.running) plant?.(core);
      cluster.elect('1');
      const { term } = cluster.core('1');
      const passes = ({ from, to }: Message) => !(from !== '3' && to !== '3');
      for (let tick = 0; tick < 200; tick++) {
        for (const name of ['1', '2', '3']) cluster.tick(name);
        cluster.stabilize(passes);
      }
      assert.equal(cluster.core('3').term, term);
      assert.equal(cluster.core('1').role, 'leader');
    },
    // As without PreVote and the leader's lease: whoever asks is heard.
    (core) => {
      const step = core.step.bind(core);
      core.step = (message) => {
        const isRequest = message.type === 'pre-vote' || message.type === 'vote';
        step(isRequest ? { ...message, reason: 'transfer' } : message);
      };
    },
  );

  regression(
    'leadership goes to no member without a vote (hashicorp/raft GH-398)',
    (plant) => {
      const cluster = new Cluster({ voters: ['1', '2', '3'], learners: ['4'] });
      for (const { core } of cluster.running) plant?.(core);
      cluster.elect('1');
      assert.equal(cluster.core('1').transferLeadership(memberId('4')), 'not-a-voter');
      cluster.stabilize();
      assert.deepEqual(
        cluster.running.filter(({ core }) => core.role === 'leader').map(({ id }) => id),
        ['1'],
      );
    },
    (core) => {
      core.transferLeadership = (to) => {
        core.leader?.startTransfer(to);
        return 'started';
      };
    },
  );
});

/** Declares the test, and the one that plants the bug and sees it fail. */
function regression(
  name: string,
  play: (plant: ((core: RaftCore) => void) | undefined) => void,
  plant: (core: RaftCore) => void,
): void {
  it(name, () => play(undefined));
  it(`${name}: the planted bug is found`, () => {
    assert.throws(() => play(plant), assert.AssertionError);
  });
}
