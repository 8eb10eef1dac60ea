import { strict as assert } from 'node:assert';
import { StoreError } from '../../../actors/store/index.js';
import { SmallGroup, txn } from './small-group.js';

describe('a store with a quota', () => {
  it('raises the alarm when it is full; deletes and compaction make room, disarming lets writes in', async () => {
    const group = new SmallGroup('quota', { store: { quotaBytes: 100_000 } });
    const { client } = group;
    const value = 'x'.repeat(10_000);
    const lease = await group.do(client.leaseGrant(600_000));
    await group.put('/a', value);
    for (let i = 0; i < 7; i++) await group.put('/hot', value, lease);
    assert.equal(await group.refusal(client.txn({ ...bigPut('/b', 40_000) })), 'NoSpace');
    const raised = await group.do(client.alarms());
    assert.deepEqual(raised, [{ type: 'NoSpace', member: await group.leader() }]);
    for (const name of group.names) {
      await group.wait(500);
      const { alarms, errors } = await group.do(group.clientOf(name).status());
      assert.deepEqual([alarms, errors.length], [raised, 1]);
    }
    assert.equal(await group.refusal(client.txn(bigPut('/c', 1))), 'NoSpace', 'a small one, too');
    assert.equal(await group.refusal(client.leaseGrant(5_000)), 'NoSpace');
    assert.equal(await group.has('/a'), true);
    const del = { type: 'delete', key: '/a' } as const;
    const { revision } = await group.do(
      client.txn({ type: 'txn', compare: [], success: [del], failure: [] }),
    );
    await group.do(client.leaseRevoke(lease));
    await group.do(client.compact(revision));
    await group.wait(2_000);
    await group.do(client.alarmDisarm(raised[0]!));
    await group.put('/b', value);
    assert.ok((await group.do(client.status())).dbSizeBytes < 40_000);
  });

  it('raises it again when it is disarmed without room', async () => {
    const group = new SmallGroup('again', { store: { quotaBytes: 5_000 } });
    const { client } = group;
    assert.equal(await group.refusal(client.txn(bigPut('/a', 6_000))), 'NoSpace');
    const alarm = (await group.do(client.alarms()))[0]!;
    await group.do(client.alarmDisarm(alarm));
    await group.put('/small');
    assert.equal(await group.refusal(client.txn(bigPut('/a', 6_000))), 'NoSpace');
    assert.deepEqual(await group.do(client.alarms()), [alarm]);
  });

  it('counts what is in memory apart: values in files do not, keys do', async () => {
    const limits = { memoryQuotaBytes: 60_000, valuesResidentBytesMax: 10_000, valueSlabBytesMin: 1_000 };
    const group = new SmallGroup('memory', { store: limits });
    for (let i = 0; i < 20; i++) await group.put(`/large${i}`, 'x'.repeat(9_000));
    assert.ok((await group.do(group.client.status())).dbSizeBytes > 3 * limits.memoryQuotaBytes);
    const small = (batch: number) =>
      Promise.all(range(50).map((i) => group.client.txn(bigPut(`/${batch}-${i}`, 1))));
    for (const batch of [1, 2, 3]) await group.do(small(batch));
    const more = async () => {
      for (const batch of range(10)) await small(10 + batch);
    };
    assert.equal(await group.refusal(more()), 'NoSpace');
  });

  it('refuses what grows while the disk of its leader is behind, and nothing else, and raises no alarm', async () => {
    let isBehind = false;
    const group = new SmallGroup('behind', {
      members: ['m1'],
      inspect: (_, { store }) => Object.defineProperty(store, 'isBehindItsDisk', { get: () => isBehind }),
    });
    await group.put('/a', 'x');
    isBehind = true;
    const refused = await group.do(group.client.txn(bigPut('/b', 1)).catch((error: unknown) => error));
    assert.ok(refused instanceof StoreError && refused.code === 'Overloaded' && refused.definite);
    await group.do(group.client.txn(txn({ type: 'delete', key: '/a' })));
    assert.deepEqual(await group.do(group.client.alarms()), []);
    isBehind = false;
    await group.put('/b', 'x');
    assert.deepEqual([await group.has('/a'), await group.has('/b')], [false, true]);
  });

  it('keeps its alarms when all members are started again', async () => {
    const group = new SmallGroup('restart', { store: { quotaBytes: 5_000 } });
    assert.equal(await group.refusal(group.client.txn(bigPut('/a', 6_000))), 'NoSpace');
    for (const name of group.names) group.kill(name);
    for (const name of group.names) group.start(name);
    assert.equal((await group.do(group.client.alarms())).length, 1);
    assert.equal(await group.refusal(group.client.txn(bigPut('/a', 1))), 'NoSpace');
  });
});

const range = (length: number) => Array.from({ length }, (_, at) => at);

function bigPut(key: string, bytes: number) {
  const op = { type: 'put', key, value: new Uint8Array(bytes) } as const;
  return { type: 'txn', compare: [], success: [op], failure: [] } as const;
}
