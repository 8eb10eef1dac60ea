/**
 * The sentences of the Raft paper (Ongaro and Ousterhout, "In Search of an Understandable Consensus
 * Algorithm", extended version) and of Ongaro's dissertation, one test each. The idea is etcd-io/raft's
 * raft_paper_test.go.
 */
import { strict as assert } from 'node:assert';
import { logIndex, memberId, term as asTerm, type Entry, type Message } from 'raft-consensus';
import { Cluster, letter } from './cluster.js';

const three = (limits = {}): Cluster => new Cluster({ voters: ['1', '2', '3'], limits });
const five = (): Cluster => new Cluster({ voters: ['1', '2', '3', '4', '5'] });

const entry = (index: number, term: number, data = ''): Entry => ({
  index: logIndex(index),
  term: asTerm(term),
  type: data === '' ? 'noop' : 'normal',
  data: Buffer.from(data),
});

/** What a node says next. */
const answers = (cluster: Cluster, name: string): Message[] => {
  while (cluster.act(cluster.node(name)));
  const letters = cluster.network;
  cluster.network = [];
  return letters;
};

const append = (term: number, prev: [number, number], entries: Entry[], commit = 0, from = '2'): Message =>
  letter('append', from, '1', term, {
    prevIndex: logIndex(prev[0]),
    prevTerm: asTerm(prev[1]),
    entries,
    commit: logIndex(commit),
  });

const vote = (
  term: number,
  last: [number, number],
  from = '2',
  type: 'vote' | 'pre-vote' = 'vote',
): Message =>
  letter(type, from, '1', term, {
    lastIndex: logIndex(last[0]),
    lastTerm: asTerm(last[1]),
    reason: 'timeout',
  });

describe('raft paper §5.1, terms', () => {
  it('a member that sees a larger term updates its own and becomes a follower', () => {
    const cluster = three();
    cluster.elect('1');
    cluster.core('1').step(append(5, [0, 0], []));
    assert.deepEqual([cluster.core('1').role, cluster.core('1').term], ['follower', 5]);
  });

  it('a request with a stale term is refused, and its sender hears of the newer one', () => {
    const cluster = three();
    cluster.core('1').step(append(5, [0, 0], []));
    answers(cluster, '1');
    cluster.core('1').step(append(3, [0, 0], [entry(1, 3, 'x')], 0, '3'));
    assert.equal(cluster.core('1').log.lastIndex, 0);
    const [reply] = answers(cluster, '1');
    assert.deepEqual([reply?.to, reply?.term], ['3', 5]);
  });
});

