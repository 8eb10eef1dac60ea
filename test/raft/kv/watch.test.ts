import { strict as assert } from 'node:assert';
import { KvStore, WatchHub, type WatchRequest, type Watcher, revision } from 'raft-consensus';
import { StoreDriver, del, drain, eventText, eventsOf, put, txn } from './store-driver.js';

const LIMITS = { queueEventsMax: 4, queueBytesMax: 1000 };

let kv: StoreDriver;
let hub: WatchHub;
let wakes: number;
beforeEach(() => {
  kv = new StoreDriver();
  hub = new WatchHub(kv.store, LIMITS);
  wakes = 0;
});

/** Of everything unless a key is named. */
const watch = (request: Partial<WatchRequest> = {}): Watcher => {
  const range = request.key === undefined ? { key: '\0', rangeEnd: '\0' } : { key: request.key };
  return hub.watch({ ...range, ...request }, () => wakes++);
};
const from = (at: number): { startRevision: ReturnType<typeof revision> } => ({
  startRevision: revision(at),
});

describe('watch', () => {
  it('sees changes from the next one on, and says where to resume', () => {
    kv.do(put('a', '1'));
    const watcher = watch();
    assert.equal(watcher.startRevision, 3);
    assert.deepEqual(drain(watcher), []);
    kv.do(put('a', '2'), del('a'));
    assert.equal(eventsOf(drain(watcher)), '+a=2@3 -a@4');
  });

  it('replays history from its start revision, that one included, then goes on live', () => {
    kv.do(put('a', '1'), put('a', '2'), del('a'), put('b', '1'));
    const watcher = watch(from(3));
    assert.equal(eventsOf(drain(watcher)), '+a=2@3 -a@4 +b=1@5');
    kv.do(put('b', '2'));
    assert.equal(eventsOf(drain(watcher)), '+b=2@6');
  });

  it('tells its consumer once that there is something, until it has been emptied', () => {
    const watcher = watch({ key: 'a', rangeEnd: 'b' });
    drain(watcher);
    kv.do(put('x'), put('a'), put('a'));
    assert.equal(wakes, 1);
    drain(watcher);
    kv.do(put('a'));
    assert.equal(wakes, 2);
  });

  it('is for a key, a range, a prefix or everything from a key on', () => {
    const requests: readonly (readonly [WatchRequest, string])[] = [
      [{ key: 'b' }, 'b'],
      [{ key: 'b', rangeEnd: 'c' }, 'b ba'],
      [{ key: 'ba', rangeEnd: '\0' }, 'ba c'],
      [{ key: '\0', rangeEnd: '\0' }, 'a b ba c'],
      [{ key: 'c', rangeEnd: 'a' }, ''],
    ];
    const live = requests.map(([request]) => watch(request));
    kv.do(put('a'), put('b'), put('ba'), put('c'));
    for (const [at, [request, expected]] of requests.entries()) {
      for (const watcher of [live[at]!, watch({ ...request, ...from(2) })]) {
        const keys = drain(watcher).flatMap((batch) => batch.events.map((event) => event.kv.key));
        assert.equal(keys.join(' '), expected);
      }
    }
  });

  it('gives the previous version with every change but a creation, live and from history', () => {
    const live = watch({ prevKv: true });
    kv.do(put('a', '1'), put('a', '2'), del('a'), put('a', '3'));
    const expected = '+a=1@2 +a=2@3(1) -a@4(2) +a=3@5';
    assert.equal(eventsOf(drain(live)), expected);
    assert.equal(eventsOf(drain(watch({ prevKv: true, ...from(2) }))), expected);
  });

  it('leaves out puts or deletes on request', () => {
    const [noPut, noDelete] = [watch({ noPut: true }), watch({ noDelete: true })];
    kv.do(put('a', '1'), del('a'));
    assert.equal(eventsOf(drain(noPut)), '-a@3');
    assert.equal(eventsOf(drain(noDelete)), '+a=1@2');
    assert.equal(eventsOf(drain(watch({ noPut: true, ...from(1) }))), '-a@3');
  });

  it('has a delete carry only its key and revision', () => {
    const watcher = watch();
    kv.do(put('a', '1'), del('a'));
    const event = drain(watcher)[0]!.events[1]!;
    assert.equal(event.type, 'delete');
    const { value, ...rest } = event.kv;
    assert.equal(value.length, 0);
    assert.deepEqual(rest, { key: 'a', createRevision: 0, modRevision: 3, version: 0, lease: 0 });
  });

  it('brings the context of the command on live events only', () => {
    const watcher = watch();
    kv.txn(txn([put('a')]), 'trace-1');
    assert.equal(drain(watcher)[0]!.events[0]!.context, 'trace-1');
    assert.equal(drain(watch(from(2)))[0]!.events[0]!.context, undefined);
  });

  it('never splits a revision over batches, however small the budget', () => {
    const live = watch();
    kv.txn(txn([put('a'), put('b'), put('c')]));
    kv.do(put('d'));
    for (const watcher of [live, watch(from(2))]) {
      const step = watcher.next({ eventsMax: 1 });
      assert.ok(step.type === 'batch' && step.batch.revision === 2);
      assert.deepEqual(step.batch.events.map(eventText), ['+a=@2', '+b=@2', '+c=@2']);
    }
  });

  it('reads history in bounded pieces, also where nothing matches', () => {
    for (let at = 0; at < 20; at++) kv.do(put('other'));
    kv.do(put('a'));
    const watcher = watch({ key: 'a', ...from(2) });
    const first = watcher.next({ scanMax: 5 });
    assert.deepEqual(first, { type: 'batch', batch: { revision: 6, events: [] } });
    assert.equal(watcher.progress(), null);
    assert.equal(eventsOf(drain(watcher)), '+a=@22');
  });

  it('ends when it is closed', () => {
    const watcher = watch();
    watcher.close();
    kv.do(put('a'));
    assert.deepEqual(watcher.next(), { type: 'closed' });
    assert.equal(hub.size, 0);
  });
});

