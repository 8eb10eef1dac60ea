/** The machine's clock and chance for tests of edges. */
import { randomBytes } from 'node:crypto';
import type { Clock, Random } from '../../../transport/index.js';

export const realClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  defer: (callback) => void setImmediate(callback),
};

export const realRandom: Random = {
  next: () => Math.random(),
  integer: (below) => Math.floor(Math.random() * below),
  hex: (length) => randomBytes(length).toString('hex'),
};

/** Waits for a condition, level-triggered and bounded. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  boundMs = 8000,
): Promise<void> {
  const end = performance.now() + boundMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${boundMs} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
