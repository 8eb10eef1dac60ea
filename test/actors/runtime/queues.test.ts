/** The two queues that everything waits in. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { EventQueue } from '../../../actors/runtime/event-queue.js';
import { Fifo } from '../../../actors/runtime/mailbox.js';

describe('first-in first-out queue', () => {
  it('keeps the order over any mix of pushes and shifts', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -400, max: 700 }), { maxLength: 30 }), (moves) => {
        const queue = new Fifo<number>();
        const model: number[] = [];
        let next = 0;
        for (const move of moves) {
          for (let n = 0; n < move; n++, next++) {
            queue.push(next);
            model.push(next);
          }
          for (let n = 0; n > move; n--) assert.equal(queue.shift(), model.shift());
          assert.equal(queue.length, model.length);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('event queue of the simulator', () => {
  it('gives out events by time, then by the order of their planning', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 20 }), { maxLength: 200 }), (times) => {
        const queue = new EventQueue();
        const life = { alive: true };
        for (const at of times) queue.push(at, life, () => {});
        const popped = times.map(() => queue.pop()!);
        const expected = popped.toSorted((a, b) => a.atMs - b.atMs || a.seq - b.seq);
        assert.deepEqual(popped, expected);
        assert.equal(queue.pop(), undefined);
      }),
    );
  });
});
