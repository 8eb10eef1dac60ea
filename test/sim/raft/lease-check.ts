/**
 * No key goes with its lease before the lease's time is over, counted from before it was asked for, whatever the wall clocks of
 * the members do meanwhile. Their monotonic clocks may run at a wrong rate, and a lease be shorter by as much.
 */
import type { Leased } from './lease-holder.js';
import type { Truth } from './truth.js';

export interface LeaseCheckOptions {
  readonly truth: Truth;
  readonly leased: readonly Leased[];
  /** How much faster than real time a member's monotonic clock may run. */
  readonly clockDriftMax: number;
  readonly fail: (message: string) => never;
}

export function checkLeases({ truth, leased, clockDriftMax, fail }: LeaseCheckOptions): void {
  const byKey = new Map(leased.map((one) => [one.key, one]));
  for (const change of truth.changes) {
    if (!change.key.startsWith('/lease/') || !change.deleted) continue;
    const lease = byKey.get(change.key);
    if (!lease) fail(`${change.key} was leased by nobody and is gone at ${change.mod}`);
    const atMs = truth.appliedAtMs(change.mod);
    const driftMs = lease!.ttlMs * clockDriftMax;
    if (lease!.revoked || atMs + driftMs + 1 >= lease!.notBeforeMs) continue;
    fail(`${change.key} went ${(lease!.notBeforeMs - atMs).toFixed(1)} ms before its lease ended`);
  }
}
