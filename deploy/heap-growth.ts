/**
 * How much room V8 gives in the heaps of a machine to what dies, young and old. Left alone, it lets a small old generation
 * become a multiple first, and counts little of what its objects hold elsewhere, as entries of the log do: 40 MiB of a log
 * that was cut long ago.
 */
import { setFlagsFromString } from 'node:v8';

/** When they have grown by so much since they were last looked through. */
export const heapGrowthPercent = {
  machine: 50,
  /** It is there to be loaded, and more often would cost its front a fortieth of its time. */
  storeAlone: 100,
} as const;

/** Half of where what dies young lives in a main thread; V8 takes up to three times as much. */
export const semiSpaceMiB = {
  machine: 4,
  storeAlone: 16,
} as const;

/**
 * All of it, in the thread of a store: three halves. A store alone is there to be loaded: with half of this it spends half as
 * much again on a put, with twice as much it holds 12 MiB more and is no faster.
 */
export const storeThreadYoungMiB = {
  machine: 8,
  storeAlone: 24,
} as const;

/** Of all threads, from their next collection on. To be called when they have started: until then heaps grow because they must. */
export function limitHeapGrowth(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}
