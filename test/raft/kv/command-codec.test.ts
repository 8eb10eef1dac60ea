import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import {
  type Command,
  KV_LIMITS,
  KvError,
  type KvErrorCode,
  KvFsm,
  KvStore,
  decodeCommand,
  encodeCommand,
  leaseId,
  logIndex,
  revision,
  term,
} from 'raft-consensus';
import { forEachSeed } from '../seeded-random.js';
import { StoreDriver, bytes, del, put, range, txn } from './store-driver.js';

const COMMANDS: readonly Command[] = [
  { type: 'txn', atMs: 1, txn: txn([put('a', '1')]) },
  {
    type: 'txn',
    atMs: 1.5,
    context: 'trace ✓',
    txn: txn(
      [
        put('\xff\0', 'x', { lease: leaseId(2 ** 50), prevKv: true, ignoreValue: false, ignoreLease: true }),
        del('a', '\0', { prevKv: true }),
        txn([del('b', undefined, { prevKv: false })], [], []),
      ],
      [
        { key: 'a', target: 'value', result: '<', operand: bytes('z') },
        { key: 'a', rangeEnd: 'b', target: 'lease', result: '!=', operand: -1 },
        { key: 'a', target: 'lease', result: '=', operand: leaseId(2n ** 62n + 1n) },
      ],
      [
        {
          type: 'range',
          key: 'a',
          rangeEnd: 'z',
          revision: revision(9),
          limit: 500,
          keysOnly: true,
          countOnly: false,
          sort: { target: 'mod', order: 'descend' },
          minModRevision: revision(1),
          maxModRevision: revision(2 ** 53 - 1),
          minCreateRevision: revision(3),
          maxCreateRevision: revision(4),
        },
      ],
    ),
  },
  { type: 'compact', atMs: 2, revision: revision(7) },
  { type: 'lease-grant', atMs: 3, id: leaseId(5), ttlMs: 2500 },
  { type: 'lease-grant', atMs: 3, id: leaseId(-(2n ** 63n)), ttlMs: 2500 },
  { type: 'lease-renew', atMs: 4, id: leaseId(5) },
  { type: 'lease-renew', atMs: 4, id: leaseId(2n ** 63n - 1n) },
  { type: 'lease-revoke', atMs: 4, id: leaseId(-5) },
  { type: 'lease-revoke', atMs: 5, id: leaseId(5) },
  { type: 'lease-revoke', atMs: 5, id: leaseId(5), reason: 'expired' },
];

const refuses = (code: KvErrorCode, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof KvError && error.code === code, String(error));
  assert.match(error.message, text);
  return true;
};

describe('command codec', () => {
  it('gives back every kind of command', () => {
    for (const command of COMMANDS) assert.deepEqual(decodeCommand(encodeCommand(command)), command);
  });

  it('writes any id of 64 bits exactly, and none in one byte', () => {
    const any = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.maxSafeInteger().map(BigInt),
    );
    fc.assert(
      fc.property(any, (id) => {
        const command: Command = { type: 'lease-renew', atMs: 4, id: leaseId(id) };
        const back = decodeCommand(encodeCommand(command));
        assert.deepEqual(back, command);
        assert.equal(BigInt(back.type === 'lease-renew' ? back.id : 0), id);
      }),
    );
    const lengthOf = (id: number | bigint) =>
      encodeCommand({ type: 'lease-renew', atMs: 4, id: leaseId(id) }).length;
    assert.deepEqual(
      [127, 128, 2n ** 62n, -1].map((id) => lengthOf(id) - lengthOf(0)),
      [0, 1, 8, 9],
    );
  });

  it('refuses what is too large, and what no command can hold', () => {
    const of = (op: Parameters<typeof txn>[0][number]): Command => ({ type: 'txn', atMs: 0, txn: txn([op]) });
    const large = of({ type: 'put', key: 'a', value: new Uint8Array(KV_LIMITS.commandBytesMax) });
    assert.throws(
      () => encodeCommand(large),
      refuses('RequestTooLarge', /^etcdserver: request is too large$/),
    );
    const invalid: readonly (readonly [Command, RegExp])[] = [
      [of(put('Ω')), /the key "Ω" is not a byte string/],
      [of(range('a', 'ÿĀ')), /not a byte string/],
      [of(put('a', '', { lease: leaseId(2 ** 60) })), /lease 1152921504606847000 is not a 64-bit integer/],
      [of(put('a', '', { lease: leaseId(2n ** 63n) })), /lease 9223372036854775808/],
      [of(range('a', 'b', { limit: 1.5 })), /limit 1.5/],
      [{ type: 'compact', atMs: 0, revision: revision(NaN) }, /revision NaN/],
      [{ type: 'lease-renew', atMs: Infinity, id: leaseId(1) }, /atMs Infinity/],
    ];
    for (const [command, text] of invalid) {
      assert.throws(() => encodeCommand(command), refuses('InvalidArgument', text));
    }
  });

  const title = 'takes any damaged bytes for a command or refuses them, naming the byte';
  it(title, () =>
    forEachSeed(50, title, (random) => {
      const encoded = encodeCommand(random.pick(COMMANDS));
      for (let at = 0; at < 50; at++) {
        const damaged = encoded.slice(0, random() < 0.3 ? random.below(encoded.length) : encoded.length);
        if (damaged.length > 0) damaged[random.below(damaged.length)]! ^= 1 << random.below(8);
        try {
          decodeCommand(damaged);
        } catch (error) {
          refuses('InvalidArgument', /^not a command: byte \d+: /)(error);
        }
      }
    }),
  );

  it('keeps no large buffer alive for a small value', () => {
    const encoded = encodeCommand(COMMANDS[0]!);
    const frame = new Uint8Array(100_000);
    frame.set(encoded, 500);
    const decoded = decodeCommand(frame.subarray(500, 500 + encoded.length));
    assert.deepEqual(decoded, COMMANDS[0]);
    const op = decoded.type === 'txn' ? decoded.txn.success[0] : undefined;
    assert.ok(op?.type === 'put' && op.value.buffer.byteLength < 100);
  });
});

