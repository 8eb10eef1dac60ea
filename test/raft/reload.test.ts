import { strict as assert } from 'node:assert';
import { defaultRaftLimits, memberId, RaftError } from 'raft-consensus';
import { bytes, Group } from './group.js';

const names = ['a', 'b', 'c'];

describe('limits that are reloaded', () => {
  it('count from then on: a snapshot that is due by them is taken, and the log behind it let go', async () => {
    const group = await Group.started(['a']);
    const leader = await group.leader();
    for (let i = 0; i < 40; i++) await group.settled(leader.apply(bytes(1)));
    assert.equal(leader.stats().snapshotIndex, 0);
    leader.reload({ snapshotEveryEntries: 20, snapshotEveryBytes: 1, trailingEntriesMax: 3 });
    await group.clock.until(() => leader.stats().snapshotIndex > 0, 1_000);
    const { snapshotIndex, firstIndex } = leader.stats();
    assert.equal(firstIndex, snapshotIndex - 2);
    assert.equal(leader.limits().trailingEntriesMax, 3);
    assert.equal(leader.limits().snapshotAtBytesMax, defaultRaftLimits.snapshotAtBytesMax);
  });

  it('make elections slower or faster, also for those who have drawn their patience already', async () => {
    for (const electionTicks of [4, 80]) {
      const group = await Group.started(names, 3);
      const leader = await group.leader();
      await group.clock.pass(2_000);
      for (const raft of group.running) raft.reload({ electionTicks, heartbeatTicks: 1 });
      await group.clock.pass(1_000);
      const fromMs = group.clock.monotonicMs();
      await group.kill(leader.id);
      await group.leader(30_000);
      const tookMs = group.clock.monotonicMs() - fromMs;
      const { tickMs } = defaultRaftLimits;
      if (electionTicks === 4) assert.ok(tookMs < 8 * tickMs + 200, `${tookMs} ms`);
      else assert.ok(tookMs >= 79 * tickMs, `${tookMs} ms`);
    }
  });

  it('hold for a leader in office: what is uncommitted, how long its disk and its quorum may be silent', async () => {
    const group = await Group.started(names, 5);
    const leader = await group.leader();
    await group.settled(leader.barrier());
    leader.reload({ uncommittedBytesMax: 1_000, electionTicks: 20 });
    group.isolate(leader.id);
    leader.apply(new Uint8Array(900)).catch(() => undefined);
    await assert.rejects(
      leader.apply(new Uint8Array(200)),
      (error: unknown) => error instanceof RaftError && error.code === 'Dropped',
    );
    await group.clock.pass(1_500);
    assert.equal(leader.isLeader(), true);
    await group.clock.until(() => !leader.isLeader(), 3_500);
  });

  it('are refused as a whole when one cannot be, or not with the others', async () => {
    const group = await Group.started(['a']);
    const leader = await group.leader();
    const before = leader.limits();
    const wrong: readonly [Record<string, unknown>, RegExp][] = [
      [
        { trailingEntriesMax: 7, electionTicks: 2 },
        /heartbeatTicks \(2\) must be less than electionTicks \(2\)/,
      ],
      [
        { trailingEntriesMax: 7, snapshotEveryEntries: 0 },
        /snapshotEveryEntries must be a whole number, 1 or more/,
      ],
      [{ inflightBytesMax: 1.5 }, /inflightBytesMax must be a whole number, 1 or more, not 1\.5/],
      [{ applyBytesMax: '1' }, /applyBytesMax must be a whole number/],
      [
        { snapshotEveryBytes: 2 ** 40 },
        /snapshotEveryBytes \(1099511627776\) must not be more than snapshotAtBytesMax/,
      ],
      [{ tickMs: 10 }, /tickMs is no limit that can be changed while a member runs/],
      [{ nonsense: 1 }, /nonsense is no limit/],
    ];
    for (const [changes, text] of wrong) {
      assert.throws(
        () => leader.reload(changes),
        (error: unknown) =>
          error instanceof RaftError && error.code === 'InvalidArgument' && text.test(error.message),
        JSON.stringify(changes),
      );
    }
    assert.deepEqual(leader.limits(), before);
    await group.settled(leader.stop());
    assert.throws(() => leader.reload({ trailingEntriesMax: 1 }), /the member a has stopped/);
    assert.equal(leader.id, memberId('a'));
  });
});
