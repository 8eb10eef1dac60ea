/**
 * Who controls what (API conventions: controller references). A controller adopts orphans that its selector matches and
 * lets go of what it no longer matches; what another controls is none of its business. Pure.
 */
import type { LabelSelector } from '../objects/index.js';
import type { KubeObject, OwnerReference } from '../objects/meta.js';

export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata?.ownerReferences?.find((reference) => reference.controller === true);
}

export function controllerReference(owner: KubeObject, apiVersion: string, kind: string): OwnerReference {
  const { name = '', uid = '' } = owner.metadata ?? {};
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

export interface Claim<T> {
  /** Controlled already, and the selector still matches. */
  readonly owned: readonly T[];
  readonly adopt: readonly T[];
  readonly release: readonly T[];
}

/** Sorts objects of the owner's namespace; an owner that is being deleted takes and lets go of nothing. */
export function claim<T extends KubeObject>(
  owner: KubeObject,
  selector: LabelSelector,
  candidates: readonly T[],
): Claim<T> {
  const owned: T[] = [];
  const adopt: T[] = [];
  const release: T[] = [];
  const isGoing = owner.metadata?.deletionTimestamp !== undefined;
  for (const candidate of candidates) {
    const matches = selector.matches(candidate.metadata?.labels ?? {});
    const controller = controllerOf(candidate);
    if (controller) {
      if (controller.uid !== owner.metadata?.uid) continue;
      if (matches) owned.push(candidate);
      else if (!isGoing) release.push(candidate);
    } else if (matches && !isGoing && !candidate.metadata?.deletionTimestamp) {
      adopt.push(candidate);
    }
  }
  return { owned, adopt, release };
}

/** A strategic merge patch; the uid makes it fail on an object that was recreated. */
export function adoptionPatch(object: KubeObject, reference: OwnerReference): unknown {
  return { metadata: { uid: object.metadata?.uid, ownerReferences: [reference] } };
}

export function releasePatch(object: KubeObject, ownerUid: string | undefined): unknown {
  return { metadata: { uid: object.metadata?.uid, ownerReferences: [{ $patch: 'delete', uid: ownerUid }] } };
}
