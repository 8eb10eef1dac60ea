/** Requests that leave a client in one turn share a letter, and their transactions an entry of the log. */
import { strict as assert } from 'node:assert';
import { KvError, leaseId, type RangeOp } from 'raft-consensus';
import { StoreError } from '../../../actors/store/index.js';
import { put, SmallGroup, txn } from './small-group.js';

describe('requests of one turn', () => {
  it('share a letter and an entry, and each has its own answer', async () => {
    const group = new SmallGroup('shared letters');
    await group.leader();
    await group.put('first');
    const { raft } = group.parts.get(await group.leader())!;
    const before = raft.stats().lastIndex;
    const writes = Array.from({ length: 20 }, (_, i) => group.client.txn(put(`k${i}`, String(i))));
    const done = await group.do(Promise.all(writes));
    assert.deepEqual(
      done.map(({ revision }) => revision),
      Array.from({ length: 20 }, (_, i) => 3 + i),
    );
    assert.equal(raft.stats().lastIndex, before + 1);
  });

  it('fail one by one', async () => {
    const group = new SmallGroup('shared letters, one refused');
    await group.leader();
    const outcomes = await group.do(
      Promise.allSettled([
        group.client.txn(put('a')),
        group.client.txn(put('b', '', leaseId(77))),
        group.client.txn(put('c')),
      ]),
    );
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    const { reason } = outcomes[1] as PromiseRejectedResult;
    assert(reason instanceof StoreError && reason.cause instanceof KvError && reason.definite);
    assert.equal(reason.cause.code, 'LeaseNotFound');
    assert(!(await group.has('b')));
  });

  it('are judged by the rights of each', async () => {
    const group = new SmallGroup('shared letters, rights');
    await group.leader();
    const { client } = group;
    const change = async (...changes: Parameters<typeof client.authChange>[0][]) => {
      for (const one of changes) await group.do(client.authChange(one));
    };
    await change(
      { type: 'user-add', user: 'root' },
      { type: 'role-add', role: 'root' },
      { type: 'user-grant', user: 'root', role: 'root' },
      { type: 'enable', tokenKey: new Uint8Array(32) },
    );
    const root = client.as({ type: 'certificate', user: 'root' });
    const nobody = client.as({ type: 'anonymous' });
    const [mine, theirs] = await group.do(
      Promise.allSettled([root.txn(put('a', 'mine')), nobody.txn(put('a', 'theirs'))]),
    );
    assert.equal(mine!.status, 'fulfilled');
    assert.equal(theirs!.status, 'rejected');
    assert.equal((await group.do(root.range({ type: 'range', key: 'a' }))).result.kvs[0]?.version, 1);
  });

  it('with answers too long for one letter are asked for again, alone', async () => {
    const group = new SmallGroup('shared letters, long answers', { store: { sharedReplyBytesMax: 100 } });
    await group.leader();
    for (const key of ['a', 'b', 'c']) await group.put(key, key.repeat(60));
    const read = (key: string): RangeOp => ({ type: 'range', key });
    const answers = await group.do(Promise.all(['a', 'b', 'c'].map((key) => group.client.range(read(key)))));
    assert.deepEqual(
      answers.map(({ result }) => Buffer.from(result.kvs[0]!.value).toString()),
      ['a', 'b', 'c'].map((key) => key.repeat(60)),
    );
  });

  it('go alone when their answers may be long, or they are', async () => {
    const group = new SmallGroup('shared letters, alone');
    await group.leader();
    const { client, world } = group;
    // Who leads is known from then on, and nothing is asked twice.
    await group.put('first');
    world.journal.clear();
    const old = { type: 'put', key: 'a', value: Buffer.from('x'), prevKv: true } as const;
    await group.do(
      Promise.all([
        client.txn(txn(old)),
        client.txn(put('large', 'x'.repeat(20_000))),
        client.range({ type: 'range', key: 'a', rangeEnd: 'z' }),
        client.txn(put('a')),
        client.txn(put('b')),
      ]),
    );
    const asked = world.journal
      .events()
      .filter(({ type, node, kind }) => type === 'send' && node === 'client' && kind?.startsWith('Store'))
      .map(({ kind }) => kind)
      .toSorted();
    assert.deepEqual(asked, ['StoreMany', 'StoreRange', 'StoreTxn', 'StoreTxn']);
  });
});