describe('watch, slow consumers', () => {
  it('together hold no more than a budget; whoever holds much of it reads from history', () => {
    const limits = { queueEventsMax: 1_000, queueBytesMax: 100_000, queueBytesTotalMax: 5_000 };
    const many = new WatchHub(kv.store, limits);
    const slow = Array.from({ length: 20 }, () => many.watch({ key: '\0', rangeEnd: '\0' }, () => undefined));
    const quiet = many.watch({ key: 'quiet' }, () => undefined);
    kv.do(put('quiet', 'x'));
    for (let at = 0; at < 50; at++) {
      kv.do(put(`k${at}`, 'x'.repeat(100)));
      assert.ok(many.queuedBytes <= limits.queueBytesTotalMax + 21 * 103);
    }
    assert.equal(quiet.queuedBytes, 6, 'one that holds little is left alone');
    const expected = ['+quiet', ...Array.from({ length: 50 }, (_, at) => `+k${at}`)].map(
      (text) => `${text}=`,
    );
    for (const watcher of slow) {
      const seen = drain(watcher).flatMap((batch) => batch.events.map(eventText));
      assert.deepEqual(
        seen.map((text) => text.slice(0, text.indexOf('=') + 1)),
        expected,
      );
    }
    assert.equal(eventsOf(drain(quiet)), '+quiet=x@2');
    assert.equal(many.queuedBytes, 0);
    for (const watcher of slow) watcher.close();
    kv.do(put('quiet', 'y'));
    quiet.close();
    assert.equal(many.queuedBytes, 0);
  });

  it('reads from history what it had no room for, without a gap and without holding others back', () => {
    const [slow, fast] = [watch(), watch()];
    const seen: string[] = [];
    for (let at = 0; at < 30; at++) {
      kv.do(put('a', String(at)));
      seen.push(eventsOf(drain(fast)));
    }
    assert.equal(eventsOf(drain(slow)), seen.join(' '));
    assert.equal(seen.length, 30);
  });

  it('holds no more than its limit of bytes', () => {
    const watcher = watch();
    kv.do(put('a', 'x'.repeat(600)), put('b', 'x'.repeat(600)));
    const [first] = drain(watcher);
    assert.equal(first!.events.length, 2);
  });

  it('loses no event when compaction meets a starved watcher: it is told (etcd #17529)', () => {
    const watcher = watch();
    for (let at = 0; at < 10; at++) kv.do(put('a', String(at)));
    kv.compact(5);
    assert.deepEqual(watcher.next(), { type: 'compacted', compactRevision: 5 });
    assert.deepEqual(watcher.next(), { type: 'closed' });
    assert.equal(hub.size, 0);
  });

  it('keeps what is queued over a compaction', () => {
    const watcher = watch({ prevKv: true });
    kv.do(put('a', '1'), put('a', '2'), del('a'));
    kv.compactAll(4);
    assert.equal(eventsOf(drain(watcher)), '+a=1@2 +a=2@3(1) -a@4(2)');
  });
});

describe('watch and compaction', () => {
  it('refuses a start below the compact revision, also a negative one', () => {
    kv.do(put('a'), put('a'), put('a'));
    kv.compact(3);
    assert.deepEqual(watch(from(2)).next(), { type: 'compacted', compactRevision: 3 });
    assert.equal(watch(from(-1)).next().type, 'compacted');
  });

  it('still sees a delete at exactly the compact revision (etcd #18089, #19179)', () => {
    for (const budget of [0, 1, 2, 100]) {
      kv = new StoreDriver();
      hub = new WatchHub(kv.store, LIMITS);
      kv.do(put('a', '1'), put('b', '1'), put('a', '2'), del('a'));
      kv.compact(5);
      kv.store.compactStep(budget);
      assert.equal(eventsOf(drain(watch(from(5)))), '-a@5');
      const restored = new KvStore();
      restored.restore(kv.store.snapshot().toBytes());
      const again = new WatchHub(restored).watch({ key: '\0', rangeEnd: '\0', ...from(5) }, () => undefined);
      assert.equal(eventsOf(drain(again)), '-a@5');
    }
  });

  it('still sees the delete at the compact revision after the next, unfinished compaction', () => {
    kv.do(put('a', '1'), del('a'), put('b', '1'), put('c', '1'), del('c'));
    kv.compactAll(3);
    kv.compact(6);
    kv.store.compactStep(1);
    assert.equal(eventsOf(drain(watch(from(6)))), '-c@6');
    assert.equal(kv.dump(6), 'b=1');
  });

  it('shows the same previous versions before and after the memory was freed', () => {
    const text = () => eventsOf(drain(watch({ prevKv: true, ...from(4) })));
    kv.do(put('a', '1'), put('b', '1'), put('a', '2'), put('b', '2'), del('a'));
    kv.compact(4);
    const before = text();
    while (kv.store.compactStep(1)) assert.equal(text(), before);
    assert.equal(text(), before);
    assert.equal(before, '+a=2@4 +b=2@5(1) -a@6(2)');
  });
});

