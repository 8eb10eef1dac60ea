import { strict as assert } from 'node:assert';
import { type Compare, KvError, KvStore, type Op, leaseId, revision } from 'raft-consensus';
import { StoreDriver, bytes, del, put, range, textOf, txn } from './store-driver.js';

let kv: StoreDriver;
beforeEach(() => {
  kv = new StoreDriver();
});

describe('key-value store, revisions', () => {
  it('begins at revision 1 and gives the first write revision 2', () => {
    assert.equal(kv.store.revision, 1);
    assert.equal(kv.txn(txn([put('a')])).revision, 2);
  });

  it('takes one revision for a transaction, however many keys it writes', () => {
    kv.txn(txn([put('a'), put('b')]));
    const { kvs } = kv.range(range('a', 'c'));
    assert.deepEqual(
      kvs.map((one) => one.modRevision),
      [2, 2],
    );
    assert.equal(kv.store.revision, 2);
  });

  it('takes none for a read, a failed compare without writes, or a delete of nothing', () => {
    kv.do(range('a'), del('a', 'z'));
    const never: Compare = { key: 'a', target: 'mod', result: '>', operand: 0 };
    assert.equal(kv.txn(txn([put('a')], [never])).result.succeeded, false);
    assert.equal(kv.store.revision, 1);
  });

  it('counts versions from creation, and anew after a delete', () => {
    kv.do(put('a', '1'), put('a', '2'), put('a', '3'));
    assert.deepEqual(kv.range(range('a')).kvs, [
      {
        key: 'a',
        value: bytes('3'),
        createRevision: 2,
        modRevision: 4,
        version: 3,
        lease: 0,
      },
    ]);
    kv.do(del('a'), put('a', '4'));
    const [again] = kv.range(range('a')).kvs;
    assert.deepEqual([again?.version, again?.createRevision, again?.modRevision], [1, 6, 6]);
  });

  it('answers a read of the past with the current revision', () => {
    kv.do(put('a', '1'), put('a', '2'));
    const answer = kv.store.range(range('a', undefined, { revision: revision(2) }));
    assert.ok(!(answer instanceof KvError));
    assert.equal(answer.revision, 3);
    assert.equal(textOf(answer.result.kvs[0]!.value), '1');
  });

  it('refuses to apply an index twice', () => {
    kv.do(put('a'));
    assert.throws(() => kv.store.apply({ type: 'txn', txn: txn([]), atMs: 0 }, 1), /applied already/);
  });
});

describe('key-value store, range', () => {
  beforeEach(() => kv.do(put('a', '1'), put('b', '3'), put('ba', '2'), put('c', '2')));

  it('takes a key, an interval, a prefix, everything from a key on, or everything', () => {
    const keys = (key: string, end?: string) => kv.range(range(key, end)).kvs.map((one) => one.key);
    assert.deepEqual(keys('b'), ['b']);
    assert.deepEqual(keys('a', 'b'), ['a']);
    assert.deepEqual(keys('b', 'c'), ['b', 'ba']);
    assert.deepEqual(keys('ba', '\0'), ['ba', 'c']);
    assert.deepEqual(keys('\0', '\0'), ['a', 'b', 'ba', 'c']);
    assert.deepEqual(keys('c', 'a'), []);
  });

  it('counts all keys whatever the limit, and says whether there are more', () => {
    const limited = kv.range(range('a', 'z', { limit: 1 }));
    assert.deepEqual([limited.kvs.length, limited.count, limited.more], [1, 4, true]);
    const exact = kv.range(range('a', 'z', { limit: 4 }));
    assert.deepEqual([exact.kvs.length, exact.count, exact.more], [4, 4, false]);
    const counted = kv.range(range('a', 'z', { countOnly: true, limit: 1 }));
    assert.deepEqual([counted.kvs, counted.count, counted.more], [[], 4, false]);
  });

  it('leaves values out on request', () => {
    const { kvs } = kv.range(range('a', 'z', { keysOnly: true }));
    assert.ok(kvs.every((one) => one.value.length === 0 && one.modRevision > 0));
    assert.equal(textOf(kv.range(range('a')).kvs[0]!.value), '1');
  });

  it('sorts by each target in both orders before it limits', () => {
    kv.do(put('a', '9'));
    const sorted = (target: 'key' | 'version' | 'create' | 'mod' | 'value', order: 'ascend' | 'descend') =>
      kv.range(range('a', 'z', { sort: { target, order }, limit: 3 }));
    for (const [target, ascending, descending] of [
      ['key', 'a b ba', 'c ba b'],
      ['version', 'b ba c', 'a b ba'],
      ['create', 'a b ba', 'c ba b'],
      ['mod', 'b ba c', 'a c ba'],
      ['value', 'ba c b', 'a b ba'],
    ] as const) {
      const keys = (order: 'ascend' | 'descend') =>
        sorted(target, order)
          .kvs.map((one) => one.key)
          .join(' ');
      assert.equal(keys('ascend'), ascending, target);
      assert.equal(keys('descend'), descending, target);
      assert.deepEqual([sorted(target, 'ascend').more, sorted(target, 'ascend').count], [true, 4]);
    }
  });

  it('filters by revisions; the count stays that of the range', () => {
    const bounds = { minModRevision: revision(3), maxModRevision: revision(4) };
    const filtered = kv.range(range('a', 'z', bounds));
    assert.deepEqual(
      filtered.kvs.map((one) => one.key),
      ['b', 'ba'],
    );
    assert.equal(filtered.count, 4);
    const created = kv.range(range('a', 'z', { minCreateRevision: revision(5) }));
    assert.deepEqual(
      created.kvs.map((one) => one.key),
      ['c'],
    );
  });

  it('reads every old revision as it was', () => {
    kv.do(del('b', 'c'), put('b', 'new'));
    assert.equal(kv.dump(5), 'a=1 b=3 ba=2 c=2');
    assert.equal(kv.dump(6), 'a=1 c=2');
    assert.equal(kv.dump(7), 'a=1 b=new c=2');
    assert.equal(kv.dump(1), '');
    assert.equal(kv.range(range('a', 'z', { revision: revision(5), limit: 1 })).count, 4);
  });

  it('refuses the future, the compacted past and empty keys with the texts of etcd', () => {
    kv.compact(3);
    const message = (at: number) =>
      (kv.store.range(range('a', 'z', { revision: revision(at) })) as Error).message;
    assert.equal(message(6), 'etcdserver: mvcc: required revision is a future revision');
    assert.equal(message(2), 'etcdserver: mvcc: required revision has been compacted');
    assert.equal(kv.dump(3), 'a=1 b=3');
    assert.equal((kv.store.range(range('')) as Error).message, 'etcdserver: key is not provided');
  });
});

