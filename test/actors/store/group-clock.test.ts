import { strict as assert } from 'node:assert';
import { KvStore, logIndex, type Raft } from 'raft-consensus';
import { GroupClock } from '../../../actors/store/group-clock.js';
import type { Clock } from '../../../transport/index.js';

/** A member's clock, the log that it applies, and what it believes that the group's time is. */
function member() {
  /** Of the entries that are not applied, the first is of that term. */
  const state = { monotonicMs: 0, index: 0, nextTerm: 1 };
  const store = new KvStore();
  const group = new GroupClock(store, { monotonicMs: () => state.monotonicMs } as Clock);
  const log = { lastIndex: 100, term: () => state.nextTerm };
  const leader = (term: number) => ({ core: { term, appliedIndex: 0, log } }) as unknown as Raft<unknown>;
  const hear = (atMs: number) => store.apply({ type: 'clock', atMs }, logIndex(++state.index));
  return { state, group, leader, hear };
}

describe('the clock of the group', () => {
  it('of a follower goes on from what it heard last', () => {
    const { state, group, hear } = member();
    hear(1_000);
    state.monotonicMs = 500;
    assert.equal(group.nowMs(), 1_500);
    hear(1_400);
    assert.equal(group.nowMs(), 1_400);
  });

  // npm run sim -- --seed 40947: the leader's time stood still when it granted a lease, and its follower led next.
  it('of a follower goes back to what a leader says whose time has not moved', () => {
    const { state, group, leader, hear } = member();
    hear(1_000);
    state.monotonicMs = 500;
    hear(1_000);
    state.monotonicMs = 600;
    state.nextTerm = 3;
    group.lead(leader(3));
    assert.equal(group.nowMs(), 1_100);
  });

  it('of a new leader that has applied all goes on from there, too', () => {
    const { state, group, leader, hear } = member();
    hear(1_000);
    state.monotonicMs = 500;
    state.nextTerm = 3;
    group.lead(leader(3));
    assert.equal(group.nowMs(), 1_500);
    // Its own stamps come back later than they were made.
    hear(1_450);
    assert.equal(group.nowMs(), 1_500);
  });

  it('of a new leader is not ahead of what the leader before it said, though that is applied after its election', () => {
    const { state, group, leader, hear } = member();
    hear(1_000);
    state.monotonicMs = 500;
    state.nextTerm = 2;
    group.lead(leader(3));
    // It cannot know yet what the leader of term 2 has made of these 500 ms, and promised.
    assert.equal(group.nowMs(), 1_000);
    hear(1_300);
    state.monotonicMs = 550;
    assert.equal(group.nowMs(), 1_300);
    state.monotonicMs = 600;
    state.nextTerm = 3;
    // What it said while it stood still must not be older than it was.
    assert.equal(group.nowMs(), 1_300);
    state.monotonicMs = 700;
    assert.equal(group.nowMs(), 1_400);
  });
});
