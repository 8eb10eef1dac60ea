import { strict as assert } from 'node:assert';
import { type Op, type RangeOp, revision } from 'raft-consensus';
import { SmallGroup, txn } from './small-group.js';

const everything: RangeOp = { type: 'range', key: '/', rangeEnd: '0' };
const perTxn = 100;

describe('a range that is too long for one letter', () => {
  it('comes in pieces, and is of the moment it was asked for though writes and compaction go on', async () => {
    const group = await filled('pieces', 5_000);
    const plain = await group.do(group.client.range({ ...everything, limit: 2_000 }));
    assert.equal(plain.result.kvs.length, 2_000);
    const { revision: at } = await group.do(group.client.status());
    const list = group.client.range(everything);
    let isThere = false;
    void list.then(() => (isThere = true));
    await group.world.run(() => group.sent('StoreRangePiece') > 0);
    await group.put('/00000000', 'later');
    await group.do(group.client.compact(revision(at + 1)));
    assert.ok(!isThere || group.sent('StoreRangePiece') > 0);
    const { result, revision: of } = await group.do(list);
    assert.equal(of, at);
    assert.equal(result.count, 5_000);
    assert.deepEqual(
      result.kvs.map(({ key }) => key),
      Array.from({ length: 5_000 }, (_, n) => nameOf(n)),
    );
    assert.equal(Buffer.from(result.kvs[0]!.value).toString(), 'v');
    assert.equal(group.sent('StoreRangePiece'), 2);
    const keys = await group.do(group.client.range({ ...everything, keysOnly: true }));
    assert.equal(keys.result.kvs.length, 5_000);
    assert.ok(keys.result.kvs.every(({ value }) => value.length === 0));
    const sorted = { ...everything, sort: { target: 'key', order: 'descend' } } as const;
    assert.equal((await group.do(group.client.range(sorted))).result.kvs[0]!.key, nameOf(4_999));
  });

  it('is read anew from another member when the one that gave the first piece is gone', async () => {
    const group = await filled('anew', 5_000);
    const list = group.client.range(everything, { timeoutMs: 30_000 });
    await group.world.run(() => group.sent('StoreRangeDone') > 0);
    group.kill('m1');
    const { result } = await group.do(list);
    assert.deepEqual([result.kvs.length, result.count], [5_000, 5_000]);
  });

  it('is given up when nobody asks for the rest, and then holds up no compaction', async () => {
    const group = await filled('given-up', 5_000, ['m1']);
    const { store } = group.parts.get('m1')!;
    void group.clientOf('m1').range(everything);
    await group.world.run(() => group.sent('StoreRangeDone') > 0);
    group.world.kill(group.world.system('client-m1' as never).node);
    await group.put('/00000000', 'later');
    await group.do(group.client.compact(store.revision));
    await group.wait(1_000);
    assert.ok(store.compactionPending);
    await group.wait(6_000);
    assert.ok(!store.compactionPending);
  });
});

async function filled(seed: string, keys: number, members?: readonly string[]): Promise<SmallGroup> {
  const group = new SmallGroup(seed, members && { members });
  for (let from = 0; from < keys; from += perTxn) {
    const puts = Array.from({ length: perTxn }, (_, n): Op => ({
      type: 'put',
      key: nameOf(from + n),
      value: Buffer.from('v'),
    }));
    await group.do(group.client.txn(txn(...puts)));
  }
  return group;
}

function nameOf(n: number): string {
  return `/${String(n).padStart(8, '0')}`;
}
