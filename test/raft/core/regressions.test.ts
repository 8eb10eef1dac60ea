/** Bugs that other Raft stores had, each as it must not be here, and once with the bug planted, which must be seen. */
import { strict as assert } from 'node:assert';
import { logIndex, memberId, type Message, type RaftCore, term } from 'raft-consensus';
import { regression } from '../planted-bug.js';
import { Cluster, letter } from './cluster.js';

type Plant = (core: RaftCore) => void;

/** A read that asks nobody, and takes what this member knows to be committed for all that is. */
const answersFromItsCommit: Plant = (core) => {
  core.readIndex = (context) => core.answerRead({ context, index: core.commit });
};

describe('regressions of other Raft stores', () => {
  regression<Plant>(
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
    answersFromItsCommit,
  );

  regression<Plant>(
    'a new leader answers no read below what the one before it acknowledged (etcd #7331)',
    (plant) => {
      const cluster = new Cluster({ voters: ['1', '2', '3'] });
      cluster.elect('1');
      const written = cluster.propose('1', 'x');
      assert(written.type === 'accepted');
      // Acknowledged by 1; the others have it, and are never told that it is committed.
      cluster.stabilize(({ type }) => type !== 'commit');
      assert.equal(cluster.core('1').commit, written.firstIndex);
      cluster.crash('1');
      const node = cluster.node('2');
      plant?.(node.core);
      node.core.campaign();
      cluster.stabilize(({ type }) => type !== 'append');
      if (node.core.role !== 'leader') {
        // The lease of the leader that has ended is over.
        for (const name of ['2', '3']) cluster.tick(name, 30);
        cluster.core('2').campaign();
        cluster.stabilize(({ type }) => type !== 'append');
      }
      assert.equal(node.core.role, 'leader');
      assert(node.core.commit < written.firstIndex);
      node.core.readIndex(7);
      cluster.stabilize(({ type }) => type !== 'append');
      assert.equal(node.answered.length, 0);
      cluster.tick('2', 2);
      cluster.stabilize();
      assert.equal(node.answered.length, 1);
      assert(node.answered[0]!.index >= written.firstIndex);
    },
    answersFromItsCommit,
  );

  regression<Plant>(
    'a late answer to a heartbeat confirms no newer read (etcd #20418)',
    (plant) => {
      const cluster = new Cluster({ voters: ['1', '2', '3'] });
      cluster.elect('1');
      const node = cluster.node('1');
      plant?.(node.core);
      node.core.readIndex(1);
      const late: Message[] = [];
      cluster.stabilize((message) => {
        if (message.type === 'heartbeat-reply' && message.from === '3') late.push(message);
        return !late.includes(message);
      });
      assert.deepEqual([node.answered.length, late.length], [1, 1]);
      // From here on nobody hears 1, and it may not lead any more; what was under way still arrives.
      node.core.readIndex(2);
      cluster.stabilize(({ from }) => from !== '1');
      cluster.deliver(late[0]!);
      cluster.stabilize(({ from }) => from !== '1');
      assert.deepEqual(
        node.answered.map(({ context }) => context),
        [1],
      );
    },
    (core) => {
      const step = core.step.bind(core);
      core.step = (message) => {
        const round = core.leader?.reads.round?.number;
        const isReply = message.type === 'heartbeat-reply' && round !== undefined;
        step(isReply ? { ...message, readRound: round } : message);
      };
    },
  );

  regression<Plant>(
    'two snapshots in quick succession end in the second (etcd #18055, #20271)',
    (plant) => {
      const cluster = new Cluster({ voters: ['1', '2', '3'] });
      const node = cluster.node('1');
      plant?.(node.core);
      node.slowDisk = true;
      for (const index of [5, 9]) {
        const meta = { index: logIndex(index), term: term(1), configuration: cluster.configuration };
        const data = Buffer.from(JSON.stringify(Array.from({ length: index }, (_, i) => `${i + 1}`)));
        node.core.step(letter('snapshot', '2', '1', 1, { meta, data }));
        cluster.act(node);
      }
      cluster.finishSave(node);
      assert.equal(node.core.appliedIndex, 5);
      while (cluster.act(node));
      if (node.saving !== null) cluster.finishSave(node);
      assert.deepEqual([node.core.appliedIndex, node.applied.length], [9, 9]);
    },
    // What comes while one is being saved is taken for the same.
    (core) => {
      const step = core.step.bind(core);
      let isSaving = false;
      core.step = (message) => {
        if (message.type === 'snapshot' && isSaving) return;
        if (message.type === 'snapshot') isSaving = true;
        step(message);
      };
    },
  );

  regression<Plant>(
    'a member that voted votes for nobody else in that term, after a crash neither (tikv #9579)',
    (plant) => {
      const cluster = new Cluster({ voters: ['1', '2', '3'] });
      const vote = (from: string) => {
        cluster
          .core('3')
          .step(
            letter('vote', from, '3', 1, { lastIndex: logIndex(0), lastTerm: term(0), reason: 'timeout' }),
          );
        const granted: string[] = [];
        cluster.stabilize((message) => {
          if (message.type === 'vote-reply' && message.granted) granted.push(message.to);
          return false;
        });
        return granted;
      };
      assert.deepEqual(vote('1'), ['1']);
      cluster.crash('3');
      if (plant) cluster.node('3').hardState = null;
      cluster.restart('3');
      assert.deepEqual(vote('2'), []);
      assert.deepEqual(vote('1'), ['1']);
    },
    // A disk without a vote, on which a member is made anew as if it had never been.
    () => undefined,
  );

  regression<Plant>(
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

  regression<Plant>(
    'two members that cannot see each other do not take the leadership from one another for ever (Cloudflare 2020)',
    (plant) => {
      const cluster = new Cluster({ voters: ['1', '2', '3'] });
      for (const { core } of cluster.running) plant?.(core);
      cluster.elect('1');
      const { term: before } = cluster.core('1');
      const passes = ({ from, to }: Message) => !(from !== '3' && to !== '3');
      for (let tick = 0; tick < 200; tick++) {
        for (const name of ['1', '2', '3']) cluster.tick(name);
        cluster.stabilize(passes);
      }
      assert.equal(cluster.core('3').term, before);
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

  regression<Plant>(
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
