import { strict as assert } from 'node:assert';
import {
  logIndex,
  type MemberId,
  memberId,
  RaftError,
  term as asTerm,
  type Observation,
} from 'raft-consensus';
import { bytes, Group } from './group.js';

const names = ['a', 'b', 'c'];
const [a, b, c] = [memberId('a'), memberId('b'), memberId('c')] as const;

const code = (expected: string) => (error: unknown) => error instanceof RaftError && error.code === expected;

describe('raft member', () => {
  it('elects one leader and applies everywhere what was proposed', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    assert.equal(await group.settled(leader.apply(bytes(2))), 2);
    assert.deepEqual(await group.settled(leader.applyBatch([bytes(3), bytes(4)])), [5, 9]);
    await group.converged();
    for (const seat of group.seats.values()) assert.equal(seat.fsm.total, 9);
  });

  it('elects within two seconds', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const group = await Group.started(names, seed);
      await group.leader(2_000);
    }
  });

  it('answers a proposal to a follower with the leader to ask', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    const follower = group.running.find((raft) => raft.id !== leader.id)!;
    await assert.rejects(follower.apply(bytes(1)), (error: unknown) => {
      assert(error instanceof RaftError);
      assert.deepEqual([error.code, error.definite, error.leader], ['NotLeader', true, leader.id]);
      return true;
    });
  });

  it('replaces a killed leader within two seconds and keeps every acknowledged entry', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const group = await Group.started(names, seed);
      const first = await group.leader();
      for (let i = 0; i < 10; i++) await group.settled(first.apply(bytes(1)));
      await group.kill(first.id);
      const second = await group.leader(2_000);
      assert.notEqual(second.id, first.id);
      assert.equal(await group.settled(second.apply(bytes(1))), 11);
      await group.start(first.id);
      await group.converged();
      assert.equal(group.seat(first.id).fsm.total, 11);
    }
  });

  it('puts all proposals of a turn and of a running save into one save', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    await group.settled(leader.barrier());
    const before = group.seat(leader.id).storage.saves;
    await group.settled(Promise.all(Array.from({ length: 500 }, () => leader.apply(bytes(1)))));
    const saves = group.seat(leader.id).storage.saves - before;
    assert(saves <= 2, `${saves} saves for 500 proposals of one turn`);
  });

  it('sends appends while its own save runs', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    await group.settled(leader.barrier());
    group.seat(leader.id).storage.syncMs = 200;
    const done = leader.apply(bytes(1));
    await group.clock.pass(50);
    const others = group.running.filter((raft) => raft.id !== leader.id);
    for (const raft of others) assert.equal(raft.stats().stableIndex, leader.stats().lastIndex);
    assert(leader.stats().stableIndex < leader.stats().lastIndex);
    await group.settled(done);
  });

  it('ends when its disk reports an error, and never writes again', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    const seat = group.seat(leader.id);
    seat.storage.state = 'broken';
    await assert.rejects(group.settled(leader.apply(bytes(1))), code('Stopped'));
    assert.match(String(seat.fatal), /EIO/);
    const { saves } = seat.storage;
    const next = await group.leader(3_000);
    assert.notEqual(next.id, leader.id);
    assert.equal(seat.storage.saves, saves);
  });

  it('hands leadership over when its disk stalls', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    await group.settled(leader.barrier());
    group.seat(leader.id).storage.state = 'stalled';
    leader.apply(bytes(1)).catch(() => undefined);
    await group.clock.until(
      () => group.running.some((raft) => raft.isLeader() && raft.id !== leader.id),
      3_000,
    );
    assert.equal(leader.isLeader(), false);
  });

  it('steps down when cut off from the majority; its entry is definitely lost after the heal', async () => {
    const group = await Group.started(names);
    const old = await group.leader();
    await group.settled(old.barrier());
    group.isolate(old.id);
    const lost = old.apply(bytes(100), 60_000);
    lost.catch(() => undefined);
    await group.clock.until(() => !old.isLeader(), 2_000, 'the old leader steps down');
    const next = await group.leader(3_000);
    assert.equal(await group.settled(next.apply(bytes(1))), 1);
    group.heal();
    await assert.rejects(group.settled(lost), (error: unknown) => {
      assert(error instanceof RaftError);
      assert.deepEqual([error.code, error.definite], ['LeadershipLost', true]);
      return true;
    });
    await group.converged();
    assert.equal(group.seat(old.id).fsm.total, 1);
  });

  it('leaves the outcome of an entry open when it cannot know', async () => {
    const group = await Group.started(names);
    const old = await group.leader();
    await group.settled(old.barrier());
    group.isolate(old.id);
    await assert.rejects(group.settled(old.apply(bytes(1), 300)), (error: unknown) => {
      assert(error instanceof RaftError);
      assert.deepEqual([error.code, error.definite], ['Timeout', false]);
      return true;
    });
  });

  it('reads linearizably on every member', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    await group.settled(leader.apply(bytes(7)));
    const { commitIndex } = leader.stats();
    for (const raft of group.running) {
      assert((await group.settled(raft.readIndex())) >= commitIndex);
      assert.equal(group.seat(raft.id).fsm.total, 7);
    }
    await group.settled(leader.verifyLeader());
    const follower = group.running.find((raft) => raft.id !== leader.id)!;
    await assert.rejects(follower.verifyLeader(), code('NotLeader'));
  });

  it('does not confirm a read while cut off', async () => {
    const group = await Group.started(names);
    const old = await group.leader();
    await group.settled(old.barrier());
    group.isolate(old.id);
    await assert.rejects(group.settled(old.readIndex(10_000)), code('NotLeader'));
  });

  it('shares one quorum round among the reads of a turn', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    await group.settled(leader.barrier());
    group.sent.length = 0;
    await group.settled(Promise.all(Array.from({ length: 200 }, () => leader.readIndex())));
    const rounds = group.sent.filter((message) => message.type === 'heartbeat' && message.readRound > 0);
    assert(rounds.length <= 4, `${rounds.length} heartbeats for 200 reads`);
  });

  it('transfers leadership to the member asked for', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    const to = [a, b, c].find((id) => id !== leader.id)!;
    await group.settled(leader.leadershipTransfer(to));
    const next = await group.leader();
    assert.equal(next.id, to);
    await assert.rejects(leader.leadershipTransfer(to), code('NotLeader'));
    // As in etcd, what is so already is done.
    await group.settled(next.leadershipTransfer(to));
    assert.equal((await group.leader()).id, to);
  });

  it('hands over before it stops, without a pause for an election', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    const pending = leader.applyBatch([bytes(1), bytes(1)]);
    const startMs = group.clock.monotonicMs();
    await group.settled(leader.stop());
    assert.deepEqual(await pending, [1, 2]);
    group.seat(leader.id).raft = null;
    const next = await group.leader();
    await group.settled(next.barrier());
    assert(group.clock.monotonicMs() - startMs < 400);
    await assert.rejects(leader.apply(bytes(1)), code('Stopped'));
  });

  it('does not wait for a hand-over to one that has ended, and hands over to nobody known to have', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    const others = group.running.filter((raft) => raft.id !== leader.id).map(({ id }) => id);
    const startMs = group.clock.monotonicMs();
    for (const id of others) await group.kill(id);
    const stopped = leader.stop();
    for (const id of others) leader.peerGone(id);
    await group.settled(stopped);
    assert(group.clock.monotonicMs() - startMs < 100, `${group.clock.monotonicMs() - startMs} ms`);
  });

  it('brings back a member that is behind the log by a snapshot', async () => {
    const group = await Group.started(names, 1, { snapshotEveryEntries: 20, trailingEntriesMax: 5 });
    const leader = await group.leader();
    const away = group.running.find((raft) => raft.id !== leader.id)!.id;
    await group.kill(away);
    for (let i = 0; i < 100; i++) await group.settled(leader.apply(bytes(1)));
    await group.clock.until(() => leader.stats().firstIndex > 50);
    await group.start(away);
    await group.converged();
    assert.equal(group.seat(away).fsm.total, 100);
    assert.equal(group.seat(away).fsm.restores, 1);
    // And again from its own disk.
    await group.kill(away);
    await group.start(away);
    await group.settled(leader.apply(bytes(1)));
    await group.converged();
    assert.equal(group.seat(away).fsm.total, 101);
  });

  // npm run sim -- --seed 62033, with split-change: it waited for the next write.
  it('takes the next snapshot at once when much was applied while one was written', async () => {
    const group = await Group.started([a], 1, { snapshotEveryEntries: 20, trailingEntriesMax: 0 });
    const leader = await group.leader();
    const { snapshots } = group.seat(a);
    const create = snapshots.create.bind(snapshots);
    let open = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    snapshots.create = async (meta) => {
      await gate;
      return create(meta);
    };
    for (let i = 0; i < 100; i++) await group.settled(leader.apply(bytes(1)));
    assert.equal(leader.stats().snapshotIndex, 0);
    open();
    await group.clock.until(() => leader.stats().snapshotIndex > 0);
    await group.clock.until(() => leader.stats().snapshotIndex === leader.stats().appliedIndex);
  });

  it('keeps its log short by snapshots after many bytes, but none smaller than the last snapshot', async () => {
    const snapshotEveryBytes = 1_000;
    const limits = { snapshotEveryBytes, snapshotAtBytesMax: 10_000, trailingEntriesMax: 0 };
    const group = await Group.started([a], 1, limits);
    const leader = await group.leader();
    const taken: number[] = [];
    leader.observe((seen) => seen.type === 'snapshot-taken' && taken.push(seen.bytes));
    // Until a snapshot is taken: how many bytes of entries.
    const bytesUntilNext = async (padding: number): Promise<number> => {
      group.seat(a).fsm.paddingBytes = padding;
      const before = taken.length;
      for (let entries = 1; ; entries++) {
        await group.settled(leader.apply(bytes(1)));
        await group.clock.pass(20);
        if (taken.length > before) return entries * 25;
      }
    };
    const first = await bytesUntilNext(4_000);
    // The leader's first entries count, too.
    assert(first >= snapshotEveryBytes - 200 && first <= snapshotEveryBytes, `${first} bytes`);
    const second = await bytesUntilNext(50_000);
    assert(second >= 4_000 && second < 4_200, `${second} bytes`);
    const third = await bytesUntilNext(0);
    assert(third >= 10_000 && third < 10_200, `${third} bytes, however large the last one was`);
  });

  it('sends a large snapshot in pieces, and does not give up while some arrive, however many get lost', async () => {
    const group = await Group.started(names, 1, {
      snapshotEveryEntries: 20,
      trailingEntriesMax: 5,
      snapshotPieceBytes: 4,
      snapshotPiecesInFlightMax: 2,
      snapshotPieceRetryTicks: 3,
      snapshotRetryTicks: 7,
    });
    const leader = await group.leader();
    const away = group.running.find((raft) => raft.id !== leader.id)!.id;
    await group.kill(away);
    for (let i = 0; i < 100; i++) await group.settled(leader.apply(bytes(1)));
    await group.clock.until(() => leader.stats().firstIndex > 50);
    const tries = new Map<string, number>();
    group.filter = (letter) => {
      if (letter.type !== 'snapshot-piece' && letter.type !== 'snapshot-piece-accepted') return true;
      const what = `${letter.type} ${letter.type === 'snapshot-piece' ? letter.offset : letter.received}`;
      tries.set(what, (tries.get(what) ?? 0) + 1);
      return tries.get(what) !== 1;
    };
    const seen: Observation[] = [];
    leader.observe((observation) => seen.push(observation));
    await group.start(away);
    await group.converged();
    assert.equal(group.seat(away).fsm.total, 100);
    assert.equal(group.seat(away).fsm.restores, 1);
    assert.equal(seen.filter(({ type }) => type === 'snapshot-sent').length, 1);
    const offsets = [...tries.keys()].filter((what) => what.startsWith('snapshot-piece '));
    assert(offsets.length >= 5, `only ${offsets.length} pieces`);
  });

  it('starts when a crash came between saving an installed snapshot and restarting the log', async () => {
    const group = new Group(['a', 'b', 'c']);
    const seat = group.seat(a);
    const term = asTerm(1);
    const old = { term, index: logIndex(1), type: 'noop', data: new Uint8Array(0) } as const;
    const hardState = { term, votedFor: null, commit: logIndex(1) };
    const save = seat.storage.save({ hardState, entries: [old], mustSync: true });
    await group.settled(save);
    const configuration = { voters: [a, b, c], learners: [] };
    const meta = { index: logIndex(50), term: asTerm(3), configuration };
    const sink = await seat.snapshots.create(meta);
    await sink.write(Buffer.from(JSON.stringify({ total: 7, lastIndex: 50 })));
    await sink.commit();
    await group.settled(group.start(a));
    const stats = group.raft(a).stats();
    assert.deepEqual([stats.firstIndex, stats.lastIndex, stats.appliedIndex, stats.term], [51, 50, 50, 3]);
    assert.equal(seat.fsm.total, 7);
    const saved = await seat.storage.load();
    assert.deepEqual([saved.entries.length, saved.snapshotMeta?.index], [0, 50], 'the log on disk follows');
  });

  it('does not start from a log whose snapshot is missing', async () => {
    const group = new Group(['a', 'b', 'c']);
    const first = group.seat(a);
    const meta = {
      index: logIndex(5),
      term: asTerm(1),
      configuration: { voters: [a, b, memberId('x')], learners: [] },
    };
    await group.settled(first.storage.save({ snapshot: meta, entries: [], mustSync: true }));
    await assert.rejects(group.settled(group.start(a)), code('Corrupt'));
  });

  it('stops in bounded time when its disk hangs', async () => {
    const group = await Group.started(['a']);
    const leader = await group.leader();
    group.seat(a).storage.state = 'stalled';
    const lost = leader.apply(bytes(1));
    lost.catch(() => undefined);
    await group.clock.pass(100);
    await group.settled(leader.stop(), 2_000);
    await assert.rejects(lost, code('Stopped'));
  });

  it('refuses to send a snapshot beyond the limit, and says so', async () => {
    const group = await Group.started(names, 1, {
      snapshotEveryEntries: 20,
      trailingEntriesMax: 5,
      snapshotBytesMax: 3,
    });
    const leader = await group.leader();
    const away = group.running.find((raft) => raft.id !== leader.id)!.id;
    await group.kill(away);
    for (let i = 0; i < 50; i++) await group.settled(leader.apply(bytes(1)));
    const seen: Observation[] = [];
    leader.observe((observation) => seen.push(observation));
    await group.start(away);
    await group.clock.until(() => seen.some((one) => one.type === 'snapshot-refused'));
    assert(!seen.some((one) => one.type === 'snapshot-sent'));
  });

  it('tells observers of leaders, roles and silent peers', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    const seen: Observation[] = [];
    leader.observe((observation) => seen.push(observation));
    const other = group.running.find((raft) => raft.id !== leader.id)!.id;
    await group.kill(other);
    await group.clock.until(() => seen.some((one) => one.type === 'peer-failing' && one.peer === other));
    await group.start(other);
    await group.clock.until(() => seen.some((one) => one.type === 'peer-recovered' && one.peer === other));
    await group.settled(leader.leadershipTransfer());
    assert(seen.some((one) => one.type === 'role-changed' && one.role === 'follower'));
    assert(seen.some((one) => one.type === 'leader-changed' && one.leader !== leader.id));
  });

  it('refuses letters that no member writes, and goes on', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    const from = [a, b, c].find((id) => id !== leader.id)!;
    const good = { type: 'heartbeat', from, to: leader.id, term: 1, commit: 0, commitTerm: 0, readRound: 0 };
    const entry = { term: 1, index: 1, data: Buffer.from('{') };
    const meta = { index: 1, term: 1 };
    const twice = { voters: ['a', 'a'], learners: [] };
    const piece = {
      ...good,
      type: 'snapshot-piece',
      meta: { ...meta, configuration: { voters: [a], learners: [] } },
      offset: 0,
      total: 9,
      checksum: 0,
      data: entry.data,
      dataChecksum: 0,
    };
    const garbage: unknown[] = [
      null,
      'x',
      {},
      { ...good, type: 'toString' },
      { ...good, term: -1 },
      { ...good, term: 1.5 },
      { ...good, to: 'z' },
      { ...good, commit: '1' },
      { ...good, from: 'z' },
      { ...good, type: 'append', prevIndex: 0, prevTerm: 0, entries: [{ term: 1, index: 5 }] },
      { ...good, type: 'append', prevIndex: 0, prevTerm: 0, entries: [null] },
      { ...good, type: 'append', prevIndex: 0, prevTerm: 0, entries: [{ ...entry, type: 'config' }] },
      {
        ...good,
        type: 'snapshot',
        meta: { ...meta, configuration: { voters: [a], learners: [] } },
        data: entry.data,
      },
      { ...piece, meta: { index: 1, term: 1 } },
      { ...piece, meta: { ...meta, configuration: { voters: ['a'] } } },
      { ...piece, meta: { ...meta, configuration: twice } },
      { ...piece, offset: 9 },
      { ...piece, checksum: -1 },
    ];
    for (const letter of garbage) assert.throws(() => leader.receive(from, letter), code('BadMessage'));
    assert.equal(await group.settled(leader.apply(bytes(1))), 1);
  });

  it('refuses letters that say what cannot be, to a member that knows better, and goes on', async () => {
    const group = await Group.started(names);
    const leader = await group.leader();
    const from = [a, b, c].find((id) => id !== leader.id)!;
    const { term, lastIndex } = leader.stats();
    const letter = { from, to: leader.id, term };
    const entries = [2, 1].map((n, i) => ({ term: n, index: i + 1, type: 'noop', data: bytes(0) }));
    const impossible: unknown[] = [
      { ...letter, type: 'heartbeat', commit: 0, commitTerm: 0, readRound: 0 },
      { ...letter, type: 'append', prevIndex: 0, prevTerm: 0, entries: [], commit: 0 },
      { ...letter, type: 'append', prevIndex: 0, prevTerm: 0, entries, commit: 0, term: term + 2 },
      { ...letter, type: 'commit', commit: 1, commitTerm: 1 },
      { ...letter, type: 'append-accepted', index: lastIndex + 1 },
      { ...letter, type: 'heartbeat-reply', readRound: 1_000 },
      { ...letter, type: 'timeout-now', term: term + 2 ** 40 },
      { ...letter, type: 'timeout-now', from: leader.id },
    ];
    for (const one of impossible) {
      const { from: sender } = one as { readonly from: MemberId };
      assert.throws(() => leader.receive(sender, one), code('BadMessage'), JSON.stringify(one));
    }
    assert(leader.isLeader());
    assert.equal(await group.settled(leader.apply(bytes(1))), 1);
  });

  it('drops proposals beyond its limits before they are appended', async () => {
    const group = await Group.started(names, 1, { uncommittedBytesMax: 1_000, proposalBytesMax: 5_000 });
    const leader = await group.leader();
    await group.settled(leader.barrier());
    group.isolate(leader.id);
    leader.apply(new Uint8Array(900)).catch(() => undefined);
    const { lastIndex } = leader.stats();
    await assert.rejects(leader.apply(new Uint8Array(200)), code('Dropped'));
    await assert.rejects(leader.apply(new Uint8Array(5_001)), code('InvalidArgument'));
    assert.equal(leader.stats().lastIndex, lastIndex);
  });

  it('gives the same letters for the same seed', async () => {
    const run = async (seed: number): Promise<string> => {
      const group = await Group.started(names, seed);
      const leader = await group.leader();
      await group.settled(leader.apply(bytes(1)));
      await group.kill(leader.id);
      await group.settled((await group.leader()).barrier());
      return JSON.stringify(group.sent);
    };
    assert.equal(await run(5), await run(5));
    assert.notEqual(await run(5), await run(6));
  });
});
