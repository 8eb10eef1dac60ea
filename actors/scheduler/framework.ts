/**
 * What a scheduling plugin is (kube-scheduler's framework, reduced to what the plugins here need): it
 * prepares itself for one pod, then filters and scores nodes, and says which events are worth another try
 * (QueueingHint). Reserve is `Snapshot.assume`; bind is the scheduler's own.
 */
import type { NodeInfo } from './node-info.js';
import type { PodInfo } from './pod-info.js';
import type { Snapshot } from './snapshot.js';

export interface Plugin {
  readonly name: string;
  /** PreFilter. Undefined: this pod is none of the plugin's business. */
  prepareFilter?(pod: PodInfo, snapshot: Snapshot): NodeFilter | undefined;
  /** PreScore, once it is known which nodes are feasible. */
  prepareScore?(pod: PodInfo, snapshot: Snapshot, feasible: readonly NodeInfo[]): NodeScorer | undefined;
  /** QueueingHint: could this event make room for a pod that this plugin refused? */
  helps?(event: ClusterEvent, pod: PodInfo, snapshot: Snapshot): boolean;
}

/** Undefined: the node will do. */
export type NodeFilter = (node: NodeInfo) => Refusal | undefined;

export interface Refusal {
  readonly reasons: readonly string[];
  /** No pod that could be evicted from the node would change it. */
  readonly unresolvable: boolean;
}

export interface NodeScorer {
  /** Any number; higher is better, unless `normalize` says otherwise. */
  score(node: NodeInfo): number;
  /** Brings the scores, in the order of the feasible nodes, to 0..100. Absent: they are so already. */
  normalize?(scores: readonly number[]): readonly number[];
}

export const maxNodeScore = 100;

export type ClusterEvent =
  | { readonly type: 'NodeAdded'; readonly node: NodeInfo }
  | {
      readonly type: 'NodeChanged';
      readonly node: NodeInfo;
      readonly aspects: ReadonlySet<NodeAspect>;
    }
  | { readonly type: 'NodeRemoved'; readonly name: string }
  /** A pod has a node now, or changed on it. */
  | { readonly type: 'PodPlaced'; readonly pod: PodInfo }
  | { readonly type: 'PodGone'; readonly pod: PodInfo }
  | { readonly type: 'NamespaceChanged'; readonly name: string };

export type NodeAspect = 'labels' | 'taints' | 'allocatable' | 'unschedulable';

/** The node of an event that may have become feasible, if it changed in one of `aspects` or is new. */
export function nodeOf(event: ClusterEvent, ...aspects: readonly NodeAspect[]): NodeInfo | undefined {
  if (event.type === 'NodeAdded') return event.node;
  if (event.type === 'NodeChanged' && aspects.some((aspect) => event.aspects.has(aspect))) return event.node;
  return undefined;
}

export function refused(reason: string, unresolvable: boolean): Refusal {
  return { reasons: [reason], unresolvable };
}

/** Scales so that the highest becomes 100; `reversed` makes it the worst. */
export function scaledToMax(scores: readonly number[], reversed = false): readonly number[] {
  const max = Math.max(0, ...scores);
  return scores.map((score) => {
    const scaled = max === 0 ? 0 : Math.floor((score * maxNodeScore) / max);
    return reversed ? maxNodeScore - scaled : scaled;
  });
}
