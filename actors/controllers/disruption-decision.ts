/**
 * The judgement of the disruption controller (kubernetes: pkg/controller/disruption): how many pods of a budget are
 * healthy, how many must be, and so how many may be evicted. Pure.
 */
import { formatTime, parseTime } from '../objects/index.js';
import type { Pod } from '../objects/types/core.js';
import type { Condition } from '../objects/types/meta.js';
import type { PodDisruptionBudget, PodDisruptionBudgetStatus } from '../objects/types/policy.js';
import { controllerLimits } from './limits.js';
import { isReady } from './pods.js';
import { shareOf } from './share-of.js';

export interface BudgetDecision {
  readonly status: PodDisruptionBudgetStatus;
  /** An eviction that was allowed but has not happened is forgotten then. */
  readonly requeueAfterMs?: number;
}

/**
 * `pods`: all that the budget selects. `scale`: how many pods their controllers want, or why that is not known, in
 * which case nothing may be disrupted.
 */
export function decideBudget(
  budget: PodDisruptionBudget,
  pods: readonly Pod[],
  scale: number | Error,
  nowMs: number,
): BudgetDecision {
  const { spec, metadata, status: old } = budget;
  const needsScale = spec?.maxUnavailable !== undefined || typeof spec?.minAvailable === 'string';
  const { disruptedPods, requeueAfterMs } = stillDisrupted(budget, pods, nowMs);
  const healthy = pods.filter(
    (pod) =>
      isReady(pod) && !pod.metadata?.deletionTimestamp && !((pod.metadata?.name ?? '') in disruptedPods),
  ).length;
  const failure = needsScale && scale instanceof Error ? scale : undefined;
  const expected = needsScale ? (scale instanceof Error ? 0 : scale) : pods.length;
  const desired = failure ? 0 : desiredHealthy(budget, expected);
  const allowed = failure || expected <= 0 ? 0 : Math.max(0, healthy - desired);
  const generation = metadata?.generation;
  const status: PodDisruptionBudgetStatus = {
    ...(Object.keys(disruptedPods).length > 0 && { disruptedPods }),
    disruptionsAllowed: allowed,
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected,
    ...(generation !== undefined && { observedGeneration: generation }),
    conditions: conditions(old?.conditions ?? [], allowed, failure, generation, nowMs),
  };
  return { status, ...(requeueAfterMs !== undefined && { requeueAfterMs }) };
}

function desiredHealthy({ spec }: PodDisruptionBudget, expected: number): number {
  if (spec?.maxUnavailable !== undefined)
    return Math.max(0, expected - shareOf(spec.maxUnavailable, expected, Math.ceil));
  return spec?.minAvailable === undefined ? 0 : shareOf(spec.minAvailable, expected, Math.ceil);
}

/** Evictions that the apiserver allowed and whose pods have not begun to go yet. */
function stillDisrupted({ status }: PodDisruptionBudget, pods: readonly Pod[], nowMs: number) {
  const disruptedPods: Record<string, string> = {};
  let requeueAfterMs: number | undefined;
  for (const [name, time] of Object.entries(status?.disruptedPods ?? {})) {
    const pod = pods.find(({ metadata }) => metadata?.name === name);
    const leftMs = parseTime(time) + controllerLimits.disruptionWaitMs - nowMs;
    if (!pod || pod.metadata?.deletionTimestamp || leftMs <= 0) continue;
    disruptedPods[name] = time;
    requeueAfterMs = Math.min(requeueAfterMs ?? leftMs, leftMs);
  }
  return { disruptedPods, requeueAfterMs };
}

function conditions(
  before: readonly Condition[],
  allowed: number,
  failure: Error | undefined,
  observedGeneration: number | undefined,
  nowMs: number,
): Condition[] {
  const type = 'DisruptionAllowed';
  const old = before.find((condition) => condition.type === type);
  const status = allowed > 0 ? 'True' : 'False';
  const reason = failure ? 'SyncFailed' : allowed > 0 ? 'SufficientPods' : 'InsufficientPods';
  const since = old?.status === status ? old.lastTransitionTime : formatTime(nowMs);
  const condition: Condition = {
    type,
    status,
    reason,
    message: failure?.message ?? '',
    lastTransitionTime: since,
    ...(observedGeneration !== undefined && { observedGeneration }),
  };
  return [...before.filter((each) => each !== old), condition];
}