describe('raft paper §5.2, leader election', () => {
  it('members start as followers', () => {
    for (const { core } of three().nodes.values()) assert.equal(core.role, 'follower');
  });

  it('a leader sends heartbeats to all followers', () => {
    const cluster = three();
    cluster.elect('1');
    cluster.tick('1', 2);
    const beats = answers(cluster, '1').filter((message) => message.type === 'heartbeat');
    assert.deepEqual(
      beats.map(({ to }) => to),
      ['2', '3'],
    );
  });

  it('a follower that hears nothing for an election timeout begins an election and votes for itself', () => {
    const cluster = new Cluster({ voters: ['1', '2'] });
    cluster.tick('1', 8);
    cluster.stabilize((message) => message.type !== 'vote');
    const { core } = cluster.node('1');
    assert.deepEqual([core.role, core.term, core.votedFor], ['candidate', 1, '1']);
  });

  it('a candidate wins with votes from a majority, and only then', () => {
    const cluster = five();
    let granted = 0;
    cluster.core('1').campaign();
    cluster.stabilize((message) => message.type !== 'vote-reply' || ++granted <= 1);
    assert.equal(cluster.core('1').role, 'candidate');
    cluster.core('1').step(letter('vote-reply', '4', '1', 1, { granted: true }));
    assert.equal(cluster.core('1').role, 'leader');
  });

  it('a vote that comes twice counts once', () => {
    const cluster = five();
    cluster.core('1').campaign();
    cluster.stabilize((message) => message.type !== 'vote-reply');
    for (let i = 0; i < 3; i++) cluster.core('1').step(letter('vote-reply', '2', '1', 1, { granted: true }));
    assert.equal(cluster.core('1').role, 'candidate');
  });

  it('each member votes for at most one candidate in a term, first come first served', () => {
    const cluster = three();
    cluster.core('1').step(vote(1, [0, 0], '2'));
    cluster.core('1').step(vote(1, [0, 0], '3'));
    cluster.core('1').step(vote(1, [0, 0], '2'));
    const replies = answers(cluster, '1').map((reply) => [reply.to, 'granted' in reply && reply.granted]);
    assert.deepEqual(replies, [
      ['2', true],
      ['3', false],
      ['2', true],
    ]);
  });

  it('a vote is kept over a restart', () => {
    const cluster = three();
    cluster.core('1').step(vote(1, [0, 0], '2'));
    answers(cluster, '1');
    cluster.crash('1');
    cluster.restart('1');
    cluster.core('1').step(vote(1, [0, 0], '3'));
    const [reply] = answers(cluster, '1');
    assert.equal(reply?.type === 'vote-reply' && reply.granted, false);
  });

  it('a vote leaves only when it is durable', () => {
    const cluster = three();
    cluster.node('1').slowDisk = true;
    cluster.core('1').step(vote(1, [0, 0]));
    assert.deepEqual(answers(cluster, '1'), []);
    cluster.finishSave(cluster.node('1'));
    assert.equal(answers(cluster, '1')[0]?.type, 'vote-reply');
  });

  it('a candidate that hears from a leader of its term follows it', () => {
    const cluster = three();
    cluster.core('1').campaign();
    cluster.stabilize((message) => message.type !== 'vote');
    assert.equal(cluster.core('1').role, 'candidate');
    cluster.core('1').step(append(1, [0, 0], []));
    assert.deepEqual([cluster.core('1').role, cluster.core('1').leaderId], ['follower', '2']);
  });

  it('election timeouts are drawn anew from a range, so that split votes are rare', () => {
    const waits = new Set<number>();
    for (let draw = 0; draw < 8; draw++) {
      const cluster = new Cluster({ voters: ['1', '2', '3'], random: () => draw / 8 });
      cluster.core('1').step(append(1, [0, 0], []));
      let ticks = 0;
      while (cluster.core('1').role === 'follower') {
        cluster.tick('1');
        ticks++;
      }
      waits.add(ticks);
    }
    assert.deepEqual([...waits], [8, 9, 10, 11, 12, 13, 14, 15]);
  });
});

