/** News of a commit waits a moment for the next append, which brings it too. */
import { strict as assert } from 'node:assert';
import { SmallGroup } from './small-group.js';

describe('news of a commit', () => {
  async function noticesOf(commitNoticeDelayMs: number): Promise<number> {
    const group = new SmallGroup('notices', { raft: { commitNoticeDelayMs } });
    await group.leader();
    await group.put('first');
    const before = group.sent('RaftCommit');
    for (let i = 0; i < 10; i++) await group.put(`k${i}`);
    // All members have it soon, and no heartbeat is needed for that.
    const begunMs = group.nowMs;
    await group.world.run(() => [...group.parts.values()].every(({ store }) => store.keyCount === 11));
    assert(group.nowMs - begunMs < commitNoticeDelayMs + 50, `${group.nowMs - begunMs} ms`);
    return group.sent('RaftCommit') - before;
  }

  it('goes to each follower at once if it must not wait', async () => {
    assert((await noticesOf(0)) >= 18);
  });

  it('goes along with the next append if there is one, and alone if there is none', async () => {
    const notices = await noticesOf(60);
    assert(notices >= 2 && notices <= 6, `${notices} notices of 10 writes`);
  });
});
