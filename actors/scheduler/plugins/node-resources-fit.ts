/** What a pod requests must be free; of the nodes where it is, the emptier is better (LeastAllocated). */
import { maxNodeScore, nodeOf, type Plugin, type Refusal } from '../framework.js';
import type { NodeInfo } from '../node-info.js';
import type { PodInfo } from '../pod-info.js';

const scored = ['cpu', 'memory'] as const;

export const nodeResourcesFit: Plugin = {
  name: 'NodeResourcesFit',
  prepareFilter: (pod) => (node) => insufficient(pod, node),
  prepareScore: (pod) => ({ score: (node) => leastAllocated(pod, node) }),
  helps: (event, pod) => {
    if (event.type === 'PodGone') return true;
    const node = nodeOf(event, 'allocatable');
    return node !== undefined && !insufficient(pod, node);
  },
};

function insufficient(pod: PodInfo, node: NodeInfo): Refusal | undefined {
  const reasons: string[] = [];
  let unresolvable = false;
  if (node.podCount + 1 > (node.allocatable.get('pods') ?? 0)) reasons.push('Too many pods');
  for (const [name, amount] of pod.requests) {
    const allocatable = node.allocatable.get(name) ?? 0;
    if (amount === 0 || amount <= allocatable - (node.requested.get(name) ?? 0)) continue;
    reasons.push(`Insufficient ${name}`);
    if (amount > allocatable) unresolvable = true;
  }
  return reasons.length === 0 ? undefined : { reasons, unresolvable };
}

function leastAllocated(pod: PodInfo, node: NodeInfo): number {
  let sum = 0;
  let count = 0;
  for (const name of scored) {
    const allocatable = node.allocatable.get(name) ?? 0;
    if (allocatable === 0) continue;
    const used = (node.assumedRequested.get(name) ?? 0) + (pod.assumedRequests.get(name) ?? 0);
    sum += used > allocatable ? 0 : Math.floor(((allocatable - used) * maxNodeScore) / allocatable);
    count += 1;
  }
  return count === 0 ? 0 : Math.floor(sum / count);
}
