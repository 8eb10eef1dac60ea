/**
 * The judgement of the DaemonSet controller (kubernetes: pkg/controller/daemon): one pod on each node that may have
 * one, updated node by node. Pure.
 */
import { parseTime } from '../objects/index.js';
import type { DaemonSet, DaemonSetStatus } from '../objects/types/apps.js';
import type { Node, Pod, PodSpec, PodTemplateSpec, Toleration } from '../objects/types/core.js';
import { requiredNodeMatches, untoleratedTaint } from '../scheduler/index.js';
import { controllerLimits } from './limits.js';
import { availableInMs, isReady } from './pods.js';
import { revisionHashLabel } from './revisions.js';
import { shareOf } from './share-of.js';

export interface DaemonDecision {
  /** Names of nodes. */
  readonly create: readonly string[];
  readonly remove: readonly Pod[];
  readonly status: DaemonSetStatus;
  readonly requeueAfterMs?: number;
}

interface Place {
  readonly node: Node;
  readonly wanted: boolean;
  readonly mayStay: boolean;
  readonly pods: readonly Pod[];
}

export function decideDaemonSet(
  set: DaemonSet,
  nodes: readonly Node[],
  pods: readonly Pod[],
  hash: string,
  nowMs: number,
): DaemonDecision {
  const places = placesOf(set, nodes, pods);
  const create: string[] = [];
  const remove: Pod[] = [];
  const waits: number[] = [];
  for (const { node, wanted, mayStay, pods: here } of places) {
    const failed = here.filter(({ status }) => status?.phase === 'Failed' || status?.phase === 'Succeeded');
    for (const pod of failed) {
      const leftMs = retryAtMs(pod) - nowMs;
      if (leftMs <= 0) remove.push(pod);
      else waits.push(leftMs);
    }
    const alive = here.filter((pod) => !failed.includes(pod) && isActive(pod));
    if (!mayStay) remove.push(...alive);
    else if (wanted && here.length === 0) create.push(node.metadata?.name ?? '');
    else remove.push(...twins(alive));
  }
  const known = new Set(nodes.map(({ metadata }) => metadata?.name));
  remove.push(...pods.filter((pod) => isActive(pod) && !known.has(targetOf(pod))));
  const isGoing = set.metadata?.deletionTimestamp !== undefined;
  const update = isGoing ? { create: [], remove: [] } : updates(set, places, hash, nowMs);
  const pending = pods
    .map((pod) => availableInMs(pod, set.spec?.minReadySeconds ?? 0, nowMs))
    .filter((ms): ms is number => ms !== undefined && ms > 0);
  const requeue = [...waits, ...pending];
  return {
    create: isGoing ? [] : [...create, ...update.create],
    remove: isGoing ? [] : [...new Set([...remove, ...update.remove])],
    status: statusOf(set, places, hash, nowMs),
    ...(requeue.length > 0 && { requeueAfterMs: Math.min(...requeue) }),
  };
}

/** Pods beyond the first of the same revision on one node. */
function twins(pods: readonly Pod[]): Pod[] {
  const seen = new Set<string>();
  return pods.filter(({ metadata }) => {
    const revision = metadata?.labels?.[revisionHashLabel] ?? '';
    const isTwin = seen.has(revision);
    seen.add(revision);
    return isTwin;
  });
}

/** What daemons put up with, so that they are there when a node is in trouble. */
const daemonTolerations: readonly Toleration[] = [
  ['node.kubernetes.io/not-ready', 'NoExecute'],
  ['node.kubernetes.io/unreachable', 'NoExecute'],
  ['node.kubernetes.io/disk-pressure', 'NoSchedule'],
  ['node.kubernetes.io/memory-pressure', 'NoSchedule'],
  ['node.kubernetes.io/pid-pressure', 'NoSchedule'],
  ['node.kubernetes.io/unschedulable', 'NoSchedule'],
].map(([key = '', effect = '']) => ({ key, effect, operator: 'Exists' }));

/** The pod's spec bound to one node by affinity, so that the scheduler still has its say. */
export function daemonPodSpec(template: PodTemplateSpec, node: string): PodSpec {
  const spec = template.spec ?? { containers: [] };
  const here = [{ key: 'metadata.name', operator: 'In', values: [node] }];
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const terms = required?.nodeSelectorTerms ?? [];
  const nodeSelectorTerms =
    terms.length > 0 ? terms.map((term) => ({ ...term, matchFields: here })) : [{ matchFields: here }];
  return {
    ...spec,
    affinity: {
      ...spec.affinity,
      nodeAffinity: {
        ...spec.affinity?.nodeAffinity,
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms },
      },
    },
    tolerations: tolerationsOf(spec),
  };
}

function tolerationsOf(spec: PodSpec | undefined): Toleration[] {
  const network = { key: 'node.kubernetes.io/network-unavailable', operator: 'Exists', effect: 'NoSchedule' };
  return [...(spec?.tolerations ?? []), ...daemonTolerations, ...(spec?.hostNetwork ? [network] : [])];
}

