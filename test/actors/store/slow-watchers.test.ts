import { strict as assert } from 'node:assert';
import { revision, type WatchBatch } from 'raft-consensus';
import { createStoreClient } from '../../../actors/store/index.js';
import { nodeId } from '../../../transport/index.js';
import { SmallGroup, put } from './small-group.js';

const value = 'x'.repeat(200_000);

describe('a watcher that does not keep up', () => {
  it('has no more than its bytes on the way, holds up nobody, and gets all in the end (etcd #17529)', async () => {
    const group = new SmallGroup('slow');
    const slow = follow(group, 'slow', 2);
    const quick = follow(group, 'quick', 2);
    await group.put('/k0', value);
    await group.world.run(() => slow.keys.length === 1 && quick.keys.length === 1);
    group.world.network.faults.add({
      id: 'deaf',
      from: ['slow'],
      to: ['*'],
      kinds: ['StoreWatchCredit'],
      action: { type: 'drop', probability: 1 },
    });
    const expected = ['/k0'];
    for (let at = 1; at < 60; at++) {
      await group.do(group.client.txn(put(`/k${at}`, value)));
      expected.push(`/k${at}`);
    }
    await group.world.run(() => quick.keys.length === expected.length);
    assert.deepEqual(quick.keys, expected);
    const onTheirWay = slow.keys.length * value.length;
    assert.ok(onTheirWay >= 3_000_000 && onTheirWay < 6_500_000, `${onTheirWay} bytes`);
    group.world.heal();
    await group.world.run(() => slow.keys.length === expected.length);
    assert.deepEqual(slow.keys, expected);
  });

  it('shares with all others what may be on the way, and still gets one batch after the other', async () => {
    const store = { watchBytesInFlightTotalMax: 1_000_000, watchSmallBatchBytes: 1 };
    const group = new SmallGroup('shared', { members: ['m1'], store });
    const deaf = Array.from({ length: 10 }, (_, at) => follow(group, `deaf${at}`, 2));
    await group.put('/k0', value);
    await group.world.run(() => deaf.every(({ keys }) => keys.length === 1));
    group.world.network.faults.add({
      id: 'deaf',
      from: deaf.map((_, at) => `deaf${at}`),
      to: ['*'],
      kinds: ['StoreWatchCredit'],
      action: { type: 'drop', probability: 1 },
    });
    const quick = follow(group, 'quick', 2);
    const expected = ['/k0'];
    for (let at = 1; at < 30; at++) {
      await group.do(group.client.txn(put(`/k${at}`, value)));
      expected.push(`/k${at}`);
    }
    await group.world.run(() => quick.keys.length === expected.length);
    const onTheirWay = deaf.reduce((sum, { keys }) => sum + keys.length * value.length, 0);
    assert.ok(onTheirWay <= 1_000_000 + 2 * deaf.length * value.length, `${onTheirWay} bytes`);
    group.world.heal();
    await group.world.run(() => deaf.every(({ keys }) => keys.length === expected.length));
    for (const { keys } of deaf) assert.deepEqual(keys, expected);
  });

  it('waits for what is on the way to others, and gets its share when one of them is gone', async () => {
    const store = { watchBytesInFlightTotalMax: 300_000, watchSmallBatchBytes: 1 };
    const group = new SmallGroup('gone', { members: ['m1'], store });
    const lost = follow(group, 'lost', 2);
    const patient = follow(group, 'patient', 2);
    group.world.network.faults.add({
      id: 'deaf',
      from: ['lost', 'patient'],
      to: ['*'],
      kinds: ['StoreWatchCredit'],
      action: { type: 'drop', probability: 1 },
    });
    await group.put('/k0', value);
    await group.world.run(() => lost.keys.length === 1 && patient.keys.length === 1);
    await group.put('/k1', value);
    await group.put('/k2', value);
    await group.wait(100);
    assert.deepEqual(
      [lost.keys.length, patient.keys.length],
      [1, 1],
      'as much as there may be is on its way',
    );
    const { slowWatchers, pendingEvents } = await group.do(group.client.measures());
    assert.deepEqual([slowWatchers, pendingEvents], [2, 4]);
    group.world.kill(nodeId('lost'));
    await group.world.run(() => patient.keys.length > 1);
    assert.deepEqual(patient.keys, ['/k0', '/k1', '/k2']);
  });

  it('and a hundred that catch up at once from far behind leave the leader its place', async () => {
    const group = new SmallGroup('many');
    for (let at = 0; at < 300; at++) await group.put(`/k${at}`, 'y'.repeat(1_000));
    const leader = await group.leader();
    const { term } = await group.do(group.client.status());
    const watchers = Array.from({ length: 100 }, (_, at) => follow(group, `w${at}`, 2));
    await group.put('/last');
    await group.world.run(() => watchers.every(({ keys }) => keys.length === 301));
    assert.equal(await group.leader(), leader);
    assert.equal((await group.do(group.client.status())).term, term);
  });
});

function follow(group: SmallGroup, name: string, from = 0) {
  const keys: string[] = [];
  const client = createStoreClient({ system: group.world.system(nodeId(name)), members: group.refs });
  client.watch(
    { key: '/', rangeEnd: '0', ...(from > 0 && { startRevision: revision(from) }) },
    {
      onBatch: ({ events }: WatchBatch) => keys.push(...events.map(({ kv }) => kv.key)),
      onEnd: (reason) => assert.fail(`ended: ${reason.type}`),
    },
  );
  return { keys };
}