describe('key-value store, put and delete', () => {
  it('gives the previous version on request', () => {
    kv.do(put('a', '1'));
    const { results } = kv.txn(
      txn([put('a', '2', { prevKv: true }), put('b', '1', { prevKv: true })]),
    ).result;
    assert.ok(results[0]?.type === 'put' && textOf(results[0].prevKv!.value) === '1');
    assert.deepEqual(results[1], { type: 'put' });
    const deleted = kv.txn(txn([del('a', 'z', { prevKv: true })])).result.results[0];
    assert.ok(deleted?.type === 'delete' && deleted.deleted === 2);
    assert.deepEqual(
      deleted.prevKvs?.map((one) => textOf(one.value)),
      ['2', '1'],
    );
  });

  it('keeps value or lease on request, and refuses both given and kept', () => {
    const lease = kv.grant(7, 60_000);
    kv.do(put('a', '1', { lease }), put('a', '', { ignoreValue: true }));
    assert.deepEqual([kv.dump(), kv.range(range('a')).kvs[0]?.lease], ['a=1', 0]);
    kv.do(put('a', '2', { lease }), put('a', '3', { ignoreLease: true }));
    assert.deepEqual([kv.dump(), kv.range(range('a')).kvs[0]?.lease], ['a=3', 7]);
    assert.equal(kv.refused([put('a', 'x', { ignoreValue: true })]), 'InvalidArgument');
    assert.equal(kv.refused([put('a', 'x', { ignoreLease: true, lease })]), 'InvalidArgument');
    assert.equal(kv.refused([put('absent', '', { ignoreValue: true })]), 'KeyNotFound');
  });

  it('refuses an unknown lease, an empty key', () => {
    assert.equal(kv.refused([put('a', '1', { lease: leaseId(9) })]), 'LeaseNotFound');
    assert.equal(kv.refused([put('', '1')]), 'EmptyKey');
    assert.equal(kv.refused([del('', 'z')]), 'EmptyKey');
  });
});

