import { strict as assert } from 'node:assert';
import type { WatchBatch } from 'raft-consensus';
import { createStoreClient } from '../../../actors/store/index.js';
import { nodeId } from '../../../transport/index.js';
import { SmallGroup } from './small-group.js';

describe('very many watches of one client', () => {
  it('share letters: a write costs some, and so do signs of life; each has its events once and in order', async () => {
    const group = new SmallGroup('crowd', { members: ['m1'], store: { watchesPerTurn: 100 } });
    const watches = crowd(group, 'front', 1_000);
    await group.world.run(() => watches.every(({ reached }) => reached > 0));
    const letters = () => ({
      batch: group.sent('StoreWatchBatch'),
      alive: group.sent('StoreWatchAlive'),
      opened: group.sent('StoreWatch'),
    });
    const before = letters();
    await group.put('/k0');
    await group.put('/k1');
    await group.world.run(() => watches.every(({ keys }) => keys.length === 2));
    for (const { keys } of watches) assert.deepEqual(keys, ['/k0', '/k1']);
    assert.ok(letters().batch - before.batch <= 2 * 10 + 2);
    const quiet = letters();
    await group.wait(10_000);
    const after = letters();
    assert.equal(after.batch, quiet.batch);
    // Each hears of the member once a second or so, a hundred to a letter; none went elsewhere.
    const alive = after.alive - quiet.alive;
    assert.ok(alive >= 50 && alive <= 250, `${alive} letters`);
    assert.equal(after.opened, quiet.opened);
  });

  it('do not suffer from one of them whose handler fails', async () => {
    const group = new SmallGroup('one-fails', { members: ['m1'] });
    const watches = crowd(group, 'front', 3, (key) => {
      if (key === '/bad') throw new Error('this handler fails');
    });
    await group.world.run(() => watches.every(({ reached }) => reached > 0));
    for (const key of ['/k0', '/bad', '/k1']) await group.put(key);
    await group.world.run(() => watches.slice(1).every(({ keys }) => keys.length === 3));
    for (const { keys } of watches.slice(1)) assert.deepEqual(keys, ['/k0', '/bad', '/k1']);
  });

  it('hear of no progress that is behind what they heard before, when signs of life overtake each other', async () => {
    const group = new SmallGroup('overtaken', { members: ['m1'] });
    const heard: number[] = [];
    const client = createStoreClient({ system: group.world.system(nodeId('front')), members: group.refs });
    client.watch(
      { key: 'quiet' },
      { onBatch: ({ revision }) => heard.push(revision), onEnd: () => assert.fail() },
    );
    await group.world.run(() => heard.length > 0);
    group.world.network.faults.add({
      id: 'overtaken',
      from: ['m1'],
      to: ['front'],
      kinds: ['StoreWatchAlive'],
      action: { type: 'reorder', probability: 0.5, windowMs: 3_000 },
    });
    for (let at = 0; at < 100; at++) {
      await group.put(`/k${at}`);
      await group.wait(300);
    }
    assert.ok(heard.length > 10);
    assert.deepEqual(
      heard,
      heard.toSorted((a, b) => a - b),
    );
  });

  it('end with their client, and then take nothing of the member', async () => {
    const group = new SmallGroup('client-ends', { members: ['m1'] });
    const watches = crowd(group, 'front', 50);
    await group.world.run(() => watches.every(({ reached }) => reached > 0));
    assert.equal((await group.do(group.client.measures())).watchers, 50);
    group.world.kill(nodeId('front'));
    await group.wait(30_000);
    assert.equal((await group.do(group.client.measures())).watchers, 0);
  });
});

function crowd(group: SmallGroup, name: string, count: number, failsAt?: (key: string) => void) {
  const client = createStoreClient({ system: group.world.system(nodeId(name)), members: group.refs });
  return Array.from({ length: count }, (_, at) => {
    const watch = { keys: [] as string[], reached: 0 };
    client.watch(
      { key: '/', rangeEnd: '0' },
      {
        onBatch: ({ revision, events }: WatchBatch) => {
          watch.reached = revision;
          for (const { kv } of events) {
            if (at === 0) failsAt?.(kv.key);
            watch.keys.push(kv.key);
          }
        },
        onEnd: (reason) => assert.fail(`ended: ${reason.type}`),
      },
    );
    return watch;
  });
}
