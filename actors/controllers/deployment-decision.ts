/**
 * The judgement of the Deployment controller (kubernetes/pkg/controller/deployment): given a deployment and its
 * replica sets, the next steps. Pure; each call moves one step closer, so it can be interrupted anywhere.
 */
import type { Deployment, ReplicaSet } from '../objects/types/apps.js';
import type { PodTemplateSpec } from '../objects/types/core.js';
import { proportionalSizes } from './proportional-scaling.js';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
export const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxAnnotation = 'deployment.kubernetes.io/max-replicas';
export const hashLabel = 'pod-template-hash';

export type DeploymentAction =
  /** Make the replica set of the current template with so many replicas. */
  | { readonly type: 'create'; readonly replicas: number; readonly revision: number }
  | { readonly type: 'scale'; readonly set: ReplicaSet; readonly replicas: number }
  /** Annotations that differ from what they should be. */
  | {
      readonly type: 'annotate';
      readonly set: ReplicaSet;
      readonly annotations: Readonly<Record<string, string>>;
    }
  | { readonly type: 'delete'; readonly set: ReplicaSet };

export interface DeploymentDecision {
  readonly actions: readonly DeploymentAction[];
  /** The replica set of the current template, if it exists. */
  readonly current: ReplicaSet | undefined;
  /** All others, oldest first. */
  readonly old: readonly ReplicaSet[];
  /** For the deployment's own annotation. */
  readonly revision: number;
}

/** `oldPodsRunning`: pods of old replica sets still exist, terminating ones included (Recreate waits for them). */
export function decideDeployment(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  oldPodsRunning: boolean,
): DeploymentDecision {
  const ordered = [...sets].sort(byAge);
  const current = ordered.find((set) => sameTemplate(set.spec?.template, deployment.spec?.template));
  const old = ordered.filter((set) => set !== current);
  const newestOld = Math.max(0, ...old.map(revisionOf));
  const own = current ? revisionOf(current) : 0;
  // A template that comes back, as after a rollback, becomes the newest revision again.
  const revision = own > newestOld ? own : newestOld + 1;
  return { actions: steps({ deployment, current, old, revision }, oldPodsRunning), current, old, revision };
}

interface Plan {
  readonly deployment: Deployment;
  readonly current: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
  readonly revision: number;
}

function steps(plan: Plan, oldPodsRunning: boolean): readonly DeploymentAction[] {
  const { deployment, current, old } = plan;
  if (deployment.metadata?.deletionTimestamp) return [];
  const annotations = annotate(plan);
  const paused = deployment.spec?.paused === true;
  if (paused || isScalingEvent(deployment, [...old, ...(current ? [current] : [])])) {
    return [...annotations, ...scaleToSize(plan)];
  }
  const rollout =
    deployment.spec?.strategy?.type === 'Recreate' ? recreate(plan, oldPodsRunning) : roll(plan);
  const actions = [...annotations, ...rollout];
  return rollout.length > 0 ? actions : [...actions, ...cleanUp(plan)];
}

/** Old ones to zero, wait until their pods are gone, then the new one at full size. */
function recreate({ deployment, current, old, revision }: Plan, oldPodsRunning: boolean): DeploymentAction[] {
  const down = old.filter((set) => sizeOf(set) > 0).map((set) => scale(set, 0));
  if (down.length > 0 || oldPodsRunning) return down;
  const wanted = deployment.spec?.replicas ?? 1;
  if (!current) return [{ type: 'create', replicas: wanted, revision }];
  return sizeOf(current) === wanted ? [] : [scale(current, wanted)];
}

