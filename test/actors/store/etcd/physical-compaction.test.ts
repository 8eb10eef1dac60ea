import { strict as assert } from 'node:assert';
import { revision } from 'raft-consensus';
import { whenFreed } from '../../../../actors/store/etcd/physical-compaction.js';
import { code, type GrpcError } from '../../../../actors/store/etcd/status.js';
import { ManualClock } from '../../client/manual-env.js';

describe('a compaction with `physical`', () => {
  /** What becomes of it, and after how long; the member compacts at 100 ms and is done with it at `freedAtMs`. */
  const play = async (freedAtMs: number) => {
    const clock = new ManualClock();
    const beganMs = clock.monotonicMs();
    const status = async () => {
      const nowMs = clock.monotonicMs() - beganMs;
      return { compactRevision: revision(nowMs < 100 ? 3 : 7), isFreeing: nowMs >= 100 && nowMs < freedAtMs };
    };
    let answer: unknown;
    void whenFreed({ status }, clock, 7, 2_000).then(
      () => (answer = 'done'),
      (error: GrpcError) => (answer = [error.code, error.message]),
    );
    while (answer === undefined && clock.monotonicMs() - beganMs < 10_000) await clock.advance(25);
    return { answer, afterMs: clock.monotonicMs() - beganMs };
  };

  it('is answered once the room is free', async () => {
    assert.deepEqual(await play(500), { answer: 'done', afterMs: 500 });
  });

  it('says that time is up when it takes longer', async () => {
    const answer = [code.unavailable, 'etcdserver: request timed out'];
    assert.deepEqual(await play(5_000), { answer, afterMs: 2_000 });
  });
});
