import { strict as assert } from 'node:assert';
import { KvError, type TxnOp } from 'raft-consensus';
import { ConnectionError } from '../../../../actors/store/etcd-client/connection.js';
import { type CallKind, failureOf } from '../../../../actors/store/etcd-client/failures.js';
import { code, GrpcError, type GrpcCode } from '../../../../actors/store/etcd/status.js';
import { StoreError } from '../../../../actors/store/index.js';
import { PlayedEtcd } from './played-etcd.js';

const write: TxnOp = {
  type: 'txn',
  compare: [],
  success: [{ type: 'put', key: 'a', value: Buffer.from('1') }],
  failure: [],
};
const read = { type: 'range', key: 'a' } as const;

describe('calls of the etcd client', () => {
  it('a write goes to the next endpoint when one cannot be reached, and stays there', async () => {
    const etcd = new PlayedEtcd(3);
    etcd.endpoints[0]!.isUp = false;
    for (let i = 0; i < 3; i += 1) assert.ok(await etcd.settled(etcd.store.txn(write)));
    assert.deepEqual(
      etcd.endpoints.map(({ calls }) => calls.length),
      [0, 3, 0],
    );
  });

  it('a member without a leader refuses, so another one is asked, also for a write', async () => {
    const etcd = new PlayedEtcd(2);
    etcd.endpoints[0]!.reply = new GrpcError(code.unavailable, 'etcdserver: no leader');
    assert.ok('revision' in ((await etcd.settled(etcd.store.txn(write))) as object));
    assert.deepEqual(
      etcd.endpoints.map(({ calls }) => calls.length),
      [1, 1],
    );
  });

  it('a write whose connection breaks is not made again: its outcome is unknown', async () => {
    const etcd = new PlayedEtcd(2);
    etcd.endpoints[0]!.reply = 'break';
    const error = await etcd.settled(etcd.store.txn(write));
    assert(error instanceof StoreError, String(error));
    assert.deepEqual([error.code, error.definite], ['Timeout', false]);
    assert.deepEqual(
      etcd.endpoints.map(({ calls }) => calls.length),
      [1, 0],
    );
    assert.ok(
      'revision' in ((await etcd.settled(etcd.store.txn(write))) as object),
      'the next one is asked then',
    );
    assert.equal(etcd.endpoints[1]!.calls.length, 1);
  });

  it('a read is asked again elsewhere, when the connection breaks and when nothing is said', async () => {
    for (const reply of ['break', 'silent'] as const) {
      const etcd = new PlayedEtcd(2);
      etcd.endpoints[0]!.reply = reply;
      const begun = etcd.clock.monotonicMs();
      assert.ok('revision' in ((await etcd.settled(etcd.store.range(read))) as object), reply);
      assert.ok(etcd.clock.monotonicMs() - begun < 2_000);
    }
  });

  it('a write that is not answered ends with its time, outcome unknown; one that only reads does not wait so long', async () => {
    const etcd = new PlayedEtcd(2);
    etcd.endpoints[0]!.reply = 'silent';
    const error = await etcd.settled(etcd.store.txn(write, { timeoutMs: 4_000 }));
    assert(error instanceof StoreError && !error.definite && error.code === 'Timeout', String(error));
    assert.ok(etcd.clock.monotonicMs() >= 4_000 && etcd.clock.monotonicMs() < 4_100);
    const again = new PlayedEtcd(2);
    again.endpoints[0]!.reply = 'silent';
    const onlyReads: TxnOp = { ...write, success: [read] };
    assert.ok('revision' in ((await again.settled(again.store.txn(onlyReads))) as object));
  });

  it('a write that was refused until its time was nearly up is not tried once more: it certainly was not made', async () => {
    const etcd = new PlayedEtcd(1);
    const [endpoint] = etcd.endpoints;
    endpoint!.reply = new GrpcError(code.unavailable, 'etcdserver: no leader');
    const request = etcd.store.txn(write, { timeoutMs: 1_000 });
    request.catch(() => {});
    await etcd.clock.advance(900);
    endpoint!.reply = 'silent';
    const error = await etcd.settled(request);
    assert(error instanceof StoreError && error.code === 'NoLeader' && error.definite, String(error));
  });

  it('where nobody can be reached the error says so of each, in time, and nobody is hammered', async () => {
    const etcd = new PlayedEtcd(2);
    for (const endpoint of etcd.endpoints) endpoint.isUp = false;
    const error = await etcd.settled(etcd.store.txn(write, { timeoutMs: 3_000 }));
    assert(error instanceof StoreError && error.definite && error.code === 'NoLeader', String(error));
    assert.match(error.message, /ECONNREFUSED etcd-0:2379; connect ECONNREFUSED etcd-1:2379/);
    assert.ok(etcd.clock.monotonicMs() <= 3_010);
    const requests = Array.from({ length: 20 }, () => etcd.store.txn(write, { timeoutMs: 60_000 }));
    for (const request of requests) request.catch(() => {});
    await etcd.clock.advance(60_000);
    const connects = etcd.endpoints[0]!.connects;
    assert.ok(connects > 10 && connects < 25, `${connects} tries in a minute`);
    etcd.endpoints[1]!.isUp = true;
    assert.ok('revision' in ((await etcd.settled(etcd.store.txn(write, { timeoutMs: 6_000 }))) as object));
  });

  it('more requests at once than allowed are refused, certainly not made', async () => {
    const etcd = new PlayedEtcd(1, { requestsInFlightMax: 2 });
    etcd.endpoints[0]!.reply = 'silent';
    const first = [etcd.store.txn(write), etcd.store.txn(write)];
    for (const request of first) request.catch(() => {});
    const error = await etcd.settled(etcd.store.txn(write));
    assert(error instanceof StoreError && error.definite && error.code === 'Overloaded', String(error));
  });

  describe('what a failure means', () => {
    const status = (grpcCode: number, text: string) => new GrpcError(grpcCode as GrpcCode, text);
    const cases: readonly (readonly [string, Error, CallKind, string, boolean, boolean])[] = [
      ['never left', new ConnectionError('x', false), 'write', 'NoLeader', true, true],
      ['left', new ConnectionError('x', true), 'write', 'Timeout', false, false],
      ['left', new ConnectionError('x', true), 'read', 'Timeout', true, true],
      ['no leader', status(14, 'etcdserver: no leader'), 'write', 'NoLeader', true, true],
      ['dropped by Raft', status(2, 'raft proposal dropped'), 'write', 'NoLeader', true, true],
      ['timed out', status(14, 'etcdserver: request timed out'), 'write', 'Timeout', false, false],
      [
        'leader failed',
        status(14, 'etcdserver: request timed out, possibly due to previous leader failure'),
        'write',
        'Timeout',
        false,
        false,
      ],
      ['leader changed', status(14, 'etcdserver: leader changed'), 'write', 'LeaderChanged', false, false],
      ['leader changed', status(14, 'etcdserver: leader changed'), 'read', 'LeaderChanged', true, true],
      ['stopped', status(14, 'etcdserver: server stopped'), 'write', 'Timeout', false, false],
      ['deadline', status(4, 'no answer'), 'write', 'Timeout', false, false],
      ['overload', status(8, 'etcdserver: too many requests'), 'write', 'Overloaded', true, false],
      ['something else', status(13, 'panic'), 'write', 'Timeout', false, false],
      ['no right', status(7, 'etcdserver: permission denied'), 'write', 'Refused', true, false],
      ['no method', status(12, 'unknown'), 'read', 'Refused', true, false],
    ];
    for (const [what, error, kind, wanted, definite, again] of cases) {
      it(`${what}, of a ${kind}: ${wanted}, ${definite ? 'nothing was written' : 'unknown'}`, () => {
        const failure = failureOf(error, kind, 'etcd-0:2379');
        assert.deepEqual(
          [failure.error.code, failure.error.definite, failure.again],
          [wanted, definite, again],
        );
        assert.equal(failure.error.cause, error);
      });
    }

    it('what the state machine refuses has its code as cause', () => {
      const texts = {
        Compacted: status(11, 'etcdserver: mvcc: required revision has been compacted'),
        FutureRevision: status(11, 'etcdserver: mvcc: required revision is a future revision'),
        NoSpace: status(8, 'etcdserver: mvcc: database space exceeded'),
        LeaseNotFound: status(5, 'etcdserver: requested lease not found'),
        LeaseExists: status(9, 'etcdserver: lease already exists'),
        Corrupt: status(15, 'etcdserver: corrupt cluster'),
        RequestTooLarge: status(8, 'grpc: received message larger than max (2200000 vs. 2097152)'),
        InvalidArgument: status(3, 'etcdserver: something new'),
      };
      for (const [wanted, error] of Object.entries(texts)) {
        const { error: found, again } = failureOf(error, 'write', 'etcd-0:2379');
        assert.deepEqual([found.code, found.definite, again], ['Refused', true, false]);
        assert(found.cause instanceof KvError);
        assert.equal(found.cause.code, wanted);
      }
    });
  });
});
