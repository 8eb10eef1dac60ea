/** Promises that other code settles, and promises that are not waited for longer than a bound. */
import type { Clock } from '../../transport/index.js';

export interface Deferred<T = void> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** True when `work` was done within `withinMs`; rejects as `work` does. */
export async function bounded(clock: Clock, work: Promise<unknown>, withinMs: number): Promise<boolean> {
  const late = deferred<boolean>();
  const timer = clock.setTimer(withinMs, () => late.resolve(false));
  try {
    return await Promise.race([work.then(() => true), late.promise]);
  } finally {
    timer.cancel();
  }
}
