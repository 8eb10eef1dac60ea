import { strict as assert } from 'node:assert';
import { KvError, KvStore, WatchHub, leaseId } from 'raft-consensus';
import { StoreDriver, del, drain, eventsOf, put, range, txn } from './store-driver.js';

let kv: StoreDriver;
beforeEach(() => {
  kv = new StoreDriver();
});

const renew = (id: number) => kv.try({ type: 'lease-renew', id: leaseId(id), atMs: kv.atMs });
const revoke = (id: number, reason?: 'expired') => {
  const head = { type: 'lease-revoke', id: leaseId(id), atMs: kv.atMs } as const;
  return kv.try(reason === undefined ? head : { ...head, reason });
};
const deadline = (id: number) => {
  const status = kv.store.leaseStatus(leaseId(id));
  return status instanceof KvError ? status.code : status.deadlineMs;
};

describe('leases', () => {
  it('have their deadline from the time in the log', () => {
    kv.grant(7, 5000);
    assert.equal(deadline(7), 6000);
    assert.deepEqual(kv.store.leaseExpired(5999), []);
    assert.deepEqual(kv.store.leaseExpired(6000), [7]);
  });

  it('get the same free id on every member when none is given', () => {
    const other = new StoreDriver();
    for (const driver of [kv, other]) {
      driver.grant(2, 1000);
      assert.equal(driver.grant(0, 1000), 3);
    }
    kv.grant(5, 1000);
    assert.deepEqual(kv.store.leases(), [2, 3, 5]);
  });

  it('are listed when expired, the longest overdue first', () => {
    kv.grant(1, 9000);
    kv.grant(2, 3000);
    kv.grant(3, 3000);
    kv.grant(4, 50_000);
    assert.deepEqual(kv.store.leaseExpired(20_000), [2, 3, 1]);
    revoke(2);
    assert.deepEqual(kv.store.leaseExpired(4000), [3]);
    assert.deepEqual(kv.store.leaseExpired(3999), []);
  });

  it('move their deadline when renewed', () => {
    kv.grant(7, 5000);
    kv.atMs = 4000;
    assert.ok(!(renew(7) instanceof KvError));
    assert.equal(deadline(7), 9000);
    assert.deepEqual(kv.store.leaseExpired(6000), []);
  });

  it('refuse a renewal after they were revoked (etcd #20813)', () => {
    kv.grant(7, 5000);
    revoke(7);
    const applied = renew(7);
    assert.ok(applied instanceof KvError && applied.code === 'LeaseNotFound');
    assert.equal(applied.message, 'etcdserver: requested lease not found');
  });

  it('outlive a revocation for expiry that a renewal overtook', () => {
    const lease = kv.grant(7, 5000);
    kv.do(put('a', '1', { lease }));
    kv.atMs = 6000;
    renew(7);
    const late = revoke(7, 'expired');
    assert.ok(!(late instanceof KvError));
    assert.deepEqual(late.result, { type: 'lease-revoke', revoked: false, deleted: 0 });
    assert.equal(kv.dump(), 'a=1');
    kv.atMs = 11_000;
    assert.ok(!(revoke(7, 'expired') instanceof KvError));
    assert.equal(kv.dump(), '');
  });

  it('never end early because the clock of a new leader is behind (etcd #15247)', () => {
    kv.atMs = 100_000;
    kv.grant(1, 5000);
    kv.atMs = 40_000;
    kv.grant(2, 5000);
    renew(1);
    assert.deepEqual([deadline(1), deadline(2)], [105_000, 105_000]);
    assert.equal(kv.store.clockMs, 100_000);
  });

  it('keep their deadline over a snapshot, neither restarted nor shortened (etcd #9395)', () => {
    const lease = kv.grant(7, 60_000);
    kv.do(put('b', '1', { lease }), put('a', '1', { lease }), put('c', '1'));
    kv.atMs = 50_000;
    kv.do(put('c', '2'));
    const restored = new KvStore();
    restored.restore(kv.store.snapshot().toBytes());
    assert.deepEqual(restored.leaseStatus(leaseId(7)), {
      id: 7,
      grantedTtlMs: 60_000,
      deadlineMs: 61_000,
      keys: ['a', 'b'],
    });
    assert.equal(restored.clockMs, 50_000);
    assert.deepEqual(restored.leaseExpired(60_999), []);
    assert.deepEqual(restored.leaseExpired(61_000), [7]);
  });

  it('take all their keys with them at one revision, in key order, one event each', () => {
    const lease = kv.grant(7, 5000);
    kv.do(put('c', '3', { lease }), put('a', '1', { lease }), put('b', '2'));
    const watcher = new WatchHub(kv.store).watch(
      { key: '\0', rangeEnd: '\0', prevKv: true },
      () => undefined,
    );
    assert.ok(!(revoke(7) instanceof KvError));
    assert.equal(eventsOf(drain(watcher)), '-a@5(1) -c@5(3)');
    assert.deepEqual([kv.store.revision, kv.dump()], [5, 'b=2']);
  });

  it('take no revision when they have no keys', () => {
    kv.grant(7, 5000);
    revoke(7);
    assert.equal(kv.store.revision, 1);
  });

  it('hold a key from the put that names them to the put that does not, or to its delete', () => {
    const keys = (id: number) => {
      const status = kv.store.leaseStatus(leaseId(id));
      return status instanceof KvError ? status.code : status.keys.join(' ');
    };
    const [one, two] = [kv.grant(1, 5000), kv.grant(2, 5000)];
    kv.do(put('a', '', { lease: one }), put('b', '', { lease: one }), put('c', '', { lease: one }));
    kv.do(put('a', '', { lease: two }), put('b'), del('c'));
    assert.deepEqual([keys(1), keys(2)], ['', 'a']);
    kv.do(put('c'));
    revoke(1);
    assert.deepEqual(
      kv.range(range('a', 'z')).kvs.map((one) => one.key),
      ['a', 'b', 'c'],
    );
  });

  it('are refused twice, without end, and with ids of more than 64 bits', () => {
    kv.grant(7, 5000);
    const code = (id: number | bigint, ttlMs: number) => {
      const applied = kv.try({ type: 'lease-grant', id: leaseId(id), ttlMs, atMs: 0 });
      return applied instanceof KvError ? applied.code : 'granted';
    };
    assert.equal(code(7, 1000), 'LeaseExists');
    assert.equal(code(8, 9_000_000_001_000), 'LeaseTtlTooLarge');
    assert.equal(code(8, 0), 'InvalidArgument');
    assert.equal(code(2n ** 63n, 1000), 'InvalidArgument');
    assert.equal(code(0.5, 1000), 'InvalidArgument');
    const refused = revoke(99);
    assert.ok(refused instanceof KvError && refused.code === 'LeaseNotFound');
  });

  it('have any id of 64 bits, and the last of them counts, in snapshots and digests, too', () => {
    const ids = [-(2n ** 63n), -5n, 7n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 2n, 2n ** 63n - 1n];
    const other = new StoreDriver();
    for (const id of ids) {
      kv.do(put(`k${id}`, '', { lease: kv.grant(id, 5000) }));
      other.do(put(`k${id}`, '', { lease: other.grant(id === 2n ** 53n + 1n ? id + 1n : id, 5000) }));
    }
    assert.deepEqual(kv.store.leases(), ids.map(leaseId));
    assert.notDeepEqual(kv.store.hash(), other.store.hash());
    assert.notEqual(kv.store.digest, other.store.digest);
    const restored = new StoreDriver();
    restored.restoreFrom(kv);
    assert.deepEqual(restored.store.hash(), kv.store.hash());
    for (const driver of [kv, restored]) {
      driver.do(put('k7', '', { lease: leaseId(2n ** 53n) }));
      const revoked = driver.try({ type: 'lease-revoke', id: leaseId(2n ** 53n), atMs: 0 });
      assert.ok(!(revoked instanceof KvError) && revoked.result.type === 'lease-revoke');
      assert.equal(revoked.result.deleted, 2);
      assert.deepEqual(driver.store.leaseStatus(leaseId(2n ** 53n + 1n)), {
        id: 2n ** 53n + 1n,
        grantedTtlMs: 5000,
        deadlineMs: 5000 + driver.atMs,
        keys: ['k9007199254740993'],
      });
    }
  });

  it('compare exactly', () => {
    const id = 2n ** 62n + 1n;
    kv.do(put('a', '', { lease: kv.grant(id, 5000) }), put('b', '', { lease: kv.grant(-5n, 5000) }));
    const holds = (key: string, result: '=' | '<' | '>' | '!=', operand: bigint) =>
      kv.txn(txn([], [{ key, target: 'lease', result, operand: leaseId(operand) }])).result.succeeded;
    assert.deepEqual(
      [holds('a', '=', id), holds('a', '=', id - 1n), holds('a', '>', id - 1n), holds('a', '<', id)],
      [true, false, true, false],
    );
    assert.deepEqual([holds('b', '<', 0n), holds('b', '>', -6n), holds('c', '!=', id)], [true, true, true]);
  });

  it('give their key back to a transaction that deletes it and lets the lease go on', () => {
    const lease = kv.grant(1, 5000);
    kv.do(put('a', '', { lease }));
    kv.txn(txn([del('a', 'z'), range('a', 'z')]));
    assert.ok(!(revoke(1) instanceof KvError));
    assert.equal(kv.store.revision, 3);
  });
});
