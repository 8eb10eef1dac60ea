/**
 * No key goes with its lease before the lease's time is over, counted from before it was asked for. Lease time is the
 * leaders' wall clocks, as the log carries them: where the simulator moves these, a lease may end early by as much as two
 * clocks can differ, and no more.
 */
import type { StoreGroup } from './store-group.js';

interface Leased {
  readonly key: string;
  readonly notBeforeMs: number;
  readonly revoked: boolean;
}

export function checkLeases({ swarm, truth, fail }: StoreGroup, leased: readonly Leased[]): void {
  const skewMs = swarm.faults.has('clock-jump') ? 2 * swarm.clockOffsetMs : 0;
  const byKey = new Map(leased.map((one) => [one.key, one]));
  for (const change of truth.changes) {
    if (!change.key.startsWith('/lease/') || !change.deleted) continue;
    const lease = byKey.get(change.key);
    if (!lease) fail(`${change.key} was leased by nobody and is gone at ${change.mod}`);
    const atMs = truth.appliedAtMs(change.mod);
    if (lease!.revoked || atMs + skewMs + 1 >= lease!.notBeforeMs) continue;
    fail(`${change.key} went ${(lease!.notBeforeMs - atMs).toFixed(1)} ms before its lease ended`);
  }
}