function roll({ deployment, current, old, revision }: Plan): DeploymentAction[] {
  const wanted = deployment.spec?.replicas ?? 1;
  const { maxSurge, maxUnavailable } = rollingBounds(deployment);
  const oldSize = sum(old, sizeOf);
  const room = wanted + maxSurge - oldSize - (current ? sizeOf(current) : 0);
  if (!current) return [{ type: 'create', replicas: Math.max(0, Math.min(wanted, room)), revision }];
  if (sizeOf(current) > wanted) return [scale(current, wanted)];
  if (sizeOf(current) < wanted && room > 0)
    return [scale(current, sizeOf(current) + Math.min(room, wanted - sizeOf(current)))];
  return oldSize > 0 ? shrinkOld({ deployment, current, old, revision }, wanted - maxUnavailable) : [];
}

/** Unhealthy old pods first, since they serve nobody; then as many as availability allows. */
function shrinkOld({ current, old }: Plan, minAvailable: number): DeploymentAction[] {
  if (!current) return [];
  const total = sum([...old, current], sizeOf);
  const newUnavailable = sizeOf(current) - available(current);
  let removable = total - minAvailable - newUnavailable;
  const sizes = new Map(old.map((set) => [set, sizeOf(set)]));
  const take = (set: ReplicaSet, count: number) => {
    sizes.set(set, (sizes.get(set) ?? 0) - count);
    removable -= count;
  };
  for (const set of old) {
    if (removable <= 0) break;
    const unhealthy = sizeOf(set) - available(set);
    if (unhealthy > 0) take(set, Math.min(removable, unhealthy));
  }
  let spare = sum([...old, current], available) - minAvailable;
  for (const set of old) {
    const size = sizes.get(set) ?? 0;
    const count = Math.min(spare, size, Math.max(0, removable));
    if (count <= 0) continue;
    take(set, count);
    spare -= count;
  }
  return old.filter((set) => sizes.get(set) !== sizeOf(set)).map((set) => scale(set, sizes.get(set) ?? 0));
}

/** The deployment's size changed in the middle of a rollout, or while it is paused. */
function scaleToSize({ deployment, current, old }: Plan): DeploymentAction[] {
  const wanted = deployment.spec?.replicas ?? 1;
  const active = [...old, ...(current ? [current] : [])].filter((set) => sizeOf(set) > 0);
  const only = active.length === 0 ? current : active.length === 1 ? active[0] : undefined;
  if (only) return sizeOf(only) === wanted ? [] : [scale(only, wanted)];
  if (current && current === active.at(-1) && sizeOf(current) === wanted && available(current) === wanted) {
    return old.filter((set) => sizeOf(set) > 0).map((set) => scale(set, 0));
  }
  if (deployment.spec?.strategy?.type === 'Recreate') return [];
  const allowed = wanted > 0 ? wanted + rollingBounds(deployment).maxSurge : 0;
  const sizes = proportionalSizes(
    active.map((set) => ({
      set,
      size: sizeOf(set),
      max: Number(set.metadata?.annotations?.[maxAnnotation]),
    })),
    allowed,
  );
  return sizes.filter(({ set, size }) => size !== sizeOf(set)).map(({ set, size }) => scale(set, size));
}

function isScalingEvent(deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
  const wanted = deployment.spec?.replicas ?? 1;
  return sets.some((set) => {
    const desired = set.metadata?.annotations?.[desiredAnnotation];
    return sizeOf(set) > 0 && desired !== undefined && Number(desired) !== wanted;
  });
}

/** Replica sets carry the deployment's annotations, its size, and the current one the newest revision. */
function annotate({ deployment, current, revision }: Plan): DeploymentAction[] {
  const wanted = deployment.spec?.replicas ?? 1;
  const sizes = sizeAnnotations(deployment);
  const actions: DeploymentAction[] = [];
  if (current) {
    const target = { ...inherited(deployment), ...sizes, [revisionAnnotation]: String(revision) };
    const changed = Object.entries(target).filter(
      ([key, value]) => current.metadata?.annotations?.[key] !== value,
    );
    // While the size follows a scaling event, the old desired size must stay visible until it is applied.
    const isStale = isScalingEvent(deployment, [current]) && sizeOf(current) !== wanted;
    const kept = isStale
      ? changed.filter(([key]) => key !== desiredAnnotation && key !== maxAnnotation)
      : changed;
    if (kept.length > 0)
      actions.push({ type: 'annotate', set: current, annotations: Object.fromEntries(kept) });
  }
  return actions;
}

