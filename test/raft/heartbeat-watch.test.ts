import { strict as assert } from 'node:assert';
import { HeartbeatWatch, memberId, term } from 'raft-consensus';

const [a, b] = [memberId('a'), memberId('b')];

describe('the watch over heartbeats', () => {
  it('counts what a leader sends to a peer more than two intervals after the last', () => {
    const watch = new HeartbeatWatch(200, 800);
    watch.sent(a, 0);
    watch.sent(b, 0);
    watch.sent(a, 400);
    assert.equal(watch.stats.lateSends, 0);
    watch.sent(b, 401);
    assert.equal(watch.stats.lateSends, 1);
    // A new leadership owes nothing of the one before.
    watch.reset();
    watch.sent(a, 9_000);
    assert.equal(watch.stats.lateSends, 1);
  });

  it('measures how long a peer took to answer, once for each heartbeat, until it is a member no more', () => {
    const watch = new HeartbeatWatch(200, 800);
    watch.answered(a, 0);
    watch.sent(a, 100);
    watch.sent(b, 100);
    watch.answered(a, 103);
    watch.answered(a, 150);
    assert.deepEqual(Object.keys(watch.stats.roundTrips), ['a']);
    const { count, sumMs, boundsMs, counts } = watch.stats.roundTrips['a']!;
    assert.deepEqual([count, sumMs, boundsMs.length], [1, 3, 16]);
    assert.deepEqual(boundsMs.filter((_, i) => counts[i] === 0).at(-1), 1.6);
    // What a peer says to another leadership answers no heartbeat of this one.
    watch.reset();
    watch.answered(b, 200);
    watch.forget(new Set([b]));
    assert.deepEqual(watch.stats.roundTrips, {});
  });

  it('measures silences between two words of one leader, in eighths of the election timeout', () => {
    const watch = new HeartbeatWatch(200, 800);
    const counts = () => watch.stats.silences.counts;
    assert.deepEqual(watch.stats.silences.boundsMs, [100, 200, 300, 400, 500, 600, 700, 800, 1600, 3200]);
    watch.heard(a, term(1), 0);
    watch.heard(a, term(1), 200);
    assert.deepEqual(counts(), [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    // Another leader, or the same one anew: what lay between is an election's doing.
    watch.heard(b, term(2), 5_000);
    watch.heard(b, term(3), 10_000);
    assert.equal(watch.stats.silences.count, 1);
    watch.heard(b, term(3), 10_801);
    assert.deepEqual(counts(), [0, 1, 1, 1, 1, 1, 1, 1, 2, 2]);
    assert.equal(watch.stats.silences.sumMs, 1_001);
  });
});