describe('key-value state machine of a Raft group', () => {
  const entry = (index: number, data: Uint8Array, type: 'normal' | 'noop' = 'normal') => ({
    index: logIndex(index),
    term: term(1),
    type,
    data,
  });

  it('gives one result per entry, null for those without a command, an error for what is none', () => {
    const fsm = new KvFsm();
    const results = fsm.apply([
      entry(1, new Uint8Array(0), 'noop'),
      entry(2, encodeCommand(COMMANDS[0]!)),
      entry(3, bytes('nonsense')),
      entry(4, encodeCommand(COMMANDS[0]!)),
    ]);
    assert.equal(results[0], null);
    assert.ok(results[2] instanceof KvError && results[2].code === 'InvalidArgument');
    assert.deepEqual([fsm.store.revision, fsm.store.appliedIndex], [3, 4]);
  });

  it('persists the state as it was captured, whatever is applied meanwhile', async () => {
    const fsm = new KvFsm();
    fsm.apply([entry(1, encodeCommand(COMMANDS[0]!))]);
    const { hash } = fsm.store.hash() as { hash: number };
    const captured = fsm.snapshot();
    fsm.apply([entry(2, encodeCommand({ type: 'txn', atMs: 0, txn: txn([put('a', '2'), put('b')]) }))]);
    const other = new KvFsm();
    await other.restore(slowly(captured.chunks()));
    assert.equal((other.store.hash() as { hash: number }).hash, hash);
    assert.deepEqual([other.store.revision, other.store.appliedIndex], [2, 1]);
  });
});

describe('snapshot of the key-value state', () => {
  const taken = (): Uint8Array => {
    const kv = new StoreDriver();
    kv.grant(3, 5000);
    for (let at = 0; at < 2000; at++) kv.do(put(`k${at % 700}`, 'x'.repeat(100)));
    kv.compact(1500);
    return kv.store.snapshot().toBytes();
  };

  it('comes in chunks that make up the whole', () => {
    const kv = new StoreDriver();
    for (let at = 0; at < 2000; at++) kv.do(put(`k${at}`, 'x'.repeat(100)));
    const chunks = [...kv.store.snapshot().chunks()];
    assert.ok(chunks.length > 2);
    assert.deepEqual(Buffer.concat(chunks), Buffer.from(kv.store.snapshot().toBytes()));
  });

  it('is of one moment, though writes and compaction go on between its chunks', () => {
    const kv = new StoreDriver();
    kv.grant(7, 60_000);
    for (let at = 0; at < 300; at++) kv.do(put(`k${at % 40}`, `v${at}`));
    kv.compact(150);
    const expected = kv.store.snapshot(64).toBytes();
    const parts: Uint8Array[] = [];
    let turn = 0;
    for (const chunk of kv.store.snapshot(64).chunks()) {
      parts.push(chunk);
      turn++;
      kv.do(put(`k${turn % 60}`, `later ${turn}`));
      if (turn % 10 === 0) kv.compact(kv.store.revision - 1);
      assert.equal(kv.store.compactStep(1000), false, 'nothing is freed meanwhile');
    }
    assert.ok(turn > 30);
    assert.deepEqual(new Uint8Array(Buffer.concat(parts)), expected);
    assert.ok(kv.store.compactionPending);
    while (kv.store.compactStep(1000));
    assert.ok(!kv.store.compactionPending);
  });

  it('lets compaction go on when it is given up', () => {
    const kv = new StoreDriver();
    for (let at = 0; at < 10; at++) kv.do(put('k', `v${at}`));
    const captured = kv.store.snapshot();
    kv.compact(5);
    assert.equal(kv.store.compactStep(100), false);
    assert.ok(kv.store.compactionPending);
    captured.release();
    captured.release();
    kv.store.compactStep(100);
    assert.ok(!kv.store.compactionPending);
  });

  it('is refused when a byte is wrong or missing, and the state stays as it was', () => {
    const bytesTaken = taken();
    const kv = new StoreDriver();
    kv.do(put('a', '1'));
    for (const offset of [0, 4, 9, 100, 70_000, bytesTaken.length - 1]) {
      const damaged = bytesTaken.slice();
      damaged[offset]! ^= 4;
      assert.throws(() => kv.store.restore(damaged), refuses('InvalidArgument', /the snapshot is damaged/));
    }
    const short = bytesTaken.subarray(0, bytesTaken.length - 5000);
    assert.throws(() => kv.store.restore(short), refuses('InvalidArgument', /the snapshot is damaged/));
    assert.equal(kv.dump(), 'a=1');
  });

  it('never takes the state back', () => {
    const kv = new StoreDriver();
    const old = kv.store.snapshot().toBytes();
    kv.do(put('a'));
    assert.throws(() => kv.store.restore(old), /never takes the state back/);
    new KvStore().restore(old);
  });
});

async function* slowly(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield chunk;
}