/** The node that a pod is for, whether it is bound yet or not. */
export function targetOf({ spec }: Pod): string | undefined {
  if (spec?.nodeName) return spec.nodeName;
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const fields = required?.nodeSelectorTerms.flatMap(({ matchFields = [] }) => matchFields) ?? [];
  return fields.find(({ key }) => key === 'metadata.name')?.values?.[0];
}

function placesOf(set: DaemonSet, nodes: readonly Node[], pods: readonly Pod[]): Place[] {
  const byNode = new Map<string, Pod[]>();
  for (const pod of pods) {
    const target = targetOf(pod) ?? '';
    byNode.set(target, [...(byNode.get(target) ?? []), pod]);
  }
  const spec = set.spec?.template.spec;
  const tolerations = tolerationsOf(spec);
  return nodes.map((node) => {
    const name = node.metadata?.name ?? '';
    const matches =
      (!spec?.nodeName || spec.nodeName === name) &&
      requiredNodeMatches(spec, { name, labels: node.metadata?.labels ?? {} });
    const taints = node.spec?.taints ?? [];
    const evicting = taints.filter(({ effect }) => effect === 'NoExecute');
    return {
      node,
      wanted: matches && untoleratedTaint(taints, tolerations) === undefined,
      mayStay: matches && untoleratedTaint(evicting, tolerations) === undefined,
      pods: byNode.get(name) ?? [],
    };
  });
}

function updates(
  set: DaemonSet,
  places: readonly Place[],
  hash: string,
  nowMs: number,
): { readonly create: readonly string[]; readonly remove: readonly Pod[] } {
  const { updateStrategy, minReadySeconds = 0 } = set.spec ?? {};
  if (updateStrategy?.type === 'OnDelete') return { create: [], remove: [] };
  const wanted = places.filter((place) => place.wanted);
  const { maxUnavailable = 1, maxSurge = 0 } = updateStrategy?.rollingUpdate ?? {};
  const surge = shareOf(maxSurge, wanted.length, Math.ceil);
  const unavailable = shareOf(maxUnavailable, wanted.length, Math.ceil);
  const create: string[] = [];
  const remove: Pod[] = [];
  const isAvailable = (pod: Pod) => isActive(pod) && availableInMs(pod, minReadySeconds, nowMs) === 0;
  const isNew = (pod: Pod) => pod.metadata?.labels?.[revisionHashLabel] === hash;
  let surging = wanted.filter(({ pods }) => pods.some(isNew) && pods.some((pod) => !isNew(pod))).length;
  let room = unavailable - wanted.filter(({ pods }) => !pods.some(isAvailable)).length;
  for (const { node, pods } of wanted) {
    const old = pods.filter((pod) => isActive(pod) && !isNew(pod));
    if (old.length === 0) continue;
    const fresh = pods.filter((pod) => isActive(pod) && isNew(pod));
    if (fresh.some(isAvailable) || !old.some(isAvailable)) remove.push(...old);
    else if (surge > 0) {
      if (fresh.length > 0 || surging >= surge) continue;
      surging += 1;
      create.push(node.metadata?.name ?? '');
    } else if (room > 0) {
      room -= 1;
      remove.push(...old);
    }
  }
  return { create, remove };
}

function statusOf(set: DaemonSet, places: readonly Place[], hash: string, nowMs: number): DaemonSetStatus {
  const { minReadySeconds = 0 } = set.spec ?? {};
  const count = (of: (place: Place) => boolean) => places.filter(of).length;
  const isNew = (pod: Pod) => pod.metadata?.labels?.[revisionHashLabel] === hash;
  const desired = count(({ wanted }) => wanted);
  const available = count(
    ({ wanted, pods }) =>
      wanted && pods.some((pod) => isActive(pod) && availableInMs(pod, minReadySeconds, nowMs) === 0),
  );
  const generation = set.metadata?.generation;
  return {
    desiredNumberScheduled: desired,
    currentNumberScheduled: count(({ wanted, pods }) => wanted && pods.some(isActive)),
    numberMisscheduled: count(({ wanted, pods }) => !wanted && pods.some(isActive)),
    numberReady: count(({ wanted, pods }) => wanted && pods.some((pod) => isActive(pod) && isReady(pod))),
    updatedNumberScheduled: count(
      ({ wanted, pods }) => wanted && pods.some((pod) => isActive(pod) && isNew(pod)),
    ),
    numberAvailable: available,
    numberUnavailable: desired - available,
    ...(generation !== undefined && { observedGeneration: generation }),
  };
}

function isActive({ metadata, status }: Pod): boolean {
  return !metadata?.deletionTimestamp && status?.phase !== 'Failed' && status?.phase !== 'Succeeded';
}

/** A pod that fails at once is not made again at once. */
function retryAtMs({ metadata }: Pod): number {
  const made = metadata?.creationTimestamp ? parseTime(metadata.creationTimestamp) : 0;
  return made + controllerLimits.daemonRetryMs;
}
