/** How the client of etcd says who it is, against endpoints that a test plays. */
import { strict as assert } from 'node:assert';
import { revision, type TxnOp } from 'raft-consensus';
import { etcdClientLimits } from '../../../../actors/store/etcd-client/index.js';
import { StoreError } from '../../../../actors/store/index.js';
import { PlayedEtcd, type PlayedAuth } from './played-etcd.js';

const write: TxnOp = {
  type: 'txn',
  compare: [],
  success: [{ type: 'put', key: 'a', value: Buffer.from('1') }],
  failure: [],
};

function played(password = 'secret', asked = () => 'secret') {
  const etcd = new PlayedEtcd(1, {}, { name: 'kabuki', password: asked });
  const auth: PlayedAuth = { password, tokens: new Set(), logins: 0 };
  const [endpoint] = etcd.endpoints;
  endpoint!.auth = auth;
  const made = () => endpoint!.calls.filter((path) => path.endsWith('/Txn')).length;
  const isDone = async () => 'revision' in ((await etcd.settled(etcd.store.txn(write))) as object);
  const refusal = async () => {
    const error = await etcd.settled(etcd.store.txn(write));
    assert(error instanceof StoreError && error.code === 'Refused' && error.definite, String(error));
    return error.message;
  };
  return { etcd, auth, endpoint: endpoint!, made, isDone, refusal };
}

describe('the login of the etcd client', () => {
  it('is made once for all calls, also for those that are made at the same time', async () => {
    const { etcd, auth, made } = played();
    const answers = await etcd.settled(Promise.all([1, 2, 3].map(() => etcd.store.txn(write))));
    assert.equal((answers as unknown[]).length, 3);
    assert.deepEqual([auth.logins, made()], [1, 3]);
  });

  it('is made again when the token is over, and so is the write that it was refused with, once', async () => {
    const { auth, made, isDone } = played();
    assert.ok(await isDone());
    auth.tokens.clear();
    assert.ok(await isDone());
    assert.deepEqual([auth.logins, made()], [2, 3]);
  });

  it('takes the password as it is then', async () => {
    let password = 'old';
    const { auth, isDone } = played('old', () => password);
    assert.ok(await isDone());
    auth.tokens.clear();
    password = auth.password = 'new';
    assert.ok(await isDone());
  });

  it('with a wrong password says so, and does not ask again and again', async () => {
    const { etcd, auth, made, refusal } = played('another');
    for (let i = 0; i < 5; i += 1) {
      assert.match(
        await refusal(),
        /^etcd-0:2379: user "kabuki": authentication failed, invalid user ID or password$/,
      );
    }
    assert.deepEqual([auth.logins, made()], [1, 0]);
    auth.password = 'secret';
    await etcd.clock.advance(etcdClientLimits.loginRestMs);
    assert.ok('revision' in ((await etcd.settled(etcd.store.txn(write))) as object));
  });

  it('with a password that cannot be had says why', async () => {
    const { refusal } = played('x', () => {
      throw new Error('no such file');
    });
    assert.match(await refusal(), /the password of "kabuki" cannot be had: no such file/);
  });

  it('whose connection breaks leaves a write certainly not made', async () => {
    const { etcd, endpoint, made } = played();
    endpoint.reply = 'break';
    const error = await etcd.settled(etcd.store.txn(write));
    assert(error instanceof StoreError && error.definite, String(error));
    assert.equal(made(), 0);
  });

  it('is given up where no token ever counts', async () => {
    const { auth, made, refusal } = played();
    auth.tokens.add = () => auth.tokens;
    assert.match(await refusal(), /invalid auth token/);
    assert.deepEqual([auth.logins, made()], [4, 4]);
  });

  it('is not needed where nobody asks for it, and made when somebody begins to', async () => {
    const { endpoint, auth, isDone } = played();
    endpoint.auth = undefined;
    assert.ok(await isDone());
    endpoint.auth = auth;
    assert.ok(await isDone());
    assert.equal(auth.logins, 1);
  });

  it('names the user of watches, too, anew after one was refused', async () => {
    const { etcd, auth, endpoint } = played();
    etcd.store.watch({ key: 'a', startRevision: revision(2) }, { onBatch: () => {}, onEnd: () => {} });
    await etcd.clock.advance(100);
    assert.equal(endpoint.stream.token, 'token-1');
    // As etcd 3.4 tells of a token that it has forgotten.
    const cancelReason = 'rpc error: code = PermissionDenied desc = etcdserver: permission denied';
    endpoint.stream.say({ watchId: -1, created: true, canceled: true, cancelReason });
    await etcd.clock.advance(1_000);
    assert.deepEqual([endpoint.stream.token, auth.logins, endpoint.streams.length], ['token-2', 2, 2]);
  });
});
