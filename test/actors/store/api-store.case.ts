/**
 * What an apiserver relies on in a store, as a suite that every driver passes: the built-in store, and the client of etcd against
 * our own front and against a real etcd.
 */
import { strict as assert } from 'node:assert';
import {
  type LeaseId,
  leaseId,
  KvError,
  type KvErrorCode,
  type Op,
  type RangeResult,
  type Revision,
  revision,
  type TxnOp,
  type WatchBatch,
  type WatchEvent,
  type WatchRequest,
} from 'raft-consensus';
import { type ApiStore, StoreError } from '../../../actors/store/index.js';

/** A store, and how a test waits in the time that it lives in. */
export interface StorePlace {
  readonly store: ApiStore;
  /** As an operator does. */
  compact(at: Revision): Promise<unknown>;
  do<T>(request: Promise<T>): Promise<T>;
  /** Fails after a bounded time. */
  until(what: string, holds: () => boolean): Promise<void>;
  wait(ms: number): Promise<void>;
}

/** `place` is asked before each test; one place may serve many tests, each has keys of its own. */
export function apiStoreCases(place: () => StorePlace): void {
  let count = 0;
  let root = '';
  let at: StorePlace;
  beforeEach(() => {
    at = place();
    count += 1;
    root = `/case-${count}/`;
  });

  const end = () => root.replace(/\/$/, '0');
  const txn = (op: Partial<TxnOp>) =>
    at.do(at.store.txn({ type: 'txn', compare: [], success: [], failure: [], ...op }));
  const put = (name: string, value = '', lease?: LeaseId): Op => {
    const op = { type: 'put', key: root + name, value: Buffer.from(value) } as const;
    return lease === undefined ? op : { ...op, lease };
  };
  const doPut = async (name: string, value = '') => (await txn({ success: [put(name, value)] })).revision;
  const read = async (name: string, old?: Revision) => {
    const op = { type: 'range', key: root + name, ...(old !== undefined && { revision: old }) } as const;
    return (await at.do(at.store.range(op))).result.kvs[0];
  };
  const refusal = async (request: Promise<unknown>): Promise<KvErrorCode> => {
    const error = await at.do(
      request.then(
        () => assert.fail('it was not refused'),
        (e: unknown) => e,
      ),
    );
    assert(error instanceof StoreError && error.code === 'Refused' && error.definite, String(error));
    assert(error.cause instanceof KvError, String(error));
    return error.cause.code;
  };
  const watch = (request: Partial<WatchRequest> = {}) => {
    const seen = {
      batches: [] as WatchBatch[],
      events: [] as WatchEvent[],
      ended: undefined as { type: string; compactRevision?: number } | undefined,
      revision: 0,
      names: () => seen.events.map(({ kv }) => kv.key.slice(root.length)),
      handle: undefined as unknown as ReturnType<ApiStore['watch']>,
    };
    seen.handle = at.store.watch(
      { key: root, rangeEnd: end(), ...request },
      {
        onBatch: (batch) => {
          assert(batch.revision >= seen.revision, 'time ran backwards');
          seen.revision = batch.revision;
          seen.batches.push(batch);
          seen.events.push(...batch.events);
        },
        onEnd: (reason) => (seen.ended = reason),
      },
    );
    return seen;
  };

  describe('reads and writes', () => {
    it('a put is read back with its revisions, and the answer says the revision of the write', async () => {
      const first = await doPut('a', 'one');
      const second = await doPut('a', 'two');
      assert.equal(second, first + 1);
      const kv = await read('a');
      assert.deepEqual(
        [kv?.key, text(kv?.value), kv?.createRevision, kv?.modRevision, kv?.version, kv?.lease],
        [`${root}a`, 'two', first, second, 2, 0],
      );
      assert.equal(text((await read('a', first))?.value), 'one');
      assert.equal(await read('b'), undefined);
    });

    it('keys and values are bytes', async () => {
      const name = '\u0001\u00ff\u0080é';
      const value = Buffer.from([0, 255, 128, 10]);
      await txn({ success: [{ type: 'put', key: root + name, value }] });
      const kv = await read(name);
      assert.equal(kv?.key, root + name);
      assert.deepEqual(Buffer.from(kv?.value ?? []), value);
    });

    it('a key is created once: who comes second is given what stands there', async () => {
      const create = (value: string) =>
        txn({
          compare: [{ key: `${root}a`, target: 'mod', result: '=', operand: 0 }],
          success: [put('a', value)],
          failure: [{ type: 'range', key: `${root}a` }],
        });
      const first = await create('mine');
      assert.equal(first.result.succeeded, true);
      const second = await create('yours');
      assert.equal(second.result.succeeded, false);
      assert.equal(text((second.result.results[0] as RangeResult).kvs[0]?.value), 'mine');
      assert.equal(second.revision, first.revision, 'nothing was written');
    });

    it('a write that compares the revision loses against one that came before, also against a delete', async () => {
      const old = await doPut('a', 'old');
      await doPut('a', 'new');
      const update = () =>
        txn({
          compare: [{ key: `${root}a`, target: 'mod', result: '=', operand: old }],
          success: [put('a', 'late')],
          failure: [{ type: 'range', key: `${root}a` }],
        });
      const lost = await update();
      assert.equal(text((lost.result.results[0] as RangeResult).kvs[0]?.value), 'new');
      await txn({ success: [{ type: 'delete', key: `${root}a` }] });
      const gone = await update();
      assert.equal(gone.result.succeeded, false);
      assert.deepEqual((gone.result.results[0] as RangeResult).kvs, []);
    });

    it('a fence is a value that must stand: another value and no value both refuse', async () => {
      const fenced = async (holder: string) =>
        (
          await txn({
            compare: [{ key: `${root}fence`, target: 'value', result: '=', operand: Buffer.from(holder) }],
            success: [put('object', holder)],
          })
        ).result.succeeded;
      assert.equal(await fenced('me/1'), false);
      await doPut('fence', 'me/1');
      assert.equal(await fenced('me/1'), true);
      await doPut('fence', 'you/2');
      assert.equal(await fenced('me/1'), false);
    });

    it('reservations stand or fall with the object, in one revision', async () => {
      const reserve = (name: string, port: string) =>
        txn({
          compare: [
            { key: root + name, target: 'mod', result: '=', operand: 0 },
            { key: root + port, target: 'create', result: '=', operand: 0 },
          ],
          success: [put(name), put(port, name)],
          failure: [
            { type: 'range', key: root + name },
            { type: 'range', key: root + port, keysOnly: true },
          ],
        });
      const done = await reserve('service-1', 'port-80');
      assert.equal((await read('port-80'))?.modRevision, done.revision);
      assert.equal((await read('service-1'))?.modRevision, done.revision);
      const refused = await reserve('service-2', 'port-80');
      assert.deepEqual(
        refused.result.results.map((each) =>
          (each as RangeResult).kvs.map(({ key, value }) => [key, value.length]),
        ),
        [[], [[`${root}port-80`, 0]]],
      );
      assert.equal(await read('service-2'), undefined);
    });

    it('a delete says how many went, and many writes at once all have their say', async () => {
      const writes = Array.from({ length: 100 }, (_, i) =>
        at.store.txn({ type: 'txn', compare: [], success: [put(`k${i}`)], failure: [] }),
      );
      const done = await at.do(Promise.all(writes));
      assert.equal(new Set(done.map((each) => each.revision)).size, 100);
      const gone = await txn({ success: [{ type: 'delete', key: root, rangeEnd: end() }] });
      assert.deepEqual(gone.result.results, [{ type: 'delete', deleted: 100 }]);
    });

    it('a transaction in a transaction, and one that only reads', async () => {
      await doPut('a', '1');
      const inner: TxnOp = {
        type: 'txn',
        compare: [{ key: `${root}a`, target: 'version', result: '>', operand: 5 }],
        success: [],
        failure: [{ type: 'range', key: `${root}a`, countOnly: true }],
      };
      const { result, revision: seen } = await txn({ success: [inner, { type: 'range', key: `${root}a` }] });
      assert.equal(seen, (await read('a'))?.modRevision);
      const [nested, range] = result.results;
      assert(nested?.type === 'txn' && !nested.succeeded);
      assert.equal((nested.results[0] as RangeResult).count, 1);
      assert.equal((range as RangeResult).kvs.length, 1);
    });
  });

  describe('lists', () => {
    it('pages are of one revision, in order, and say what is left', async () => {
      for (let i = 0; i < 10; i += 1) await doPut(`k${i}`, String(i));
      const seen: string[] = [];
      let from = root;
      let pinned: Revision | undefined;
      for (;;) {
        const { revision: now, result } = await at.do(
          at.store.range({
            type: 'range',
            key: from,
            rangeEnd: end(),
            limit: 4,
            ...(pinned && { revision: pinned }),
          }),
        );
        pinned ??= now;
        assert.equal(result.count, 10 - seen.length);
        seen.push(...result.kvs.map(({ key }) => key.slice(root.length)));
        assert.equal(result.more, seen.length < 10);
        if (!result.more) break;
        from = `${result.kvs.at(-1)!.key}\0`;
        // What comes later is not in the pages of now.
        await doPut(`k${seen.length}a`);
        await txn({ success: [{ type: 'delete', key: `${root}k9` }] });
      }
      assert.deepEqual(
        seen,
        Array.from({ length: 10 }, (_, i) => `k${i}`),
      );
    });

    it('keys only, count only, an order, and all behind a key', async () => {
      for (const name of ['a', 'b', 'c']) await doPut(name, 'value');
      const range = async (op: object) =>
        (await at.do(at.store.range({ type: 'range', key: root, rangeEnd: end(), ...op }))).result;
      assert.deepEqual(
        (await range({ keysOnly: true })).kvs.map(({ value }) => value.length),
        [0, 0, 0],
      );
      assert.deepEqual(
        [(await range({ countOnly: true })).count, (await range({ countOnly: true })).kvs.length],
        [3, 0],
      );
      const last = await range({ sort: { target: 'mod', order: 'descend' }, limit: 1 });
      assert.deepEqual([last.kvs[0]?.key, last.more], [`${root}c`, true]);
      const { kvs } = await range({ key: `${root}b`, rangeEnd: '\0' });
      assert.deepEqual(
        kvs.map(({ key }) => key).filter((key) => key.startsWith(root)),
        [`${root}b`, `${root}c`],
      );
    });

    it('an old revision is refused once it is compacted, a future one always', async () => {
      const old = await doPut('a', '1');
      const now = await doPut('a', '2');
      await at.do(at.compact(now));
      const op = { type: 'range', key: `${root}a` } as const;
      assert.equal(await refusal(at.store.range({ ...op, revision: old })), 'Compacted');
      assert.equal(
        await refusal(at.store.range({ ...op, revision: revision(now + 1_000) })),
        'FutureRevision',
      );
      assert.equal(text((await read('a', now))?.value), '2');
    });
  });

  describe('refusals are definite and say why', () => {
    const cases: readonly (readonly [string, KvErrorCode, () => Partial<TxnOp>])[] = [
      ['no key', 'EmptyKey', () => ({ success: [{ type: 'put', key: '', value: Buffer.alloc(0) }] })],
      ['a key twice', 'DuplicateKey', () => ({ success: [put('a'), put('a')] })],
      ['a lease that there is not', 'LeaseNotFound', () => ({ success: [put('a', '', leaseId(4_711))] })],
      [
        'more than 128 operations',
        'TooManyOps',
        () => ({ success: Array.from({ length: 129 }, (_, i) => put(`k${i}`)) }),
      ],
      [
        'more bytes than a request may have',
        'RequestTooLarge',
        () => ({ success: [put('a', 'x'.repeat(2_200_000))] }),
      ],
    ];
    for (const [what, wanted, op] of cases) {
      it(what, async () => {
        const request = { type: 'txn', compare: [], success: [], failure: [], ...op() } as const;
        assert.equal(await refusal(at.store.txn(request)), wanted);
        assert.equal(await read('a'), undefined);
      });
    }
  });

  describe('watches', () => {
    it('tell creation, change and deletion in order, with the revision of each', async () => {
      const created = await doPut('a', '1');
      const seen = watch({ startRevision: created });
      const changed = await doPut('a', '2');
      const deleted = (await txn({ success: [{ type: 'delete', key: `${root}a` }] })).revision;
      await at.until('three events', () => seen.events.length >= 3);
      assert.deepEqual(
        seen.events.map(({ type, kv }) => [
          type,
          text(kv.value),
          kv.createRevision,
          kv.modRevision,
          kv.version,
        ]),
        [
          ['put', '1', created, created, 1],
          ['put', '2', created, changed, 2],
          ['delete', '', 0, deleted, 0],
        ],
      );
      seen.handle.close();
    });

    it('give what stood there before, to who asks', async () => {
      const created = await doPut('a', '1');
      const seen = watch({ startRevision: revision(created + 1), prevKv: true });
      await doPut('a', '2');
      await txn({ success: [{ type: 'delete', key: `${root}a` }] });
      await at.until('two events', () => seen.events.length >= 2);
      assert.deepEqual(
        seen.events.map(({ prevKv }) => text(prevKv?.value)),
        ['1', '2'],
      );
      seen.handle.close();
    });

    it('a revision of several keys comes whole', async () => {
      const before = await doPut('a');
      const seen = watch({ startRevision: revision(before + 1) });
      const both = (await txn({ success: [put('b'), put('c'), { type: 'delete', key: `${root}a` }] }))
        .revision;
      await at.until('the revision', () => seen.revision >= both);
      const batch = seen.batches.find(({ events }) => events.length > 0);
      assert.deepEqual(
        batch?.events.map(({ kv }) => kv.modRevision),
        [both, both, both],
      );
      seen.handle.close();
    });

    it('from now on: the first batch says where that is, and nothing comes of what was answered before', async () => {
      for (let i = 0; i < 10; i += 1) {
        const before = await doPut('old');
        const seen = watch();
        await at.until('the first batch', () => seen.batches.length > 0);
        assert.deepEqual([seen.events.length, seen.revision >= before], [0, true]);
        await doPut('new');
        await at.until('an event', () => seen.events.length > 0);
        assert.deepEqual(seen.names(), ['new']);
        seen.handle.close();
      }
    });

    it('many at once keep to their own keys, and one that is closed hears nothing more', async () => {
      const start = revision((await doPut('0')) + 1);
      const one = watch({ key: `${root}a`, rangeEnd: undefined as never, startRevision: start });
      const two = watch({ key: `${root}b`, rangeEnd: `${root}d`, startRevision: start });
      const deletes = watch({ startRevision: start, noPut: true });
      for (const name of ['a', 'b', 'c', 'd']) await doPut(name);
      await txn({ success: [{ type: 'delete', key: `${root}a` }] });
      await at.until('all events', () => one.events.length + two.events.length + deletes.events.length >= 5);
      assert.deepEqual([one.names(), two.names(), deletes.names()], [['a', 'a'], ['b', 'c'], ['a']]);
      two.handle.close();
      await doPut('b', 'unheard');
      const last = await doPut('a', 'heard');
      await at.until('the last event', () => one.revision >= last);
      assert.deepEqual(two.names(), ['b', 'c']);
      one.handle.close();
      deletes.handle.close();
    });

    it('one that begins late catches up from history without a gap', async function () {
      this.timeout(120_000);
      const first = await doPut('n0');
      for (let i = 1; i < 1_500; i += 100) {
        const writes = Array.from({ length: 100 }, (_, j) =>
          at.store.txn({
            type: 'txn',
            compare: [],
            success: [put(`n${i + j}`, 'x'.repeat(500))],
            failure: [],
          }),
        );
        await at.do(Promise.all(writes));
      }
      const seen = watch({ startRevision: first });
      await at.until('all events', () => seen.events.length >= 1_501);
      assert.equal(new Set(seen.names()).size, 1_501);
      const revisions = seen.events.map(({ kv }) => kv.modRevision);
      assert.deepEqual(
        revisions,
        revisions.toSorted((a, b) => a - b),
      );
      seen.handle.close();
    });

    it('one that begins before what was compacted ends and says how far that is, or has all: never a gap', async () => {
      const old = await doPut('a', '1');
      const now = await doPut('a', '2');
      await at.do(at.compact(now));
      for (;;) {
        const seen = watch({ startRevision: old });
        await at.until('an end or the events', () => seen.ended !== undefined || seen.revision >= now);
        seen.handle.close();
        if (seen.ended !== undefined) {
          assert.deepEqual(seen.ended, { type: 'compacted', compactRevision: now });
          assert.equal(seen.events.length, 0);
          return;
        }
        // A member that has not heard of the compaction yet still has them.
        assert.deepEqual(
          seen.events.map(({ kv }) => kv.modRevision),
          [old, now],
        );
        await at.wait(50);
      }
    });

    it('get to the revision that a reader was told, although none of their keys changed', async () => {
      const start = revision((await doPut('a')) + 1);
      const seen = watch({ key: `${root}a`, rangeEnd: `${root}b`, startRevision: start });
      for (let i = 0; i < 5; i += 1) {
        await txn({ success: [{ type: 'put', key: `/elsewhere/${count}`, value: Buffer.from(String(i)) }] });
        const now = await at.do(at.store.currentRevision());
        await at.until('the revision', () => seen.revision >= now);
      }
      const later = await doPut('a', 'later');
      await at.until('the event', () => seen.events.length > 0);
      assert.deepEqual([seen.events[0]?.kv.modRevision, seen.events.length], [later, 1]);
      seen.handle.close();
    });
  });

  it('the current revision is that of the newest write, whoever made it', async () => {
    for (let i = 0; i < 5; i += 1) {
      const written = await doPut('a', String(i));
      assert.ok((await at.do(at.store.currentRevision())) >= written);
    }
  });

  it('keys go with their lease, in the sight of a watch', async function () {
    this.timeout(30_000);
    const lease = await at.do(at.store.leaseGrant(2_000));
    const before = (await txn({ success: [put('leased', 'x', lease), put('other')] })).revision;
    assert.equal((await read('leased'))?.lease, lease);
    const seen = watch({ startRevision: revision(before + 1) });
    await at.wait(1_000);
    assert.equal(seen.events.length, 0);
    await at.until('the end of the lease', () => seen.events.length > 0);
    assert.deepEqual([seen.events[0]?.type, seen.names()], ['delete', ['leased']]);
    assert.notEqual(await read('other'), undefined);
    seen.handle.close();
  });

  it('says how it is', async () => {
    const written = await doPut('a');
    const { leader, revision: now, dbSizeBytes, errors } = await at.do(at.store.status());
    assert.notEqual(leader, null);
    assert.ok(now >= written - 1 && dbSizeBytes > 0);
    assert.deepEqual(errors, []);
  });
}

function text(value: Uint8Array | undefined): string {
  return Buffer.from(value ?? []).toString();
}