describe('key-value store, transactions', () => {
  it('compares each target in each way, a missing key as zero', () => {
    kv.do(put('a', 'm'), put('a', 'n'));
    const holds = (compare: Omit<Compare, 'key'> & { key?: string }) =>
      kv.txn(txn([], [{ key: 'a', ...compare }])).result.succeeded;
    for (const [target, value] of [
      ['version', 2],
      ['create', 2],
      ['mod', 3],
      ['lease', 0],
    ] as const) {
      assert.ok(holds({ target, result: '=', operand: value }), target);
      assert.ok(holds({ target, result: '!=', operand: value + 1 }), target);
      assert.ok(holds({ target, result: '<', operand: value + 1 }), target);
      assert.ok(holds({ target, result: '>', operand: value - 1 }), target);
      assert.ok(!holds({ target, result: '>', operand: value }), target);
      assert.ok(holds({ key: 'absent', target, result: '=', operand: 0 }), target);
    }
    assert.ok(holds({ target: 'value', result: '=', operand: bytes('n') }));
    assert.ok(holds({ target: 'value', result: '>', operand: bytes('m') }));
    for (const result of ['=', '!=', '<', '>'] as const) {
      assert.ok(!holds({ key: 'absent', target: 'value', result, operand: bytes('') }));
    }
  });

  it('compares a range: every key in it must hold; an empty one counts as a missing key', () => {
    kv.do(put('p/1'), put('p/2'), put('p/2'));
    const compare = (operand: number): Compare => ({
      key: 'p/',
      rangeEnd: 'p0',
      target: 'version',
      result: '>',
      operand,
    });
    assert.ok(kv.txn(txn([], [compare(0)])).result.succeeded);
    assert.ok(!kv.txn(txn([], [compare(1)])).result.succeeded);
    const none: Compare = { key: 'q', rangeEnd: 'r', target: 'create', result: '=', operand: 0 };
    assert.ok(kv.txn(txn([], [none])).result.succeeded);
  });

  it('refuses a compare whose operand does not fit its target', () => {
    const compare: Compare = { key: 'a', target: 'value', result: '=', operand: 1 };
    const applied = kv.try({ type: 'txn', atMs: 0, txn: txn([], [compare]) });
    assert.ok(applied instanceof KvError && applied.code === 'InvalidArgument');
  });

  it('shows later reads the earlier writes of the same transaction', () => {
    kv.do(put('a', 'old'));
    const { results } = kv.txn(
      txn([range('a', 'z'), put('a', 'new'), put('b', '1'), range('a', 'z'), del('c'), range('a')]),
    ).result;
    const values = (at: number) => {
      const result = results[at];
      return result?.type === 'range' ? result.kvs.map((one) => textOf(one.value)) : [];
    };
    assert.deepEqual([values(0), values(3), values(5)], [['old'], ['new', '1'], ['new']]);
  });

  it('chooses nested branches by the state before the transaction', () => {
    const absent: Compare = { key: 'a', target: 'version', result: '=', operand: 0 };
    const applied = kv.txn(
      txn([put('a', '1'), txn([put('b', 'was absent')], [absent], [put('b', 'was there')])]),
    );
    assert.equal(kv.dump(), 'a=1 b=was absent');
    assert.equal(applied.revision, 2);
    const nested = applied.result.results[1];
    assert.ok(nested?.type === 'txn' && nested.succeeded && nested.results.length === 1);
  });

  it('refuses two writes of one key, also through nesting, and changes nothing', () => {
    const refused: readonly (readonly Op[])[] = [
      [put('a'), put('a')],
      [put('a'), del('a')],
      [del('a', 'c'), put('b')],
      [put('b'), del('a', '\0')],
      [put('a'), txn([put('a')])],
      [txn([put('a')]), txn([put('a')])],
      [txn([txn([put('a')])]), put('a')],
      [txn([put('a')]), txn([del('a')])],
      [txn([del('a')]), txn([put('a')])],
      [txn([], [], [put('a'), put('a')])],
    ];
    for (const ops of refused) assert.equal(kv.refused([put('x'), ...ops]), 'DuplicateKey');
    assert.equal(kv.store.revision, 1);
    assert.equal(kv.dump(), '');
  });

  it('takes the same key in both branches, two deletes, and a read beside a write', () => {
    kv.txn(txn([txn([put('a', '1')], [], [put('a', '2')])], [], [put('a', '3')]));
    kv.txn(txn([del('a', 'c'), del('a', 'b'), range('a', 'c')]));
    kv.txn(txn([del('a', 'c'), put('c')]));
    assert.equal(kv.store.revision, 4);
    assert.equal(kv.store.keyCount, 1);
  });

  it('refuses more than 128 operations or compares', () => {
    const many = (count: number) => Array.from({ length: count }, (_, at) => put(`k${at}`));
    assert.equal(kv.refused(many(129)), 'TooManyOps');
    assert.equal(kv.refused([txn(many(129))]), 'TooManyOps');
    assert.equal(kv.txn(txn(many(128))).revision, 2);
  });

  it('changes nothing when any operation on its path is refused (etcd #18667)', () => {
    kv.do(put('a', '1'), put('a', '2'), put('a', '3'));
    kv.compact(3);
    const old = range('a', undefined, { revision: revision(2) });
    assert.equal(kv.refused([put('b'), old]), 'Compacted');
    assert.equal(kv.refused([put('b'), txn([old])]), 'Compacted');
    assert.equal(kv.refused([put('b'), range('a', undefined, { revision: revision(9) })]), 'FutureRevision');
    assert.equal(kv.refused([del('a'), put('b', '', { lease: leaseId(1) })]), 'LeaseNotFound');
    assert.equal(kv.dump(), 'a=3');
    assert.equal(kv.store.revision, 4);
    kv.txn(txn([txn([put('b')], [], [old])]));
  });

  it('answers a read-only transaction outside the log', () => {
    kv.do(put('a', '1'));
    const answer = kv.store.readTxn(txn([range('a')]));
    assert.ok(!(answer instanceof KvError) && answer.revision === 2 && answer.result.succeeded);
    assert.throws(() => kv.store.readTxn(txn([put('a')])), /goes through the log/);
  });
});

