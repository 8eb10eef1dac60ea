/**
 * The decision, and nothing else: one pod, one snapshot, a source of chance for ties. Filters in order until
 * one refuses; the feasible nodes are scored by every plugin; the highest sum wins (kube-scheduler
 * `schedule_one.go`).
 */
import type { Random } from '../../transport/index.js';
import type { NodeFilter } from './framework.js';
import { schedulerLimits } from './limits.js';
import type { NodeInfo } from './node-info.js';
import type { PodInfo } from './pod-info.js';
import { defaultProfile, type ProfileEntry } from './profile.js';
import { histogram } from './reason-histogram.js';
import type { Snapshot } from './snapshot.js';

export type Decision =
  | { readonly type: 'node'; readonly node: string; readonly evaluated: number; readonly feasible: number }
  | {
      readonly type: 'unschedulable';
      /** As FailedScheduling and the PodScheduled condition say it. */
      readonly message: string;
      /** Names of the plugins that refused a node; empty when no event but a new node can help. */
      readonly plugins: ReadonlySet<string>;
      /** Nodes that no eviction would make feasible. */
      readonly unresolvable: ReadonlySet<string>;
    };

export function schedulePod(
  pod: PodInfo,
  snapshot: Snapshot,
  random: Random,
  profile: readonly ProfileEntry[] = defaultProfile,
): Decision {
  const nodes = snapshot.nodes();
  const none: ReadonlySet<string> = new Set();
  if (pod.defect !== undefined)
    return { type: 'unschedulable', message: pod.defect, plugins: none, unresolvable: none };
  if (nodes.length === 0) {
    const message = 'no nodes available to schedule pods';
    return { type: 'unschedulable', message, plugins: none, unresolvable: none };
  }
  const found = snapshot.withNominated(pod, () => feasibleNodes(pod, snapshot, random, profile));
  if (found.feasible.length === 0) {
    const message = `0/${nodes.length} nodes are available: ${histogram(found.reasons)}.`;
    return { type: 'unschedulable', message, plugins: found.plugins, unresolvable: found.unresolvable };
  }
  const best = bestNode(pod, snapshot, found.feasible, random, profile);
  return { type: 'node', node: best.name, evaluated: found.evaluated, feasible: found.feasible.length };
}

interface Found {
  readonly feasible: readonly NodeInfo[];
  readonly evaluated: number;
  readonly reasons: ReadonlyMap<string, number>;
  readonly plugins: ReadonlySet<string>;
  readonly unresolvable: ReadonlySet<string>;
}

function feasibleNodes(
  pod: PodInfo,
  snapshot: Snapshot,
  random: Random,
  profile: readonly ProfileEntry[],
): Found {
  const filters: { readonly name: string; readonly filter: NodeFilter }[] = [];
  for (const { plugin } of profile) {
    const filter = plugin.prepareFilter?.(pod, snapshot);
    if (filter) filters.push({ name: plugin.name, filter });
  }
  const nodes = snapshot.nodes();
  const wanted = nodesToFind(nodes.length);
  // When not all nodes are looked at, it must not always be the same ones.
  const start = wanted < nodes.length ? random.integer(nodes.length) : 0;
  const feasible: NodeInfo[] = [];
  const reasons = new Map<string, number>();
  const plugins = new Set<string>();
  const unresolvable = new Set<string>();
  let evaluated = 0;
  while (evaluated < nodes.length && feasible.length < wanted) {
    const node = nodes[(start + evaluated) % nodes.length]!;
    evaluated += 1;
    const refusedBy = filters.find(({ name, filter }) => {
      const refusal = filter(node);
      for (const reason of refusal?.reasons ?? []) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      if (refusal) plugins.add(name);
      if (refusal?.unresolvable) unresolvable.add(node.name);
      return refusal !== undefined;
    });
    if (!refusedBy) feasible.push(node);
  }
  return { feasible, evaluated, reasons, plugins, unresolvable };
}

/** All of a small cluster; of a large one ever smaller a part, never less than a twentieth or a hundred. */
export function nodesToFind(nodeCount: number): number {
  const min = schedulerLimits.nodesToFindMin;
  if (nodeCount < min) return nodeCount;
  const percentage = Math.max(5, 50 - Math.floor(nodeCount / 125));
  return Math.max(min, Math.floor((nodeCount * percentage) / 100));
}

function bestNode(
  pod: PodInfo,
  snapshot: Snapshot,
  feasible: readonly NodeInfo[],
  random: Random,
  profile: readonly ProfileEntry[],
): NodeInfo {
  if (feasible.length === 1) return feasible[0]!;
  const totals = feasible.map(() => 0);
  for (const { plugin, weight } of profile) {
    const scorer = plugin.prepareScore?.(pod, snapshot, feasible);
    if (!scorer) continue;
    const raw = feasible.map((node) => scorer.score(node));
    const scores = scorer.normalize?.(raw) ?? raw;
    scores.forEach((score, n) => {
      totals[n]! += score * weight;
    });
  }
  const top = totals.reduce((most, total) => Math.max(most, total), Number.NEGATIVE_INFINITY);
  const winners = feasible.filter((_, n) => totals[n] === top);
  return winners[random.integer(winners.length)]!;
}
