/** The judgement of ReplicaSet and ReplicationController: how many pods to make, which to delete, what to report. Pure. */
import { formatTime, type LabelSelector } from '../objects/index.js';
import type { ReplicaSet, ReplicaSetCondition, ReplicaSetStatus } from '../objects/types/apps.js';
import type { Pod, ReplicationController } from '../objects/types/core.js';
import { controllerLimits } from './limits.js';
import { claim } from './ownership.js';
import { availableInMs, byDeletionOrder, isActive, isReady } from './pods.js';

/** Both kinds, seen alike: their specs and statuses have the same fields. */
export type Replicated = ReplicaSet | ReplicationController;

export interface ReplicaDecision {
  readonly create: number;
  readonly remove: readonly Pod[];
  readonly adopt: readonly Pod[];
  readonly release: readonly Pod[];
  readonly status: ReplicaSetStatus;
  /** A pod becomes available without any event: look again then. */
  readonly requeueAfterMs?: number;
}

export function decideReplicas(
  owner: Replicated,
  selector: LabelSelector,
  candidates: readonly Pod[],
  nowMs: number,
): ReplicaDecision {
  const { owned, adopt, release } = claim(owner, selector, candidates.filter(isActive));
  const active = [...owned, ...adopt];
  const wanted = owner.spec?.replicas ?? 1;
  const minReadySeconds = owner.spec?.minReadySeconds ?? 0;
  const templateLabels = owner.spec?.template?.metadata?.labels ?? {};
  const waits = active.map((pod) => availableInMs(pod, minReadySeconds, nowMs));
  const pending = waits.filter((ms): ms is number => ms !== undefined && ms > 0);
  const isGoing = owner.metadata?.deletionTimestamp !== undefined;
  const missing = Math.min(wanted - active.length, controllerLimits.podBurstMax);
  const surplus = Math.min(active.length - wanted, controllerLimits.podBurstMax);
  const generation = owner.metadata?.generation;
  return {
    create: isGoing ? 0 : Math.max(0, missing),
    remove: isGoing || surplus <= 0 ? [] : byDeletionOrder(active).slice(0, surplus),
    adopt,
    release,
    status: {
      replicas: active.length,
      fullyLabeledReplicas: active.filter((pod) => hasLabels(pod, templateLabels)).length,
      readyReplicas: active.filter(isReady).length,
      availableReplicas: waits.filter((ms) => ms === 0).length,
      ...(generation !== undefined && { observedGeneration: generation }),
    },
    ...(pending.length > 0 && { requeueAfterMs: Math.min(...pending) }),
  };
}

/** The status with its ReplicaFailure condition set or removed. `failure` undefined: the step went well. */
export function withFailure(
  old: Replicated['status'],
  decision: ReplicaDecision,
  failure: unknown,
  nowMs: number,
): ReplicaSetStatus {
  const conditions = (old?.conditions ?? []) as ReplicaSetCondition[];
  const others = conditions.filter((condition) => condition.type !== 'ReplicaFailure');
  if (failure === undefined)
    return others.length > 0 ? { ...decision.status, conditions: others } : decision.status;
  const before = conditions.find((condition) => condition.type === 'ReplicaFailure');
  const condition: ReplicaSetCondition = {
    type: 'ReplicaFailure',
    status: 'True',
    lastTransitionTime: before?.lastTransitionTime ?? formatTime(nowMs),
    reason: decision.create > 0 ? 'FailedCreate' : 'FailedDelete',
    message: failure instanceof Error ? failure.message : String(failure),
  };
  return { ...decision.status, conditions: [...others, condition] };
}

function hasLabels(pod: Pod, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(([key, value]) => pod.metadata?.labels?.[key] === value);
}
