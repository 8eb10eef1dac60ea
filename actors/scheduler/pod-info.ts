/** A pod as the scheduler looks at it: everything that plugins ask for again and again, computed once. */
import {
  type LabelRequirement,
  LabelSelector,
  labelSelectorFromObject,
  matchNothing,
  ObjectError,
} from '../objects/index.js';
import type { Pod, PodAffinityTerm, TopologySpreadConstraint } from '../objects/types/core.js';
import { type Amounts, podAssumedRequests, podRequests } from './resource-amounts.js';

export interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

/** A term of inter-pod affinity, ready to match. */
export interface AffinityTerm {
  readonly topologyKey: string;
  readonly selector: LabelSelector;
  /** Names of namespaces; together with `namespaceSelector` they say where matching pods live. */
  readonly namespaces: ReadonlySet<string>;
  readonly namespaceSelector: LabelSelector;
}

export interface WeightedAffinityTerm extends AffinityTerm {
  readonly weight: number;
}

export interface SpreadConstraint {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly minDomains: number;
  readonly hard: boolean;
  readonly selector: LabelSelector;
  readonly honourAffinity: boolean;
  readonly honourTaints: boolean;
}

export interface PodInfo {
  readonly pod: Pod;
  /** `namespace/name` */
  readonly key: string;
  readonly uid: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly requests: Amounts;
  readonly assumedRequests: Amounts;
  readonly hostPorts: readonly HostPort[];
  readonly requiredAffinity: readonly AffinityTerm[];
  readonly requiredAntiAffinity: readonly AffinityTerm[];
  readonly preferredAffinity: readonly WeightedAffinityTerm[];
  readonly preferredAntiAffinity: readonly WeightedAffinityTerm[];
  readonly spread: readonly SpreadConstraint[];
  /** uid of the controller that owns it; pods of one controller are spread by default. */
  readonly controllerUid: string | undefined;
  /** Going away: it still holds resources but counts for no spreading. */
  readonly terminating: boolean;
  /** Why it can never be scheduled: something in it cannot be understood. */
  readonly defect: string | undefined;
}

export function podInfo(pod: Pod): PodInfo {
  const { name = '', namespace = '', uid = '', labels = {} } = pod.metadata ?? {};
  const identity = { pod, key: `${namespace}/${name}`, uid, namespace, labels };
  const controllerUid = pod.metadata?.ownerReferences?.find(({ controller }) => controller)?.uid;
  const terminating = pod.metadata?.deletionTimestamp !== undefined;
  const rest = { ...identity, priority: pod.spec?.priority ?? 0, controllerUid, terminating };
  try {
    return { ...rest, ...parsedParts(pod, namespace, labels), defect: undefined };
  } catch (error) {
    if (!(error instanceof ObjectError)) throw error;
    return { ...rest, ...noParts, defect: error.message };
  }
}

type Parts = Omit<
  PodInfo,
  'pod' | 'key' | 'uid' | 'namespace' | 'labels' | 'priority' | 'controllerUid' | 'terminating' | 'defect'
>;

const noParts: Parts = {
  requests: new Map(),
  assumedRequests: new Map(),
  hostPorts: [],
  requiredAffinity: [],
  requiredAntiAffinity: [],
  preferredAffinity: [],
  preferredAntiAffinity: [],
  spread: [],
};

function parsedParts(pod: Pod, namespace: string, labels: Readonly<Record<string, string>>): Parts {
  const spec = pod.spec ?? { containers: [] };
  const { podAffinity, podAntiAffinity } = spec.affinity ?? {};
  const term = (one: PodAffinityTerm) => affinityTerm(one, namespace, labels);
  return {
    requests: podRequests(spec),
    assumedRequests: podAssumedRequests(spec),
    hostPorts: hostPortsOf(pod),
    requiredAffinity: (podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map(term),
    requiredAntiAffinity: (podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map(term),
    preferredAffinity: (podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
      ({ weight, podAffinityTerm }) => ({ weight, ...term(podAffinityTerm) }),
    ),
    preferredAntiAffinity: (podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
      ({ weight, podAffinityTerm }) => ({ weight, ...term(podAffinityTerm) }),
    ),
    spread: (spec.topologySpreadConstraints ?? []).map((constraint) => spreadConstraint(constraint, labels)),
  };
}

function affinityTerm(
  term: PodAffinityTerm,
  namespace: string,
  labels: Readonly<Record<string, string>>,
): AffinityTerm {
  const { namespaces = [], namespaceSelector, labelSelector } = term;
  const own = namespaces.length === 0 && namespaceSelector === undefined;
  const match = keyRequirements(term.matchLabelKeys, labels, 'in');
  const mismatch = keyRequirements(term.mismatchLabelKeys, labels, 'notin');
  return {
    topologyKey: term.topologyKey,
    selector: narrowed(labelSelectorFromObject(labelSelector), [...match, ...mismatch]),
    namespaces: new Set(own ? [namespace] : namespaces),
    namespaceSelector:
      namespaceSelector === undefined ? matchNothing : labelSelectorFromObject(namespaceSelector),
  };
}

function spreadConstraint(
  constraint: TopologySpreadConstraint,
  labels: Readonly<Record<string, string>>,
): SpreadConstraint {
  const selector = labelSelectorFromObject(constraint.labelSelector);
  return {
    topologyKey: constraint.topologyKey,
    maxSkew: constraint.maxSkew,
    minDomains: constraint.minDomains ?? 1,
    hard: constraint.whenUnsatisfiable === 'DoNotSchedule',
    selector: narrowed(selector, keyRequirements(constraint.matchLabelKeys, labels, 'in')),
    honourAffinity: constraint.nodeAffinityPolicy !== 'Ignore',
    honourTaints: constraint.nodeTaintsPolicy === 'Honor',
  };
}

/** Keys that the pod does not have are ignored. */
function keyRequirements(
  keys: readonly string[] | undefined,
  labels: Readonly<Record<string, string>>,
  operator: 'in' | 'notin',
): LabelRequirement[] {
  return (keys ?? []).flatMap((key) => {
    const value = labels[key];
    return value === undefined ? [] : [{ key, operator, values: [value] }];
  });
}

/** A selector that selects nothing keeps doing so. */
function narrowed(selector: LabelSelector, more: readonly LabelRequirement[]): LabelSelector {
  if (more.length === 0) return selector;
  if (selector.requirements.length === 0 && !selector.matchesEverything) return selector;
  return new LabelSelector([...selector.requirements, ...more]);
}

function hostPortsOf(pod: Pod): HostPort[] {
  const sidecars = (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...(pod.spec?.containers ?? []), ...sidecars].flatMap(({ ports = [] }) =>
    ports
      .filter(({ hostPort }) => hostPort !== undefined && hostPort > 0)
      .map(({ hostIP, hostPort, protocol }) => ({
        ip: hostIP === undefined || hostIP === '' ? '0.0.0.0' : hostIP,
        protocol: protocol ?? 'TCP',
        port: hostPort!,
      })),
  );
}
