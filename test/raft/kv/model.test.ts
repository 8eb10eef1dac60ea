/**
 * The store against `NaiveStore` under random programs; fast-check shrinks what differs and prints the
 * seed.
 */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import {
  type Compare,
  KvError,
  KvStore,
  type Op,
  type RangeOp,
  type TxnOp,
  decodeCommand,
  encodeCommand,
  type LeaseId,
  leaseId,
  revision,
} from 'raft-consensus';
import { NaiveStore, inRange } from './naive-store.js';
import { bytes } from './store-driver.js';

/** The wide ones are the same as numbers. */
const LEASES = [leaseId(42), leaseId(2n ** 62n), leaseId(2n ** 62n + 1n)];
const key = fc.constantFrom('a', 'ab', 'b', 'c', 'ca', 'd', 'e', '\xff');
const rangeEnd = fc.option(fc.constantFrom('\0', 'b', 'c', 'd', 'f'), { nil: undefined });
const value = fc.constantFrom('', '1', '2', '3').map(bytes);
const lease = fc.constantFrom(...LEASES);
const smallRevision = fc.nat({ max: 12 }).map(revision);

const rangeOp: fc.Arbitrary<RangeOp> = fc
  .record(
    {
      type: fc.constant('range' as const),
      key,
      rangeEnd,
      revision: smallRevision,
      limit: fc.nat({ max: 4 }),
      keysOnly: fc.boolean(),
      countOnly: fc.boolean(),
      sort: fc.record({
        target: fc.constantFrom('key', 'version', 'create', 'mod', 'value'),
        order: fc.constantFrom('ascend', 'descend'),
      }),
      minModRevision: smallRevision,
      maxModRevision: smallRevision,
      minCreateRevision: smallRevision,
      maxCreateRevision: smallRevision,
    },
    { requiredKeys: ['type', 'key'] },
  )
  .map(dropUndefined) as fc.Arbitrary<RangeOp>;

const newestRange = rangeOp.map((op): RangeOp => ({ ...op, revision: revision(0) }));

const writeOp: fc.Arbitrary<Op> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant('put' as const), key, value }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('put' as const), key, value, lease }),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ type: fc.constant('delete' as const), key, rangeEnd })
      .map((op) => dropUndefined(op) as Op),
  },
);

const compare: fc.Arbitrary<Compare> = fc
  .record({
    key,
    rangeEnd,
    target: fc.constantFrom('version', 'create', 'mod', 'value', 'lease'),
    result: fc.constantFrom('=', '!=', '<', '>'),
    number: fc.nat({ max: 6 }),
    value,
    lease,
  })
  .map(({ number, value: bytesOf, lease: id, ...rest }) => {
    const { target } = rest;
    const chosen = target === 'value' ? bytesOf : target === 'lease' && number > 0 ? id : number;
    return dropUndefined({ ...rest, operand: chosen }) as Compare;
  });

const { txn } = fc.letrec<{ txn: TxnOp; op: Op }>((tie) => ({
  op: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 4, arbitrary: writeOp },
    { weight: 2, arbitrary: newestRange },
    { weight: 1, arbitrary: tie('txn') },
  ),
  txn: fc.record({
    type: fc.constant('txn' as const),
    compare: fc.array(compare, { maxLength: 2 }),
    success: fc.array(tie('op'), { maxLength: 4 }),
    failure: fc.array(tie('op'), { maxLength: 2 }),
  }),
}));

type Step =
  | { readonly type: 'txn'; readonly txn: TxnOp }
  | { readonly type: 'range'; readonly op: RangeOp }
  | { readonly type: 'compact'; readonly back: number }
  | { readonly type: 'compactStep'; readonly records: number }
  | { readonly type: 'snapshot' }
  | { readonly type: 'revoke'; readonly id: LeaseId };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant('txn' as const), txn }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('range' as const), op: rangeOp }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('compact' as const), back: fc.nat({ max: 4 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('compactStep' as const), records: fc.nat({ max: 5 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'snapshot' } as const) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('revoke' as const), id: lease }) },
);

function dropUndefined<T extends object>(record: T): T {
  return Object.fromEntries(Object.entries(record).filter(([, field]) => field !== undefined)) as T;
}

class Comparison {
  store = new KvStore();
  readonly naive = new NaiveStore();
  #index = 0;

  constructor() {
    for (const id of LEASES) this.#apply({ type: 'lease-grant', id, ttlMs: 1000, atMs: 0 });
  }

