import { strict as assert } from 'node:assert';
import { RaftError, type Revision } from 'raft-consensus';
import { limitsOf, type StoreSettings, storeLimits } from '../../../actors/store/index.js';
import { put, SmallGroup } from './small-group.js';

describe('settings of a member', () => {
  const tuneAll = (group: SmallGroup, settings: StoreSettings) =>
    [...group.parts.values()].map(({ tune }) => tune(settings));

  it('change while it runs, and are told', async () => {
    const group = new SmallGroup('tuned');
    await group.leader();
    const [before] = tuneAll(group, {});
    assert.deepEqual(before, {
      heartbeatIntervalMs: 200,
      electionTimeoutMs: 800,
      snapshotCount: 10_000,
      quotaBytes: storeLimits.quotaBytes,
      retentionMs: storeLimits.compactionRetentionMs,
      retentionRevisions: 0,
    });
    const changes = { electionTimeoutMs: 1_500, snapshotCount: 20 };
    for (const now of tuneAll(group, changes)) assert.deepEqual(now, { ...before, ...changes });
    for (let i = 0; i < 30; i++) await group.put(`k${i}`, 'x'.repeat(2_000_000 / 30));
    await group.world.run(() =>
      [...group.parts.values()].every(({ raft }) => raft.stats().snapshotIndex > 0),
    );
  });

  it('change nothing when one of them cannot be', async () => {
    const group = new SmallGroup('refused', { members: ['m1'] });
    await group.leader();
    const { tune } = group.parts.get('m1')!;
    const before = tune({});
    for (const [wrong, why] of [
      [{ electionTimeoutMs: 150 }, /electionTimeoutMs must be a multiple of 100, not 150/],
      [
        { electionTimeoutMs: 200 },
        /the heartbeat interval \(200 ms\) must be below the election timeout \(200 ms\)/,
      ],
      [{ heartbeatIntervalMs: 0 }, /heartbeatIntervalMs must be a whole number, 100 or more/],
      [{ quotaBytes: -1 }, /quotaBytes must be a whole number, 1 or more, not -1/],
      [{ retentionMs: 0.5 }, /retentionMs must be a whole number/],
      [{ snapshotCount: 'many' }, /snapshotCount must be a whole number/],
      [{ other: 1 }, /there is no setting other/],
    ] as const) {
      assert.throws(
        () => tune({ quotaBytes: 7, ...(wrong as object) }),
        (error: unknown) =>
          error instanceof RaftError && error.code === 'InvalidArgument' && why.test(error.message),
        JSON.stringify(wrong),
      );
    }
    assert.deepEqual(tune({}), before);
  });

  it('raise the alarm by another quota at once, and give room again', async () => {
    const group = new SmallGroup('quota tuned', { members: ['m1'] });
    await group.leader();
    const { tune } = group.parts.get('m1')!;
    await group.put('a', 'x'.repeat(5_000));
    tune({ quotaBytes: 5_000 });
    assert.equal(await group.refusal(group.client.txn(put('b', 'y'))), 'NoSpace');
    tune({ quotaBytes: 50_000 });
    for (const alarm of await group.do(group.client.alarms()))
      await group.do(group.client.alarmDisarm(alarm));
    await group.put('b', 'y');
    assert.equal((await group.do(group.client.status())).quotaBytes, 50_000);
  });

  it('keep so many revisions of history, so much time of it, or all', async () => {
    const retained = async (settings: StoreSettings, minutes: number): Promise<Revision> => {
      const { store } = limitsOf(settings);
      const group = new SmallGroup(`history ${JSON.stringify(settings)}`, { members: ['m1'], store });
      await group.leader();
      for (let i = 0; i < 30; i++) await group.put('k', `${i}`);
      await group.wait(minutes * 60_000);
      return (await group.do(group.client.status())).compactRevision;
    };
    assert.equal(await retained({ retentionMs: 0, retentionRevisions: 10 }, 4), 0);
    assert.equal(await retained({ retentionMs: 0, retentionRevisions: 10 }, 6), 31 - 10);
    assert.equal(await retained({ retentionMs: 60_000, retentionRevisions: 0 }, 3), 31);
    assert.equal(await retained({ retentionMs: 600_000, retentionRevisions: 0 }, 8), 0);
    assert.equal(await retained({ retentionMs: 0, retentionRevisions: 0 }, 30), 0);
  });
});