describe('raft paper §5.3, log replication', () => {
  it('a leader appends a proposal, sends it to all at once, applies it when a majority has it', () => {
    const cluster = three();
    cluster.elect('1');
    cluster.propose('1', 'x');
    const sent = answers(cluster, '1');
    assert.deepEqual(
      sent.map(({ type, to }) => [type, to]),
      [
        ['append', '2'],
        ['append', '3'],
      ],
    );
    assert.equal(cluster.node('1').applied.length, 1);
    cluster.deliver(sent[0]!);
    cluster.stabilize();
    assert.deepEqual(cluster.node('1').applied, ['1:1:noop', '2:1:x']);
  });

  it('a leader finds out what is committed and tells the followers, who apply it in log order', () => {
    const cluster = three();
    cluster.elect('1');
    cluster.propose('1', 'a', 'b');
    cluster.stabilize();
    for (const { applied } of cluster.nodes.values())
      assert.deepEqual(applied, ['1:1:noop', '2:1:a', '3:1:b']);
  });

  it('a slow follower does not hold up the others', () => {
    const cluster = three();
    cluster.elect('1');
    cluster.crash('3');
    cluster.propose('1', 'a');
    cluster.stabilize();
    assert.equal(cluster.core('1').commit, 2);
  });

  it('a follower that lacks the entry before the new ones refuses them', () => {
    const cluster = three();
    cluster.core('1').step(append(2, [3, 1], [entry(4, 2, 'x')]));
    const [reply] = answers(cluster, '1');
    assert.deepEqual(reply?.type === 'append-rejected' && [reply.index, reply.hintIndex], [3, 0]);
  });

  it('a follower that has another entry there removes it and all that follow', () => {
    const cluster = three();
    cluster.core('1').step(append(1, [0, 0], [entry(1, 1), entry(2, 1, 'a'), entry(3, 1, 'b')]));
    answers(cluster, '1');
    cluster.core('1').step(append(2, [1, 1], [entry(2, 2, 'c')], 0, '3'));
    answers(cluster, '1');
    assert.deepEqual(
      cluster.node('1').entries.map(({ index, term }) => `${index}/${term}`),
      ['1/1', '2/2'],
    );
  });

  it('an append that comes again, late and short, removes nothing', () => {
    const cluster = three();
    cluster.core('1').step(append(1, [0, 0], [entry(1, 1), entry(2, 1, 'a'), entry(3, 1, 'b')]));
    cluster.core('1').step(append(1, [0, 0], [entry(1, 1)]));
    answers(cluster, '1');
    assert.equal(cluster.node('1').entries.length, 3);
  });

  it('a follower commits no further than what the leader is known to share with it', () => {
    const cluster = three();
    cluster.core('1').step(append(1, [0, 0], [entry(1, 1), entry(2, 1, 'a'), entry(3, 1, 'b')]));
    // Entry 3 may be a leftover: this append vouches for entries up to 2 only, whatever is committed
    // elsewhere.
    cluster.core('1').step(append(2, [1, 1], [entry(2, 1, 'a')], 3, '3'));
    assert.equal(cluster.core('1').commit, 2);
  });

  it('an acknowledgement leaves only when the entries are durable', () => {
    const cluster = three();
    cluster.node('1').slowDisk = true;
    cluster.core('1').step(append(1, [0, 0], [entry(1, 1)]));
    assert.deepEqual(answers(cluster, '1'), []);
    // What comes while the disk works waits for the next save.
    cluster.core('1').step(append(1, [1, 1], [entry(2, 1, 'a')]));
    assert.deepEqual(answers(cluster, '1'), []);
    cluster.finishSave(cluster.node('1'));
    const [first] = cluster.network;
    assert.equal(first?.type === 'append-accepted' && first.index, 1);
  });

  it('leader and follower logs as in figure 7 become equal to the leader of term 8', () => {
    const leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    const followers: number[][] = [
      [1, 1, 1, 4, 4, 5, 5, 6, 6],
      [1, 1, 1, 4],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
      [1, 1, 1, 4, 4, 4, 4],
      [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    const log = (terms: number[]): Entry[] => terms.map((term, i) => entry(i + 1, term));
    for (const follower of followers) {
      const cluster = three();
      const load = (name: string, terms: number[], term: number): void => {
        const node = cluster.node(name);
        node.entries = log(terms);
        node.hardState = { term: asTerm(term), votedFor: null, commit: logIndex(0) };
        cluster.crash(name);
        cluster.restart(name);
      };
      load('1', leader, 7);
      load('2', follower, follower.at(-1)!);
      cluster.core('1').campaign();
      cluster.stabilize();
      assert.equal(cluster.core('1').role, 'leader');
      cluster.tick('1', 2);
      cluster.stabilize();
      const terms = (name: string): number[] => cluster.node(name).entries.map((one) => one.term);
      assert.deepEqual(terms('2'), [...leader, 8], `follower ${follower.join(' ')}`);
    }
  });
});

describe('raft paper §5.4, safety', () => {
  it('a voter refuses a candidate whose log is less up to date than its own', () => {
    const cases: [own: [number, number][], candidate: [number, number], granted: boolean][] = [
      [[[1, 1]], [1, 1], true],
      [[[1, 1]], [2, 1], true],
      [
        [
          [1, 1],
          [2, 1],
        ],
        [1, 1],
        false,
      ],
      [[[1, 1]], [1, 2], true],
      [
        [
          [1, 1],
          [2, 1],
        ],
        [1, 2],
        true,
      ],
      [[[1, 2]], [5, 1], false],
    ];
    for (const [own, candidate, granted] of cases) {
      const cluster = three();
      cluster.node('1').entries = own.map(([index, term]) => entry(index, term));
      cluster.node('1').hardState = { term: asTerm(2), votedFor: null, commit: logIndex(0) };
      cluster.crash('1');
      cluster.restart('1');
      for (const type of ['vote', 'pre-vote'] as const) {
        cluster.core('1').step(vote(3, candidate, '2', type));
        const [reply] = answers(cluster, '1');
        assert.equal(
          reply !== undefined && 'granted' in reply && reply.granted,
          granted,
          `${type} ${candidate}`,
        );
      }
    }
  });

  it('§5.4.2 and figure 8: an entry of an earlier term is not committed by counting replicas', () => {
    const cluster = three();
    const node = cluster.node('1');
    node.entries = [entry(1, 1), entry(2, 1, 'old')];
    node.hardState = { term: asTerm(1), votedFor: null, commit: logIndex(0) };
    cluster.crash('1');
    cluster.restart('1');
    cluster.core('1').campaign();
    cluster.stabilize((message) => message.type !== 'append');
    const { core } = node;
    assert.deepEqual([core.role, core.term], ['leader', 2]);
    core.step(letter('append-accepted', '2', '1', 2, { index: logIndex(2) }));
    core.step(letter('append-accepted', '3', '1', 2, { index: logIndex(2) }));
    assert.equal(core.commit, 0, 'two replicas of an old entry are not enough');
    core.step(letter('append-accepted', '2', '1', 2, { index: logIndex(3) }));
    assert.equal(core.commit, 3, 'with one of the own term it is committed too');
  });

  it('a leader never overwrites or removes entries of its own log', () => {
    const cluster = three();
    cluster.elect('1');
    cluster.propose('1', 'a');
    cluster.stabilize();
    assert.throws(
      () => cluster.core('1').step(append(1, [1, 1], [entry(2, 1, 'b')])),
      /two leaders in term 1/,
    );
  });

  it('a new leader first commits an entry of its own term, a no-op (§8)', () => {
    const cluster = three();
    cluster.core('1').campaign();
    cluster.stabilize((message) => message.type !== 'append');
    assert.deepEqual(
      cluster.node('1').entries.map(({ type, term }) => [type, term]),
      [['noop', 1]],
    );
  });
});

describe('raft paper §7, log compaction', () => {
  it('a follower replaces its log by a snapshot that is ahead of it', () => {
    const cluster = three();
    const meta = { index: logIndex(9), term: asTerm(3), configuration: cluster.configuration };
    const state = Buffer.from(JSON.stringify(Array.from({ length: 9 }, (_, i) => `${i + 1}`)));
    cluster.core('1').step(letter('snapshot', '2', '1', 3, { meta, data: state }));
    const [reply] = answers(cluster, '1');
    assert.equal(reply?.type === 'append-accepted' && reply.index, 9);
    assert.deepEqual([cluster.core('1').commit, cluster.core('1').appliedIndex], [9, 9]);
  });

  it('a follower that has the entries keeps them', () => {
    const cluster = three();
    cluster.core('1').step(append(1, [0, 0], [entry(1, 1), entry(2, 1, 'a'), entry(3, 1, 'b')]));
    answers(cluster, '1');
    const meta = { index: logIndex(2), term: asTerm(1), configuration: cluster.configuration };
    cluster.core('1').step(letter('snapshot', '2', '1', 1, { meta, data: Buffer.from('[]') }));
    answers(cluster, '1');
    assert.equal(cluster.core('1').log.lastIndex, 3);
    assert.equal(cluster.core('1').commit, 2);
  });

  it('a snapshot that is behind changes nothing', () => {
    const cluster = three();
    cluster.elect('1');
    cluster.propose('1', 'a', 'b');
    cluster.stabilize();
    const before = cluster.core('2').log.lastIndex;
    const meta = { index: logIndex(1), term: asTerm(1), configuration: cluster.configuration };
    cluster.core('2').step(letter('snapshot', '1', '2', 1, { meta, data: Buffer.from('[]') }));
    cluster.stabilize();
    assert.equal(cluster.core('2').log.lastIndex, before);
  });

  it('nothing is applied on top of a snapshot before the state machine has been restored from it', () => {
    const { core } = three().node('1');
    const meta = { index: logIndex(5), term: asTerm(1), configuration: core.options.configuration };
    core.step(letter('snapshot', '2', '1', 1, { meta, data: new Uint8Array(0) }));
    core.step(append(1, [5, 1], [entry(6, 1, 'x')], 6));
    core.ready();
    core.persisted();
    assert.deepEqual(core.ready()?.committed ?? [], []);
    core.campaign();
    assert.equal(core.role, 'follower', 'and it does not campaign');
    core.applied(logIndex(5));
    assert.deepEqual(
      core.ready()?.committed.map(({ index }) => index),
      [6],
    );
  });

  it('two snapshots in quick succession end in the second (etcd #18055)', () => {
    const cluster = three();
    const node = cluster.node('1');
    node.slowDisk = true;
    for (const index of [5, 9]) {
      const meta = { index: logIndex(index), term: asTerm(1), configuration: cluster.configuration };
      const state = Buffer.from(JSON.stringify(Array.from({ length: index }, (_, i) => `${i + 1}`)));
      node.core.step(letter('snapshot', '2', '1', 1, { meta, data: state }));
      cluster.act(node);
    }
    cluster.finishSave(node);
    assert.equal(node.core.appliedIndex, 5);
    while (cluster.act(node));
    cluster.finishSave(node);
    assert.equal(node.core.appliedIndex, 9);
    node.core.step(append(1, [9, 1], [entry(10, 1, 'x')], 10));
    while (cluster.act(node));
    cluster.finishSave(node);
    while (cluster.act(node));
    assert.equal(node.applied.at(-1), '10:1:x');
  });
});

describe('dissertation §3.10, §6.2, §6.4 and §9.6', () => {
  it('PreVote: a member that cannot win does not raise its term', () => {
    const cluster = three();
    cluster.elect('1');
    cluster.tick('3', 100);
    cluster.stabilize((message) => message.from !== '3');
    assert.equal(cluster.core('3').term, 1);
  });

  it('the lease: who hears a leader ignores votes and pre-votes, unless the leader asked for them', () => {
    for (const type of ['vote', 'pre-vote'] as const) {
      const cluster = three();
      cluster.elect('2');
      cluster.tick('1', 7);
      cluster.core('1').step(vote(2, [9, 9], '3', type));
      assert.deepEqual(answers(cluster, '1'), [], type);
      assert.equal(cluster.core('1').term, 1);
    }
    const cluster = three();
    cluster.elect('2');
    const asked = { ...vote(2, [9, 9], '3'), reason: 'transfer' } as Message;
    cluster.core('1').step(asked);
    assert.equal(
      answers(cluster, '1').some((reply) => reply.type === 'vote-reply' && reply.granted),
      true,
    );
  });

  it('CheckQuorum: a leader that hears of no majority for an election timeout steps down', () => {
    const cluster = three();
    cluster.elect('1');
    cluster.tick('1', 16);
    assert.equal(cluster.core('1').role, 'follower');
  });

  it('CheckQuorum: one peer of two is a majority together with the leader', () => {
    const cluster = three();
    cluster.elect('1');
    cluster.crash('3');
    for (let i = 0; i < 50; i++) {
      cluster.tick('1');
      cluster.stabilize();
    }
    assert.equal(cluster.core('1').role, 'leader');
  });

  it('a leader that steps down refuses its open reads and forgets its transfer', () => {
    const cluster = three();
    cluster.elect('1');
    cluster.core('1').readIndex(7);
    cluster.core('1').transferLeadership(memberId('2'));
    cluster.core('1').step(append(2, [1, 1], []));
    while (cluster.act(cluster.node('1')));
    assert.deepEqual(cluster.node('1').dropped, [7]);
    assert.equal(cluster.core('1').leader, null);
  });

  it('a group of one serves a read only behind a commit of its own term (raft#105)', () => {
    const cluster = new Cluster({ voters: ['1'] });
    cluster.elect('1');
    cluster.propose('1', 'x');
    cluster.stabilize();
    const node = cluster.node('1');
    // The commit index needs no fsync: a crash may take it back.
    node.hardState = { ...node.hardState!, commit: logIndex(0) };
    cluster.crash('1');
    cluster.restart('1');
    node.core.readIndex(1);
    cluster.stabilize();
    assert.deepEqual(node.dropped, [1], 'no leader yet');
    node.slowDisk = true;
    node.core.campaign();
    while (cluster.act(node));
    cluster.finishSave(node);
    node.core.readIndex(2);
    while (cluster.act(node));
    assert.deepEqual(node.answered, []);
    node.slowDisk = false;
    cluster.finishSave(node);
    cluster.stabilize();
    assert.deepEqual(node.answered, [{ context: 2, index: 3 }]);
  });

  it('leadership goes to no learner and to nobody unknown', () => {
    const cluster = new Cluster({ voters: ['1', '2', '3'], learners: ['4'] });
    cluster.elect('1');
    assert.equal(cluster.core('1').transferLeadership(memberId('4')), 'not-a-voter');
    assert.equal(cluster.core('1').transferLeadership(memberId('9')), 'not-a-voter');
    cluster.core('4').campaign();
    cluster.tick('4', 100);
    assert.equal(cluster.core('4').role, 'follower');
  });

  it('a follower asked to hand leadership over passes the wish on', () => {
    const cluster = three();
    cluster.elect('1');
    assert.equal(cluster.core('2').transferLeadership(memberId('3')), 'forwarded');
    cluster.stabilize();
    assert.equal(cluster.core('3').role, 'leader');
  });
});

describe('raft core, flow control', () => {
  it('a leader probes with one append at a time until a follower answers', () => {
    const cluster = three();
    cluster.core('1').campaign();
    cluster.stabilize((message) => message.type !== 'append');
    cluster.propose('1', 'a');
    cluster.propose('1', 'b');
    assert.deepEqual(answers(cluster, '1'), []);
  });

  it('appends in flight are bounded in number, and go on when answered', () => {
    const cluster = three({ inflightMessagesMax: 4, messageBytesMax: 1 });
    cluster.elect('1');
    cluster.propose('1', ...Array.from({ length: 10 }, (_, i) => `x${i}`));
    const sent = answers(cluster, '1').filter(({ to }) => to === '2');
    assert.equal(sent.length, 4);
    for (const message of sent) cluster.deliver(message);
    cluster.stabilize();
    assert.equal(cluster.core('2').log.lastIndex, 11);
  });

  it('appends in flight are bounded in bytes', () => {
    const cluster = three({ inflightBytesMax: 300, messageBytesMax: 100 });
    cluster.elect('1');
    cluster.propose('1', ...Array.from({ length: 10 }, () => 'x'.repeat(76)));
    const sent = answers(cluster, '1').filter(({ to }) => to === '2');
    assert.equal(sent.length, 3);
  });

  it('appends that were all lost are noticed by the next heartbeat', () => {
    const cluster = three({ inflightMessagesMax: 2, messageBytesMax: 1 });
    cluster.elect('1');
    cluster.propose('1', 'a', 'b', 'c', 'd');
    cluster.stabilize((message) => message.type !== 'append');
    assert.equal(cluster.core('2').log.lastIndex, 1);
    cluster.tick('1', 2);
    cluster.stabilize();
    assert.equal(cluster.core('1').commit, 5);
  });

  it('proposals are dropped while too much is uncommitted, and taken again afterwards', () => {
    const cluster = three({ uncommittedBytesMax: 100 });
    cluster.elect('1');
    assert.equal(cluster.propose('1', 'x'.repeat(500)).type, 'accepted', 'a single large one passes');
    assert.deepEqual(cluster.propose('1', 'y'), { type: 'dropped', reason: 'uncommitted-full' });
    cluster.stabilize();
    assert.equal(cluster.propose('1', 'y').type, 'accepted');
  });

  it('a snapshot that shows no effect is sent again', () => {
    const cluster = three({ snapshotRetryTicks: 5 });
    cluster.elect('1');
    cluster.crash('3');
    cluster.propose('1', 'a', 'b');
    cluster.stabilize();
    cluster.compact(cluster.node('1'), 0);
    cluster.restart('3');
    const beat = (passes: (message: Message) => boolean): void => {
      cluster.tick('1', 2);
      cluster.stabilize(passes);
    };
    let lost = 0;
    beat((message) => message.type !== 'snapshot' || ++lost === 0);
    assert.equal(cluster.core('1').leader!.peers.get(memberId('3'))!.state, 'snapshot');
    for (let i = 0; i < 5; i++) beat(() => true);
    assert.equal(lost, 1);
    assert.deepEqual(cluster.node('3').applied, cluster.node('1').applied);
  });

  it('a peer that lost what it had confirmed is not flooded', () => {
    const cluster = three();
    cluster.elect('1');
    cluster.propose('1', 'a', 'b');
    cluster.stabilize();
    const node = cluster.node('3');
    cluster.crash('3');
    Object.assign(node, { entries: [], hardState: null });
    cluster.restart('3');
    cluster.tick('1', 2);
    cluster.propose('1', 'c');
    cluster.stabilize();
    assert.equal(cluster.core('1').commit, 4);
  });
});
