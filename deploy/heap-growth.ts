/**
 * When V8 looks for what is dead in the old generations of a machine: left alone, it lets a small one become a multiple first,
 * and counts little of what its objects hold elsewhere, as entries of the log do: 40 MiB of a log that was cut long ago.
 */
import { setFlagsFromString } from 'node:v8';

/** When they have grown by so much since they were last looked through. */
export const heapGrowthPercent = {
  machine: 50,
  /** It is there to be loaded, and more often would cost its front a fortieth of its time. */
  storeAlone: 100,
} as const;

/** Of all threads, from their next collection on. To be called when they have started: until then heaps grow because they must. */
export function limitHeapGrowth(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}
