/** Prefers nodes on which CPU and memory would be used up evenly. */
import { maxNodeScore, type Plugin } from '../framework.js';
import type { NodeInfo } from '../node-info.js';
import type { PodInfo } from '../pod-info.js';

const balanced = ['cpu', 'memory'] as const;

export const balancedAllocation: Plugin = {
  name: 'NodeResourcesBalancedAllocation',
  prepareScore: (pod) =>
    // A pod that asks for nothing unbalances nothing.
    balanced.some((name) => (pod.requests.get(name) ?? 0) > 0)
      ? { score: (node) => balance(pod, node) }
      : undefined,
};

function balance(pod: PodInfo, node: NodeInfo): number {
  const fractions: number[] = [];
  for (const name of balanced) {
    const allocatable = node.allocatable.get(name) ?? 0;
    if (allocatable === 0) continue;
    const used = (node.requested.get(name) ?? 0) + (pod.requests.get(name) ?? 0);
    fractions.push(Math.min(1, used / allocatable));
  }
  // The standard deviation of two values is half their distance.
  const deviation = fractions.length === 2 ? Math.abs(fractions[0]! - fractions[1]!) / 2 : 0;
  return Math.floor((1 - deviation) * maxNodeScore);
}