  run(one: Step): void {
    switch (one.type) {
      case 'txn':
        this.#txn(one.txn);
        break;
      case 'range':
        this.#range(one.op);
        break;
      case 'compact': {
        const at = Math.max(0, this.naive.revision - one.back);
        const applied = this.#apply({ type: 'compact', revision: revision(at), atMs: 0 });
        if (at > this.naive.compactRevision) this.naive.compactRevision = at;
        else if (this.naive.compactRevision === 0) assert.ok(!(applied instanceof KvError));
        else assert.ok(applied instanceof KvError && applied.code === 'Compacted');
        break;
      }
      case 'compactStep':
        this.store.compactStep(one.records);
        break;
      case 'snapshot':
        this.#snapshot();
        break;
      case 'revoke':
        this.#revoke(one.id);
        break;
      default:
        one satisfies never;
    }
    assert.equal(this.store.revision, this.naive.revision);
    assert.equal(this.store.keyCount, this.naive.states.at(-1)!.size);
  }

  /** Every revision that can still be read, whole. */
  checkAll(): void {
    for (let at = Math.max(1, this.naive.compactRevision); at <= this.naive.revision; at++) {
      this.#range({ type: 'range', key: '\0', rangeEnd: '\0', revision: revision(at) });
    }
  }

  #txn(txnOp: TxnOp): void {
    const applied = this.#apply({ type: 'txn', txn: txnOp, atMs: 0 });
    if (writesTwice(txnOp)) {
      assert.ok(applied instanceof KvError && applied.code === 'DuplicateKey');
      return;
    }
    assert.ok(!(applied instanceof KvError) && applied.result.type === 'txn', String(applied));
    const ranges: unknown[] = [];
    collectRanges(applied.result, ranges);
    assert.deepEqual(
      ranges,
      this.naive.txn(txnOp).map((one) => ({ type: 'range', ...one })),
    );
  }

  #range(op: RangeOp): void {
    const expected = this.naive.range(op);
    const answer = this.store.range(op);
    if (expected === undefined) assert.ok(answer instanceof KvError);
    else {
      assert.ok(!(answer instanceof KvError), String(answer));
      assert.deepEqual(answer.result, { type: 'range', ...expected });
    }
  }

  /** Two stores that agree write the same snapshot, however far their compaction has come. */
  #snapshot(): void {
    const taken = this.store.snapshot().toBytes();
    const restored = new KvStore();
    restored.restore(taken);
    assert.deepEqual(restored.snapshot().toBytes(), taken);
    assert.deepEqual(restored.hash(), this.store.hash());
    while (this.store.compactStep(1));
    assert.deepEqual(this.store.snapshot().toBytes(), taken);
    assert.equal(restored.sizeBytes, this.store.sizeBytes, 'compaction left memory behind');
    assert.equal(restored.footprintBytes, this.store.footprintBytes, 'versions are counted wrongly');
    assert.equal(restored.digest, this.store.digest);
    this.store = restored;
  }

  #revoke(id: LeaseId): void {
    this.#apply({ type: 'lease-revoke', id, atMs: 0 });
    const held = [...this.naive.states.at(-1)!.values()].filter((kv) => kv.lease === id);
    this.naive.txn({
      type: 'txn',
      compare: [],
      success: held.map((kv) => ({ type: 'delete', key: kv.key })),
      failure: [],
    });
    this.#apply({ type: 'lease-grant', id, ttlMs: 1000, atMs: 0 });
  }

  /** Through its bytes, so that the codec is compared too. */
  #apply(command: Parameters<KvStore['apply']>[0]): ReturnType<KvStore['apply']> {
    return this.store.apply(decodeCommand(encodeCommand(command)), ++this.#index);
  }
}

function collectRanges(result: { readonly results?: readonly unknown[] }, into: unknown[]): void {
  for (const one of result.results ?? []) {
    const typed = one as { type: string; results?: readonly unknown[] };
    if (typed.type === 'range') into.push(typed);
    if (typed.type === 'txn') collectRanges(typed, into);
  }
}

/** Whether some path through the transaction puts a key that the same path puts or deletes elsewhere. */
function writesTwice(txnOp: TxnOp): boolean {
  return [txnOp.success, txnOp.failure].some((ops) => {
    const each = ops.map((op) => writesOf(op));
    const clash = (a: Op, b: Op): boolean =>
      a.type === 'put' && b.type !== 'range' && b.type !== 'txn' && inRange(b, a.key);
    const pairs = each.flatMap((a, at) => each.slice(at + 1).map((b) => [a, b] as const));
    return (
      ops.some((op) => op.type === 'txn' && writesTwice(op)) ||
      pairs.some(([a, b]) => a.some((x) => b.some((y) => clash(x, y) || clash(y, x))))
    );
  });
}

function writesOf(op: Op): Op[] {
  if (op.type === 'txn') return [...op.success, ...op.failure].flatMap(writesOf);
  return op.type === 'range' ? [] : [op];
}

describe('key-value store against a naive one', () => {
  it('answers every random program alike', () => {
    const seed = Number(process.env['KABUKI_SEED'] ?? 1);
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
        const comparison = new Comparison();
        for (const one of steps) comparison.run(one);
        comparison.checkAll();
      }),
      { seed, numRuns: 600 },
    );
  });
});
