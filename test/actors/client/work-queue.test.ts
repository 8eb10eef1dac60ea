import { strict as assert } from 'node:assert';
import { WorkQueue } from '../../../actors/client/index.js';
import type { Cause } from '../../../actors/runtime/index.js';
import { causeNamed, ManualClock } from './manual-env.js';

describe('work queue', () => {
  let clock: ManualClock;
  let cause: Cause | undefined;
  let ready: number;
  let queue: WorkQueue;

  beforeEach(() => {
    clock = new ManualClock();
    cause = undefined;
    ready = 0;
    queue = new WorkQueue({
      clock,
      cause: () => cause,
      onReady: () => {
        ready += 1;
      },
      limits: { retryMinMs: 10, retryMaxMs: 100, keysMax: 3 },
    });
  });

  it('holds a key once, under the cause of its last add', () => {
    cause = causeNamed('first');
    queue.add('a');
    cause = causeNamed('second');
    queue.add('a');
    assert.deepEqual(queue.take(), { key: 'a', cause: causeNamed('second') });
    assert.equal(queue.take(), undefined);
  });

  it('does not hand out a key that is being worked on, but afterwards', () => {
    queue.add('a');
    queue.take();
    cause = causeNamed('meanwhile');
    queue.add('a');
    assert.equal(queue.take(), undefined);
    queue.done('a');
    assert.deepEqual(queue.take(), { key: 'a', cause: causeNamed('meanwhile') });
  });

  it('pauses twice as long after every failure, up to the maximum, until the key is forgotten', async () => {
    const pauses = [1, 2, 3, 4, 5, 6].map(() => queue.addRateLimited('a'));
    assert.deepEqual(pauses, [10, 20, 40, 80, 100, 100]);
    queue.forget('a');
    assert.equal(queue.addRateLimited('b'), 10);
    assert.equal(queue.addRateLimited('a'), 10);
  });

  it('lets the earliest of several delays count and keeps the cause over the wait', async () => {
    cause = causeNamed('failed here');
    queue.addAfter('a', 50);
    queue.addAfter('a', 20);
    queue.addAfter('a', 90);
    cause = undefined;
    await clock.advance(19);
    assert.equal(ready, 0);
    await clock.advance(1);
    assert.equal(ready, 1);
    assert.deepEqual(queue.take(), { key: 'a', cause: causeNamed('failed here') });
    queue.done('a');
    await clock.advance(100);
    assert.equal(queue.take(), undefined);
  });

  it('cancels its timers and takes nothing more when stopped', async () => {
    queue.addAfter('a', 10);
    queue.add('b');
    queue.stop();
    queue.add('c');
    assert.equal(clock.timerCount, 0);
    assert.equal(queue.length, 0);
  });

  it('treats more keys than there can be as a bug', () => {
    assert.throws(() => ['a', 'b', 'c', 'd'].forEach((key) => queue.add(key)), /more than 3 keys/);
  });
});
