/**
 * The judgement of the garbage collector over one object, given what a live look at its owners found (kubernetes:
 * garbagecollector.go, attemptToDeleteItem). Pure.
 */
import type { ObjectMeta, OwnerReference } from '../objects/meta.js';
import { foregroundFinalizer, orphanFinalizer } from './owner-graph.js';

/**
 * `absent`: nothing with this uid exists. `waiting`: it is being deleted and waits for its dependents.
 * `unknown`: its kind cannot be looked up, so nobody may say that it is gone.
 */
export type OwnerState = 'present' | 'waiting' | 'absent' | 'unknown';

export interface JudgedOwner {
  readonly reference: OwnerReference;
  readonly state: OwnerState;
}

export type GarbageVerdict =
  | { readonly type: 'keep' }
  /** Others still own it: only let go of these. */
  | { readonly type: 'release'; readonly uids: readonly string[] }
  | {
      readonly type: 'delete';
      readonly policy: 'Background' | 'Foreground' | 'Orphan';
      /** Its own dependents wait for it in a circle: it must not block its owner. */
      readonly unblock: boolean;
    };

export function decideGarbage(
  metadata: ObjectMeta,
  owners: readonly JudgedOwner[],
  dependents: { readonly any: boolean; readonly waiting: boolean },
): GarbageVerdict {
  if (owners.length === 0 || owners.some(({ state }) => state === 'unknown')) return { type: 'keep' };
  const gone = owners.filter(({ state }) => state !== 'present').map(({ reference }) => reference.uid);
  if (gone.length === 0) return { type: 'keep' };
  if (gone.length < owners.length) return { type: 'release', uids: gone };
  if (metadata.deletionTimestamp) return { type: 'keep' };
  if (owners.some(({ state }) => state === 'waiting') && dependents.any) {
    return { type: 'delete', policy: 'Foreground', unblock: dependents.waiting };
  }
  return { type: 'delete', policy: policyOf(metadata), unblock: false };
}

/** What a finalizer on it has already chosen. */
function policyOf({ finalizers = [] }: ObjectMeta): 'Background' | 'Foreground' | 'Orphan' {
  if (finalizers.includes(orphanFinalizer)) return 'Orphan';
  return finalizers.includes(foregroundFinalizer) ? 'Foreground' : 'Background';
}
