/** The key tree through the store, with enough keys to split and merge its nodes many times over. */
import { strict as assert } from 'node:assert';
import { KvError, revision } from 'raft-consensus';
import { type SeededRandom, forEachSeed } from '../seeded-random.js';
import { StoreDriver, del, put, range } from './store-driver.js';

function check(random: SeededRandom, kv: StoreDriver, live: ReadonlySet<string>): void {
  const sorted = [...live].sort();
  const all = kv.range(range('\0', '\0', { keysOnly: true }));
  assert.deepEqual(
    all.kvs.map((one) => one.key),
    sorted,
  );
  assert.equal(all.count, sorted.length);
  for (let at = 0; at < 20; at++) {
    const [from, end] = [String(random.below(10_000)), String(random.below(10_000))];
    const expected = sorted.filter((key) => key >= from && key < end);
    const found = kv.range(range(from, end, { limit: 5 }));
    assert.deepEqual([found.count, found.kvs.map((one) => one.key)], [expected.length, expected.slice(0, 5)]);
    assert.equal(found.more, expected.length > 5);
  }
}

/** Writes and deletes; returns the state after each revision that is to be checked later. */
function churn(
  random: SeededRandom,
  kv: StoreDriver,
  live: Set<string>,
  writes: number,
  deleteShare: number,
): void {
  for (let at = 0; at < writes; at++) {
    const key = String(random.below(10_000));
    if (random() >= deleteShare) {
      kv.do(put(key));
      live.add(key);
    } else if (random() < 0.2) {
      const end = String(Number(key) + 20);
      kv.do(del(key, end));
      for (const one of live) if (one >= key && one < end) live.delete(one);
    } else {
      kv.do(del(key));
      live.delete(key);
    }
  }
}

describe('key index', () => {
  const title = 'keeps order and counts through growth, shrinking and compaction';
  it(title, () =>
    forEachSeed(6, title, (random) => {
      const kv = new StoreDriver();
      const live = new Set<string>();
      const remembered: [number, number][] = [];
      for (const [writes, deleteShare] of [
        [2000, 0.1],
        [1500, 0.9],
        [1500, 0.2],
        [2500, 0.95],
        [500, 0],
      ] as const) {
        churn(random, kv, live, writes, deleteShare);
        check(random, kv, live);
        for (const [at, count] of remembered) {
          assert.equal(kv.range(range('\0', '\0', { revision: revision(at), countOnly: true })).count, count);
        }
        remembered.push([kv.store.revision, live.size]);
        const pending = random() < 0.5;
        assert.ok(!(kv.compact(remembered.at(-1)![0]) instanceof KvError));
        remembered.splice(0, remembered.length - 1);
        if (pending) kv.store.compactStep(random.below(500));
        else while (kv.store.compactStep(1000));
        check(random, kv, live);
      }
      kv.do(del('\0', '\0'));
      kv.compactAll(kv.store.revision);
      kv.do(put('last'));
      kv.compactAll(kv.store.revision);
      assert.deepEqual([kv.store.keyCount, kv.store.sizeBytes], [1, 4]);
    }),
  );

  it('counts an old revision alike whether few or many keys changed since', () => {
    const kv = new StoreDriver();
    for (let at = 0; at < 500; at++) kv.do(put(`k${String(at).padStart(3, '0')}`));
    const then = revision(kv.store.revision);
    const count = () => kv.range(range('k1', 'k3', { revision: then, limit: 1 }));
    for (let round = 0; round < 30; round++) {
      for (let at = 0; at < 50; at++) kv.do(round % 2 === 0 ? del(`k${100 + at * 2}`) : put(`k${100 + at}`));
      kv.do(put(`k2-new-${round}`));
      assert.deepEqual([count().count, count().more], [200, true]);
    }
  });
});