export function sizeAnnotations(deployment: Deployment): Record<string, string> {
  const wanted = deployment.spec?.replicas ?? 1;
  const max =
    deployment.spec?.strategy?.type === 'Recreate' ? wanted : wanted + rollingBounds(deployment).maxSurge;
  return { [desiredAnnotation]: String(wanted), [maxAnnotation]: String(max) };
}

/** The deployment's annotations that its replica sets share; kubectl's and our own bookkeeping stay behind. */
export function inherited(deployment: Deployment): Record<string, string> {
  const own = new Set([
    'kubectl.kubernetes.io/last-applied-configuration',
    revisionAnnotation,
    'deployment.kubernetes.io/revision-history',
    desiredAnnotation,
    maxAnnotation,
    'deprecated.deployment.rollback.to',
  ]);
  return Object.fromEntries(
    Object.entries(deployment.metadata?.annotations ?? {}).filter(([key]) => !own.has(key)),
  );
}

function cleanUp({ deployment, old }: Plan): DeploymentAction[] {
  const keep = deployment.spec?.revisionHistoryLimit ?? 10;
  const removable = old.filter(
    (set) => sizeOf(set) === 0 && (set.status?.replicas ?? 0) === 0 && !set.metadata?.deletionTimestamp,
  );
  const surplus = old.length - keep;
  return surplus <= 0
    ? []
    : [...removable]
        .sort((a, b) => revisionOf(a) - revisionOf(b))
        .slice(0, surplus)
        .map((set) => ({ type: 'delete', set }));
}

/** Percentages of the size: surge rounds up, unavailable down, and both 0 would never move. */
export function rollingBounds(deployment: Deployment): { maxSurge: number; maxUnavailable: number } {
  const wanted = deployment.spec?.replicas ?? 1;
  const { maxSurge: surge, maxUnavailable: unavailable } = deployment.spec?.strategy?.rollingUpdate ?? {};
  const maxSurge = resolve(surge ?? '25%', wanted, Math.ceil);
  const maxUnavailable = Math.min(wanted, resolve(unavailable ?? '25%', wanted, Math.floor));
  return { maxSurge, maxUnavailable: maxSurge === 0 && maxUnavailable === 0 ? 1 : maxUnavailable };
}

function resolve(value: number | string, total: number, round: (x: number) => number): number {
  if (typeof value === 'number') return value;
  return round((Number.parseInt(value, 10) * total) / 100);
}

/** Equal but for the hash label that we add ourselves. */
export function sameTemplate(a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean {
  return canonical(a) === canonical(b);
}

function canonical(template: PodTemplateSpec | undefined): string {
  return JSON.stringify(template ?? {}, (key, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const entries = Object.entries(value).filter(([name]) => !(key === 'labels' && name === hashLabel));
    return Object.fromEntries(entries.sort(([x], [y]) => (x < y ? -1 : 1)));
  });
}

export function revisionOf(object: { metadata?: { annotations?: Record<string, string> } }): number {
  return Number(object.metadata?.annotations?.[revisionAnnotation] ?? 0);
}

export function sizeOf(set: ReplicaSet): number {
  return set.spec?.replicas ?? 1;
}

export function available(set: ReplicaSet): number {
  return set.status?.availableReplicas ?? 0;
}

function scale(set: ReplicaSet, replicas: number): DeploymentAction {
  return { type: 'scale', set, replicas };
}

export function sum(sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number): number {
  return sets.reduce((total, set) => total + of(set), 0);
}

function byAge(a: ReplicaSet, b: ReplicaSet): number {
  const [x, y] = [a.metadata?.creationTimestamp ?? '', b.metadata?.creationTimestamp ?? ''];
  if (x !== y) return x < y ? -1 : 1;
  return (a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1;
}
