/**
 * Spreads matching pods over the values of a node label (KEP-895). Hard constraints filter by the skew
 * against the emptiest domain, soft ones score. A pod without constraints of its own is spread, softly, from
 * its siblings: the pods of the same controller, over hosts and zones. (Upstream finds siblings through
 * Services and controllers' selectors; the owner reference needs no further informers and comes to the same
 * for controlled pods.)
 */
import { maxNodeScore, type NodeFilter, type NodeScorer, type Plugin, refused } from '../framework.js';
import type { NodeInfo } from '../node-info.js';
import { requiredNodeMatches } from '../node-selection.js';
import type { PodInfo, SpreadConstraint } from '../pod-info.js';
import type { Snapshot } from '../snapshot.js';
import { untoleratedTaint } from '../tolerations.js';

const reason = "node(s) didn't match pod topology spread constraints";
const skewed = refused(reason, false);
const unlabelled = refused(`${reason} (missing required label)`, true);
const hostname = 'kubernetes.io/hostname';

/** What is counted, and by which label. */
interface Rule {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly counts: (other: PodInfo) => boolean;
  readonly eligible: (node: NodeInfo) => boolean;
}

export const topologySpread: Plugin = {
  name: 'PodTopologySpread',
  prepareFilter: (pod, snapshot) => {
    const hard = pod.spread.filter((constraint) => constraint.hard);
    return hard.length === 0 ? undefined : hardFilter(pod, hard, snapshot);
  },
  prepareScore: (pod, snapshot, feasible) => {
    const own = pod.spread.filter(({ hard }) => !hard);
    const rules =
      own.length > 0 || pod.spread.length > 0 ? own.map((c) => ruleOf(pod, c)) : defaultRules(pod);
    return rules.length === 0 ? undefined : softScorer(rules, own.length > 0, snapshot, feasible);
  },
  helps: (event, pod) => {
    switch (event.type) {
      case 'PodPlaced':
      case 'PodGone':
        return pod.spread.some((constraint) => isCounted(pod, constraint, event.pod));
      case 'NodeAdded':
      case 'NodeRemoved':
        return true;
      case 'NodeChanged':
        return event.aspects.has('labels') || event.aspects.has('taints');
      case 'NamespaceChanged':
        return false;
      default:
        return event satisfies never;
    }
  },
};

function isCounted(pod: PodInfo, { selector }: SpreadConstraint, other: PodInfo): boolean {
  return other.namespace === pod.namespace && !other.terminating && selector.matches(other.labels);
}

function ruleOf(pod: PodInfo, constraint: SpreadConstraint): Rule {
  const { topologyKey, maxSkew, honourAffinity, honourTaints } = constraint;
  return {
    topologyKey,
    maxSkew,
    counts: (other) => isCounted(pod, constraint, other),
    eligible: (node) =>
      (!honourAffinity || requiredNodeMatches(pod.pod.spec, node)) &&
      (!honourTaints || !untoleratedTaint(node.taints, pod.pod.spec?.tolerations)),
  };
}

function defaultRules(pod: PodInfo): Rule[] {
  const { controllerUid } = pod;
  if (controllerUid === undefined) return [];
  const rest = {
    counts: (other: PodInfo) => other.controllerUid === controllerUid && !other.terminating,
    eligible: (node: NodeInfo) => requiredNodeMatches(pod.pod.spec, node),
  };
  return [
    { topologyKey: hostname, maxSkew: 3, ...rest },
    { topologyKey: 'topology.kubernetes.io/zone', maxSkew: 5, ...rest },
  ];
}

function hardFilter(pod: PodInfo, hard: readonly SpreadConstraint[], snapshot: Snapshot): NodeFilter {
  const rules = hard.map((constraint) => ruleOf(pod, constraint));
  const keys = hard.map(({ topologyKey }) => topologyKey);
  const domains = rules.map(() => new Map<string, number>());
  for (const node of snapshot.nodes()) {
    if (!keys.every((key) => node.labels[key] !== undefined)) continue;
    rules.forEach((rule, n) => {
      if (!rule.eligible(node)) return;
      const value = node.labels[rule.topologyKey]!;
      domains[n]!.set(value, (domains[n]!.get(value) ?? 0) + countOn(node, rule));
    });
  }
  const fewest = hard.map(({ minDomains }, n) => {
    const counts = domains[n]!;
    return counts.size < minDomains ? 0 : least(counts.values());
  });
  const self = hard.map(({ selector }) => (selector.matches(pod.labels) ? 1 : 0));
  return (node) => {
    for (const [n, { topologyKey, maxSkew }] of hard.entries()) {
      const value = node.labels[topologyKey];
      if (value === undefined) return unlabelled;
      const skew = (domains[n]!.get(value) ?? 0) + self[n]! - fewest[n]!;
      if (skew > maxSkew) return skewed;
    }
    return undefined;
  };
}

function softScorer(
  rules: readonly Rule[],
  requireAll: boolean,
  snapshot: Snapshot,
  feasible: readonly NodeInfo[],
): NodeScorer | undefined {
  const hasKeys = (node: NodeInfo) =>
    rules.every(({ topologyKey }) => node.labels[topologyKey] !== undefined);
  const ignored = new Set(
    requireAll ? feasible.filter((node) => !hasKeys(node)).map(({ name }) => name) : [],
  );
  const counted = feasible.filter(({ name }) => !ignored.has(name));
  const domains = rules.map(({ topologyKey }) => {
    const counts = new Map<string, number>();
    for (const node of counted) {
      const value = node.labels[topologyKey];
      if (value !== undefined) counts.set(value, 0);
    }
    return counts;
  });
  for (const node of snapshot.nodes()) {
    if (requireAll && !hasKeys(node)) continue;
    rules.forEach((rule, n) => {
      const value = node.labels[rule.topologyKey];
      const before = value === undefined ? undefined : domains[n]!.get(value);
      if (before === undefined || !rule.eligible(node)) return;
      domains[n]!.set(value!, before + countOn(node, rule));
    });
  }
  // The more domains there are, the less one pod more in one of them matters.
  const weights = domains.map((counts) => Math.log(counts.size + 2));
  return {
    score: (node) => {
      if (ignored.has(node.name)) return Number.NaN;
      let cost = 0;
      rules.forEach(({ topologyKey, maxSkew }, n) => {
        const value = node.labels[topologyKey];
        if (value !== undefined) cost += (domains[n]!.get(value) ?? 0) * weights[n]! + (maxSkew - 1);
      });
      return Math.round(cost);
    },
    normalize: fewestIsBest,
  };
}

/** NaN marks nodes without the labels: they come last. */
function fewestIsBest(scores: readonly number[]): readonly number[] {
  const known = scores.filter((score) => !Number.isNaN(score));
  const max = Math.max(0, ...known);
  const min = Math.min(...known);
  return scores.map((score) => {
    if (Number.isNaN(score)) return 0;
    return max === 0 ? maxNodeScore : Math.floor((maxNodeScore * (max + min - score)) / max);
  });
}

function countOn(node: NodeInfo, rule: Rule): number {
  let count = 0;
  for (const pod of node.pods()) if (rule.counts(pod)) count += 1;
  return count;
}

function least(values: Iterable<number>): number {
  let least = Number.POSITIVE_INFINITY;
  for (const value of values) least = Math.min(least, value);
  return least === Number.POSITIVE_INFINITY ? 0 : least;
}
