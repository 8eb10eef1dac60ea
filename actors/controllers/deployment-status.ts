/** What a Deployment reports: counts, and the conditions Available and Progressing with Kubernetes' reasons. Pure. */
import { formatTime, parseTime } from '../objects/index.js';
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from '../objects/types/apps.js';
import { available, rollingBounds, sum } from './deployment-decision.js';

export interface StatusView {
  readonly status: DeploymentStatus;
  /** When the progress deadline would pass, if it runs. */
  readonly requeueAfterMs?: number;
}

export function deploymentStatus(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  nowMs: number,
): StatusView {
  const all = [...old, ...(current ? [current] : [])];
  const wanted = deployment.spec?.replicas ?? 1;
  const availableReplicas = sum(all, available);
  const totalReplicas = sum(all, (set) => set.spec?.replicas ?? 0);
  const before = deployment.status;
  const generation = deployment.metadata?.generation;
  const counts: DeploymentStatus = {
    ...(generation !== undefined && { observedGeneration: generation }),
    replicas: sum(all, (set) => set.status?.replicas ?? 0),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: sum(all, (set) => set.status?.readyReplicas ?? 0),
    availableReplicas,
    unavailableReplicas: Math.max(0, totalReplicas - availableReplicas),
    ...(before?.collisionCount !== undefined && { collisionCount: before.collisionCount }),
  };
  const conditions = new Map((before?.conditions ?? []).map((condition) => [condition.type, condition]));
  const enough = availableReplicas >= wanted - rollingBounds(deployment).maxUnavailable;
  setCondition(conditions, nowMs, {
    type: 'Available',
    status: enough ? 'True' : 'False',
    reason: enough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
    message: `Deployment ${enough ? 'has' : 'does not have'} minimum availability.`,
  });
  const requeueAfterMs = progress(deployment, current, counts, conditions, nowMs);
  mirrorFailure(all, conditions, nowMs);
  return {
    status: { ...counts, conditions: [...conditions.values()] },
    ...(requeueAfterMs !== undefined && { requeueAfterMs }),
  };
}

/** Complete, moving, or stuck beyond `progressDeadlineSeconds`. Returns when to look at the deadline again. */
function progress(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  counts: DeploymentStatus,
  conditions: Map<string, DeploymentCondition>,
  nowMs: number,
): number | undefined {
  const wanted = deployment.spec?.replicas ?? 1;
  const name = `ReplicaSet "${current?.metadata?.name ?? ''}"`;
  const before = deployment.status;
  const isComplete =
    counts.updatedReplicas === wanted &&
    counts.replicas === wanted &&
    counts.availableReplicas === wanted &&
    current;
  if (isComplete) {
    const message = `${name} has successfully progressed.`;
    setCondition(conditions, nowMs, {
      type: 'Progressing',
      status: 'True',
      reason: 'NewReplicaSetAvailable',
      message,
    });
    return undefined;
  }
  if (deployment.spec?.paused || !current) return undefined;
  const moved =
    counts.updatedReplicas !== before?.updatedReplicas ||
    counts.readyReplicas !== before?.readyReplicas ||
    counts.availableReplicas !== before?.availableReplicas ||
    counts.replicas !== before?.replicas ||
    counts.observedGeneration !== before?.observedGeneration;
  const last = conditions.get('Progressing');
  if (moved || !last) {
    const update = {
      type: 'Progressing',
      status: 'True',
      reason: 'ReplicaSetUpdated',
      message: `${name} is progressing.`,
    };
    // The time of the last movement restarts the deadline, also when nothing else about the condition changes.
    conditions.set('Progressing', { ...stamped(last, update, nowMs), lastUpdateTime: formatTime(nowMs) });
  }
  const deadlineMs = (deployment.spec?.progressDeadlineSeconds ?? 600) * 1000;
  const since = parseTime(conditions.get('Progressing')?.lastUpdateTime ?? formatTime(nowMs));
  const left = since + deadlineMs - nowMs;
  if (left > 0) return left + 1_000;
  const message = `${name} has timed out progressing.`;
  setCondition(conditions, nowMs, {
    type: 'Progressing',
    status: 'False',
    reason: 'ProgressDeadlineExceeded',
    message,
  });
  return undefined;
}

function mirrorFailure(
  sets: readonly ReplicaSet[],
  conditions: Map<string, DeploymentCondition>,
  nowMs: number,
): void {
  const failure = sets
    .flatMap((set) => set.status?.conditions ?? [])
    .find((condition) => condition.type === 'ReplicaFailure' && condition.status === 'True');
  if (!failure) {
    conditions.delete('ReplicaFailure');
    return;
  }
  const { reason = '', message = '' } = failure;
  setCondition(conditions, nowMs, { type: 'ReplicaFailure', status: 'True', reason, message });
}

type Judgement = Required<Pick<DeploymentCondition, 'type' | 'status' | 'reason' | 'message'>>;

function setCondition(conditions: Map<string, DeploymentCondition>, nowMs: number, next: Judgement): void {
  const last = conditions.get(next.type);
  if (last?.status === next.status && last.reason === next.reason && last.message === next.message) return;
  conditions.set(next.type, stamped(last, next, nowMs));
}

function stamped(last: DeploymentCondition | undefined, next: Judgement, nowMs: number): DeploymentCondition {
  const now = formatTime(nowMs);
  const changed = last?.status !== next.status;
  return {
    ...next,
    lastUpdateTime: now,
    lastTransitionTime: changed ? now : (last?.lastTransitionTime ?? now),
  };
}