describe('watch progress', () => {
  it('is never ahead of an event that was not delivered (etcd #15220)', () => {
    const behind = watch(from(1));
    kv.do(put('a'));
    assert.equal(behind.progress(), null);
    const live = watch();
    drain(live);
    kv.do(put('a'));
    assert.equal(live.progress(), null);
    drain(live);
    assert.deepEqual(live.progress(), { revision: 3, events: [] });
  });

  it('comes for a watch that never had an event (etcd #17507)', () => {
    const watcher = watch({ key: 'nothing' });
    kv.do(put('a'));
    assert.deepEqual(watcher.progress(), { revision: 2, events: [] });
  });

  it('comes no earlier than a start revision in the future, and neither do events (etcd #20221)', () => {
    kv.do(put('a', '1'));
    const watcher = watch(from(5));
    assert.equal(watcher.progress(), null);
    kv.do(put('a', '2'), put('a', '3'));
    assert.deepEqual([drain(watcher), watcher.progress(), wakes], [[], null, 0]);
    kv.do(put('a', '4'));
    assert.equal(eventsOf(drain(watcher)), '+a=4@5');
    assert.deepEqual(watcher.progress(), { revision: 5, events: [] });
  });

  it('goes with the last batch up to the revision of the store', () => {
    const watcher = watch({ key: 'a' });
    kv.do(put('a'), put('b'), put('b'));
    assert.equal(drain(watcher).at(-1)?.revision, 4);
  });
});

describe('watch over a restored snapshot', () => {
  const restoreInto = (driver: StoreDriver): void => {
    driver.store.restore(kv.store.snapshot().toBytes());
  };

  it('goes on without a gap and never back in time (etcd #15271)', () => {
    const member = new StoreDriver();
    const memberHub = new WatchHub(member.store);
    const watcher = memberHub.watch({ key: '\0', rangeEnd: '\0' }, () => wakes++);
    for (const driver of [kv, member]) driver.do(put('a', '1'), put('b', '1'));
    assert.equal(eventsOf(drain(watcher)), '+a=1@2 +b=1@3');
    kv.do(del('a'), put('b', '2'), put('a', '2'));
    restoreInto(member);
    assert.equal(wakes, 1);
    assert.equal(eventsOf(drain(watcher)), '-a@4 +b=2@5 +a=2@6');
    assert.deepEqual(watcher.progress(), { revision: 6, events: [] });
  });

  it('keeps a future start revision, without old events or progress (etcd #20221)', () => {
    const member = new StoreDriver();
    const watcher = new WatchHub(member.store).watch({ key: 'a', ...from(5) }, () => undefined);
    kv.do(put('a', '1'), put('a', '2'));
    restoreInto(member);
    assert.deepEqual([drain(watcher), watcher.progress()], [[], null]);
    kv.do(put('a', '3'), put('a', '4'), put('a', '5'));
    restoreInto(member);
    assert.equal(eventsOf(drain(watcher)), '+a=4@5 +a=5@6');
  });

  it('is told when the snapshot no longer has what it misses', () => {
    const member = new StoreDriver();
    const watcher = new WatchHub(member.store).watch({ key: 'a' }, () => undefined);
    drain(watcher);
    kv.do(put('a', '1'), put('a', '2'), put('a', '3'));
    kv.compactAll(4);
    restoreInto(member);
    assert.deepEqual(watcher.next(), { type: 'compacted', compactRevision: 4 });
  });
});

describe('watch index', () => {
  it('finds exactly the watchers whose range holds the key', () => {
    const letters = 'abcdefgh';
    const ranges: WatchRequest[] = [];
    for (const key of letters) {
      ranges.push({ key }, { key, rangeEnd: '\0' });
      for (const rangeEnd of letters) ranges.push({ key, rangeEnd });
    }
    const watchers = ranges.map((request) => watch(request));
    watchers.splice(0, 20).forEach((watcher) => watcher.close());
    for (const key of letters) kv.do(put(key));
    for (const watcher of watchers) {
      const seen = drain(watcher).flatMap((batch) => batch.events.map((event) => event.kv.key));
      const { key, rangeEnd } = watcher.request;
      const expected = [...letters].filter((letter) =>
        rangeEnd === undefined ? letter === key : letter >= key && (rangeEnd === '\0' || letter < rangeEnd),
      );
      assert.deepEqual(seen, expected);
    }
  });
});
