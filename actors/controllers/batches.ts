/**
 * Slow start (kubernetes: slowStartBatch): 1, 2, 4 ... calls side by side, so that a kind of call that fails is tried
 * once and not N times.
 */
import { controllerLimits } from './limits.js';

/** Rejects with the first failure, after its batch has ended; later batches are then not begun. */
export async function inBatches(count: number, call: (index: number) => Promise<void>): Promise<void> {
  let begun = 0;
  let size = 1;
  while (begun < count) {
    const first = begun;
    const batch = Math.min(size, count - begun, controllerLimits.parallelWritesMax);
    const results = await Promise.allSettled(Array.from({ length: batch }, (_, i) => call(first + i)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    begun += batch;
    size *= 2;
  }
}
