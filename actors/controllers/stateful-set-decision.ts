/**
 * The judgement of the StatefulSet controller (kubernetes: pkg/controller/statefulset): pods with ordinals, made in
 * order and ended in reverse, one at a time unless the set says `Parallel`. Pure.
 */
import type { StatefulSet, StatefulSetStatus } from '../objects/types/apps.js';
import type { Pod } from '../objects/types/core.js';
import { availableInMs, isReady } from './pods.js';
import { revisionHashLabel } from './revisions.js';

export interface StatefulDecision {
  readonly create: readonly { readonly ordinal: number; readonly revision: string }[];
  readonly remove: readonly Pod[];
  readonly status: StatefulSetStatus;
  readonly requeueAfterMs?: number;
}

/** `update`: name of the revision of the present template. `pods`: those that the set controls. */
export function decideStatefulSet(
  set: StatefulSet,
  pods: readonly Pod[],
  update: string,
  nowMs: number,
): StatefulDecision {
  const { replicas = 1, minReadySeconds = 0 } = set.spec ?? {};
  const byOrdinal = new Map(pods.map((pod) => [ordinalOf(set, pod), pod]));
  const isAvailable = (pod: Pod | undefined) =>
    pod !== undefined && isAlive(pod) && availableInMs(pod, minReadySeconds, nowMs) === 0;
  const current = set.status?.currentRevision ?? update;
  const plan: Plan = { set, byOrdinal, current, update, isAvailable };
  const steps = set.metadata?.deletionTimestamp ? { create: [], remove: [] } : stepsOf(plan);
  const alive = pods.filter((pod) => isAlive(pod) && ordinalOf(set, pod) !== undefined);
  const at = (revision: string) => alive.filter((pod) => revisionOf(pod) === revision).length;
  const updated = at(update);
  const isRolled = updated === replicas && alive.length === replicas && alive.every(isReady);
  const pending = alive
    .map((pod) => availableInMs(pod, minReadySeconds, nowMs))
    .filter((ms): ms is number => ms !== undefined && ms > 0);
  const generation = set.metadata?.generation;
  return {
    ...steps,
    status: {
      replicas: alive.length,
      readyReplicas: alive.filter(isReady).length,
      availableReplicas: alive.filter(isAvailable).length,
      currentReplicas: isRolled ? updated : at(current),
      updatedReplicas: updated,
      currentRevision: isRolled ? update : current,
      updateRevision: update,
      collisionCount: set.status?.collisionCount ?? 0,
      ...(generation !== undefined && { observedGeneration: generation }),
    },
    ...(pending.length > 0 && { requeueAfterMs: Math.min(...pending) }),
  };
}

/** Undefined for a pod that has not one of the set's names. */
function ordinalOf(set: StatefulSet, { metadata }: Pod): number | undefined {
  const prefix = `${set.metadata?.name}-`;
  const name = metadata?.name ?? '';
  const digits = name.startsWith(prefix) ? name.slice(prefix.length) : '';
  return /^\d+$/.test(digits) ? Number(digits) : undefined;
}

interface Plan {
  readonly set: StatefulSet;
  readonly byOrdinal: ReadonlyMap<number | undefined, Pod>;
  readonly current: string;
  readonly update: string;
  readonly isAvailable: (pod: Pod | undefined) => boolean;
}

function stepsOf(plan: Plan): Pick<StatefulDecision, 'create' | 'remove'> {
  const { set, byOrdinal, isAvailable } = plan;
  const inOrder = set.spec?.podManagementPolicy !== 'Parallel';
  const first = set.spec?.ordinals?.start ?? 0;
  const end = first + (set.spec?.replicas ?? 1);
  const create: { ordinal: number; revision: string }[] = [];
  const remove: Pod[] = [];
  for (let ordinal = first; ordinal < end; ordinal += 1) {
    const pod = byOrdinal.get(ordinal);
    if (!pod) create.push({ ordinal, revision: revisionFor(plan, ordinal) });
    else if (hasEnded(pod) && !pod.metadata?.deletionTimestamp) remove.push(pod);
    if (inOrder && !isAvailable(pod)) return { create, remove };
  }
  const condemned = [...byOrdinal]
    .filter(([ordinal]) => ordinal !== undefined && (ordinal < first || ordinal >= end))
    .sort(([a = 0], [b = 0]) => b - a);
  for (const [, pod] of condemned) {
    if (!pod.metadata?.deletionTimestamp) remove.push(pod);
    if (inOrder) return { create, remove };
  }
  if (create.length === 0 && remove.length === 0) remove.push(...nextToUpdate(plan, first, end));
  return { create, remove };
}

/** From the last ordinal down to the partition, the next one only when the one before is well again. */
function nextToUpdate({ set, byOrdinal, update, isAvailable }: Plan, first: number, end: number): Pod[] {
  const { type, rollingUpdate } = set.spec?.updateStrategy ?? {};
  if (type === 'OnDelete') return [];
  for (let ordinal = end - 1; ordinal >= first + (rollingUpdate?.partition ?? 0); ordinal -= 1) {
    const pod = byOrdinal.get(ordinal);
    if (pod && revisionOf(pod) !== update) return pod.metadata?.deletionTimestamp ? [] : [pod];
    if (!isAvailable(pod)) return [];
  }
  return [];
}

/** Below the partition pods come back as they were. */
function revisionFor({ set, current, update }: Plan, ordinal: number): string {
  const partition = set.spec?.updateStrategy?.rollingUpdate?.partition ?? 0;
  return ordinal < (set.spec?.ordinals?.start ?? 0) + partition ? current : update;
}

function revisionOf({ metadata }: Pod): string | undefined {
  return metadata?.labels?.[revisionHashLabel];
}

function isAlive(pod: Pod): boolean {
  return !pod.metadata?.deletionTimestamp && !hasEnded(pod);
}

function hasEnded({ status }: Pod): boolean {
  return status?.phase === 'Failed' || status?.phase === 'Succeeded';
}