describe('key-value store, compaction', () => {
  it('refuses what is compacted already and what has not happened yet', () => {
    kv.do(put('a'), put('a'), put('a'));
    assert.ok(!(kv.compact(3) instanceof KvError));
    for (const [at, code] of [
      [3, 'Compacted'],
      [2, 'Compacted'],
      [0, 'Compacted'],
      [5, 'FutureRevision'],
    ] as const) {
      const applied = kv.compact(at);
      assert.ok(applied instanceof KvError && applied.code === code);
    }
  });

  it('leaves what is visible at its revision and everything later', () => {
    kv.do(put('a', '1'), put('b', '1'), put('a', '2'), del('b'), put('c', '1'), put('a', '3'));
    const before = [5, 6, 7].map((at) => kv.dump(at));
    kv.compactAll(5);
    assert.deepEqual(
      [5, 6, 7].map((at) => kv.dump(at)),
      before,
    );
  });

  it('frees memory step by step', () => {
    for (let at = 0; at < 100; at++) kv.do(put('a', 'x'.repeat(100)), put(`b${at}`), del(`b${at}`));
    const full = kv.store.sizeBytes;
    kv.compact(kv.store.revision);
    assert.ok(kv.store.compactionPending && kv.store.sizeBytes === full);
    let steps = 0;
    while (kv.store.compactStep(10)) steps++;
    assert.ok(steps >= 29 && !kv.store.compactionPending);
    // The newest `a`, and the tombstone written at the compact revision itself.
    assert.equal(kv.store.sizeBytes, 101 + 3);
  });

  it('waits for readers who came before it, and not for those who came after', async () => {
    for (let at = 0; at < 100; at++) kv.do(put('a', `${at}`), put('b', `${at}`));
    const all = { type: 'range', key: 'a', rangeEnd: 'c' } as const;
    const open = (at: number) => {
      const reading = kv.store.openRange({ ...all, revision: revision(at) });
      assert.ok(!(reading instanceof KvError));
      return reading;
    };
    const early = open(50);
    kv.compact(150);
    assert.equal(kv.store.compactStep(1000), false);
    assert.ok(kv.store.compactionPending, 'somebody reads what it takes');
    const late = open(170);
    early.close();
    early.close();
    const full = kv.store.sizeBytes;
    kv.store.compactStep(1000);
    assert.ok(!kv.store.compactionPending && kv.store.sizeBytes < full);
    kv.compact(190);
    kv.store.compactStep(1000);
    assert.ok(kv.store.compactionPending);
    const text = (await late.read(0)).map((each) => `${each.key}=${Buffer.from(each.value)}`).join(' ');
    assert.equal(text, 'a=84 b=83');
    late.close();
    kv.store.compactStep(1000);
    assert.ok(!kv.store.compactionPending);
  });

  it('never lets the revision fall, even when the last change was a tombstone (etcd #17780)', () => {
    kv.do(put('a'), put('b'), del('a'), del('b'));
    kv.compactAll(5);
    const restored = new KvStore();
    restored.restore(kv.store.snapshot().toBytes());
    assert.equal(restored.revision, 5);
    assert.equal(restored.compactRevision, 5);
    const next = new StoreDriver(restored);
    assert.equal(next.txn(txn([put('c')])).revision, 6);
  });

  it('starts over when the next compaction comes before the last one is done', () => {
    for (let at = 0; at < 20; at++) kv.do(put('a', String(at)), put('b', String(at)));
    kv.compact(10);
    kv.store.compactStep(3);
    kv.compactAll(30);
    assert.equal(kv.dump(30), 'a=14 b=13');
    assert.equal(kv.dump(), 'a=19 b=19');
  });
});
