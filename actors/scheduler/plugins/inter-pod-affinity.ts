/**
 * Pods that want to be near or far from other pods, by a node label: required terms of the incoming pod,
 * required anti-affinity of the pods that are there, and preferences of both sides (KEP-2249 namespaces,
 * KEP-3633 label keys).
 */
import {
  maxNodeScore,
  type NodeFilter,
  type NodeScorer,
  nodeOf,
  type Plugin,
  refused,
} from '../framework.js';
import type { NodeInfo } from '../node-info.js';
import type { AffinityTerm, PodInfo } from '../pod-info.js';
import type { Snapshot } from '../snapshot.js';

const refusedByAffinity = refused("node(s) didn't match pod affinity rules", true);
const refusedByAntiAffinity = refused("node(s) didn't match pod anti-affinity rules", false);
const refusedByExisting = refused("node(s) didn't satisfy existing pods anti-affinity rules", false);
/** What a required affinity of a pod that is there is worth to a pod that it would like near. */
const hardAffinityWeight = 1;

export const interPodAffinity: Plugin = {
  name: 'InterPodAffinity',
  prepareFilter: prepareFilter,
  prepareScore: prepareScore,
  helps: (event, pod, snapshot) => {
    switch (event.type) {
      case 'PodPlaced':
        return (
          pod.requiredAffinity.some((term) => matches(term, event.pod, snapshot)) ||
          // It may have changed its labels, and matches no longer.
          pod.requiredAntiAffinity.length > 0
        );
      case 'PodGone':
        return (
          pod.requiredAntiAffinity.some((term) => matches(term, event.pod, snapshot)) ||
          event.pod.requiredAntiAffinity.some((term) => matches(term, pod, snapshot))
        );
      case 'NamespaceChanged':
        return true;
      default:
        return nodeOf(event, 'labels') !== undefined;
    }
  },
};

/** Number, or weight, of what was found, by topology key and value. */
class Tally {
  readonly #counts = new Map<string, Map<string, number>>();

  add(node: NodeInfo, topologyKey: string, amount: number): void {
    const value = node.labels[topologyKey];
    if (value === undefined) return;
    let values = this.#counts.get(topologyKey);
    if (!values) {
      values = new Map();
      this.#counts.set(topologyKey, values);
    }
    values.set(value, (values.get(value) ?? 0) + amount);
  }

  at(node: NodeInfo, topologyKey: string): number {
    const value = node.labels[topologyKey];
    return value === undefined ? 0 : (this.#counts.get(topologyKey)?.get(value) ?? 0);
  }

  /** Over all keys. */
  sumAt(node: NodeInfo): number {
    let sum = 0;
    for (const key of this.#counts.keys()) sum += this.at(node, key);
    return sum;
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }
}

function matches(term: AffinityTerm, pod: PodInfo, snapshot: Snapshot): boolean {
  const inNamespace =
    term.namespaces.has(pod.namespace) ||
    term.namespaceSelector.matches(snapshot.namespaceLabels(pod.namespace));
  return inNamespace && term.selector.matches(pod.labels);
}

function prepareFilter(pod: PodInfo, snapshot: Snapshot): NodeFilter | undefined {
  const near = new Tally();
  const far = new Tally();
  const guarded = new Tally();
  const { requiredAffinity, requiredAntiAffinity } = pod;
  const looksAtAll = requiredAffinity.length + requiredAntiAffinity.length > 0;
  for (const node of snapshot.nodes()) {
    for (const other of node.podsWithAffinity()) {
      for (const term of other.requiredAntiAffinity) {
        if (matches(term, pod, snapshot)) guarded.add(node, term.topologyKey, 1);
      }
    }
    if (!looksAtAll) continue;
    for (const other of node.pods()) {
      // Affinity needs pods that match all terms at once.
      if (requiredAffinity.length > 0 && requiredAffinity.every((term) => matches(term, other, snapshot))) {
        for (const { topologyKey } of requiredAffinity) near.add(node, topologyKey, 1);
      }
      for (const term of requiredAntiAffinity) {
        if (matches(term, other, snapshot)) far.add(node, term.topologyKey, 1);
      }
    }
  }
  if (!looksAtAll && guarded.isEmpty) return undefined;
  // The first of a group that wants to be together must be able to start somewhere.
  const first = near.isEmpty && requiredAffinity.every((term) => matches(term, pod, snapshot));
  return (node) => {
    for (const { topologyKey } of requiredAffinity) {
      if (node.labels[topologyKey] === undefined) return refusedByAffinity;
      if (!first && near.at(node, topologyKey) === 0) return refusedByAffinity;
    }
    for (const { topologyKey } of requiredAntiAffinity) {
      if (far.at(node, topologyKey) > 0) return refusedByAntiAffinity;
    }
    return guarded.sumAt(node) > 0 ? refusedByExisting : undefined;
  };
}

function prepareScore(pod: PodInfo, snapshot: Snapshot): NodeScorer | undefined {
  const tally = new Tally();
  const { preferredAffinity, preferredAntiAffinity } = pod;
  const looksAtAll = preferredAffinity.length + preferredAntiAffinity.length > 0;
  for (const node of snapshot.nodes()) {
    for (const other of looksAtAll ? node.pods() : []) {
      for (const term of preferredAffinity) {
        if (matches(term, other, snapshot)) tally.add(node, term.topologyKey, term.weight);
      }
      for (const term of preferredAntiAffinity) {
        if (matches(term, other, snapshot)) tally.add(node, term.topologyKey, -term.weight);
      }
    }
    for (const other of node.podsWithAffinity()) tallyWishesOf(other, pod, node, tally, snapshot);
  }
  return tally.isEmpty ? undefined : { score: (node) => tally.sumAt(node), normalize: spreadOut };
}

function tallyWishesOf(other: PodInfo, pod: PodInfo, node: NodeInfo, tally: Tally, snapshot: Snapshot): void {
  for (const term of other.requiredAffinity) {
    if (matches(term, pod, snapshot)) tally.add(node, term.topologyKey, hardAffinityWeight);
  }
  for (const term of other.preferredAffinity) {
    if (matches(term, pod, snapshot)) tally.add(node, term.topologyKey, term.weight);
  }
  for (const term of other.preferredAntiAffinity) {
    if (matches(term, pod, snapshot)) tally.add(node, term.topologyKey, -term.weight);
  }
}

function spreadOut(scores: readonly number[]): readonly number[] {
  const min = Math.min(...scores);
  const range = Math.max(...scores) - min;
  return scores.map((score) => (range === 0 ? 0 : Math.floor((maxNodeScore * (score - min)) / range)));
}
