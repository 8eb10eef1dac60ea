/** The real environment, as far as it can be told from outside. */
import { strict as assert } from 'node:assert';
import { createRealEnv, realClock } from '../../../actors/runtime/index.js';

const env = createRealEnv({
  disk: () => Promise.reject(new Error('no disk in this test')),
  link: () => {
    throw new Error('no link in this test');
  },
});

describe('the real environment', () => {
  it('fires timers after their delay, and not when they were cancelled', async () => {
    const startMs = realClock.monotonicMs();
    let cancelled = false;
    realClock.setTimer(1, () => (cancelled = true)).cancel();
    await new Promise<void>((resolve) => realClock.setTimer(10, resolve));
    assert(realClock.monotonicMs() - startMs >= 9);
    assert.equal(cancelled, false);
  });

  it('does not fire a timer at once that is longer than the platform can count', async () => {
    let fired = false;
    const timer = realClock.setTimer(2 ** 31 + 10, () => (fired = true));
    await new Promise<void>((resolve) => realClock.setTimer(5, resolve));
    timer.cancel();
    assert.equal(fired, false);
  });

  it('defers in the order of the calls', async () => {
    const order: number[] = [];
    for (let n = 0; n < 3; n++) realClock.defer(() => order.push(n));
    assert.deepEqual(order, []);
    await new Promise<void>((resolve) => realClock.defer(resolve));
    assert.deepEqual(order, [0, 1, 2]);
  });

  it('makes version 4 UUIDs and random hex of the length asked for', () => {
    assert.match(env.uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.match(env.random.hex(7), /^[0-9a-f]{14}$/);
    const drawn = env.random.integer(3);
    assert(drawn >= 0 && drawn < 3);
  });
});
