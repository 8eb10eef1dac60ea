/**
 * The judgement of node lifecycle (kubernetes: nodelifecycle/node_lifecycle_controller.go): what a node's conditions
 * and taints should be, given how long it has been silent. Pure.
 */
import { formatTime } from '../objects/index.js';
import type { Node, NodeCondition, Taint } from '../objects/types/core.js';

export interface NodeView {
  readonly node: Node;
  /** Since its lease or its status was last seen to change, by our own clock. */
  readonly silentMs: number;
  readonly graceMs: number;
  /** Wall clock, for timestamps only. */
  readonly nowMs: number;
  /** `hold`: nobody new is evicted; `stop`: those under way neither, since it seems to be us who are cut off. */
  readonly eviction: 'go' | 'hold' | 'stop';
}

export interface NodeDecision {
  readonly ready: NodeCondition | undefined;
  /** All conditions, when some differ from the node's. */
  readonly conditions?: readonly NodeCondition[];
  /** All taints, when some differ from the node's. */
  readonly taints?: readonly Taint[];
  /** Pods would be evicted now, were it not for `eviction`. */
  readonly held: boolean;
}

const watched = ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready'];

const notReadyTaint = 'node.kubernetes.io/not-ready';
const unreachableTaint = 'node.kubernetes.io/unreachable';
const unschedulableTaint = 'node.kubernetes.io/unschedulable';
const conditionTaints: readonly (readonly [string, string])[] = [
  ['MemoryPressure', 'node.kubernetes.io/memory-pressure'],
  ['DiskPressure', 'node.kubernetes.io/disk-pressure'],
  ['PIDPressure', 'node.kubernetes.io/pid-pressure'],
  ['NetworkUnavailable', 'node.kubernetes.io/network-unavailable'],
];
const ours = new Set([
  notReadyTaint,
  unreachableTaint,
  unschedulableTaint,
  ...conditionTaints.map(([, key]) => key),
]);

export function decideNode(view: NodeView): NodeDecision {
  const before = view.node.status?.conditions ?? [];
  const conditions = view.silentMs >= view.graceMs ? unknownConditions(view) : before;
  const ready = conditions.find(({ type }) => type === 'Ready');
  const wanted = ready ? wantedTaints(view, conditions, ready) : undefined;
  const held = wanted !== undefined && wanted.held;
  return {
    ready,
    ...(conditions !== before && { conditions }),
    ...(wanted?.taints && { taints: wanted.taints }),
    held,
  };
}

/** Nobody has heard of the node: what it said last is not known to hold any more. */
function unknownConditions({ node, nowMs }: NodeView): readonly NodeCondition[] {
  const before = node.status?.conditions ?? [];
  const isKnown = (type: string) => before.some((each) => each.type === type && each.status === 'Unknown');
  if (watched.every(isKnown)) return before;
  const now = formatTime(nowMs);
  const changed = before.map((condition): NodeCondition =>
    watched.includes(condition.type) && condition.status !== 'Unknown'
      ? {
          ...condition,
          status: 'Unknown',
          reason: 'NodeStatusUnknown',
          message: 'Kubelet stopped posting node status.',
          lastTransitionTime: now,
        }
      : condition,
  );
  const missing = watched.filter((type) => !before.some((condition) => condition.type === type));
  const added = missing.map((type): NodeCondition => ({
    type,
    status: 'Unknown',
    reason: 'NodeStatusNeverUpdated',
    message: 'Kubelet never posted node status.',
    lastHeartbeatTime: node.metadata?.creationTimestamp ?? now,
    lastTransitionTime: now,
  }));
  return [...changed, ...added];
}

function wantedTaints(
  { node, nowMs, eviction }: NodeView,
  conditions: readonly NodeCondition[],
  ready: NodeCondition,
): { readonly taints?: readonly Taint[]; readonly held: boolean } {
  const before = node.spec?.taints ?? [];
  const unready =
    ready.status === 'True' ? undefined : ready.status === 'False' ? notReadyTaint : unreachableTaint;
  const wanted: Pick<Taint, 'key' | 'effect'>[] = [];
  if (unready) wanted.push({ key: unready, effect: 'NoSchedule' });
  for (const [type, key] of conditionTaints) {
    if (conditions.some((each) => each.type === type && each.status === 'True'))
      wanted.push({ key, effect: 'NoSchedule' });
  }
  if (node.spec?.unschedulable) wanted.push({ key: unschedulableTaint, effect: 'NoSchedule' });
  const evicts = before.some(
    ({ key, effect }) => effect === 'NoExecute' && (key === notReadyTaint || key === unreachableTaint),
  );
  const mayEvict = eviction === 'go' || (eviction === 'hold' && evicts);
  if (unready && mayEvict) wanted.push({ key: unready, effect: 'NoExecute' });
  const held = unready !== undefined && !mayEvict;
  const has = (taint: Pick<Taint, 'key' | 'effect'>) =>
    before.find(({ key, effect }) => key === taint.key && effect === taint.effect);
  const foreign = before.filter(({ key, effect }) => !ours.has(key) || effect === 'PreferNoSchedule');
  const timeAdded = formatTime(nowMs);
  const taints = [...foreign, ...wanted.map((taint): Taint => has(taint) ?? { ...taint, timeAdded })];
  const same = taints.length === before.length && taints.every((taint) => before.includes(taint));
  return same ? { held } : { taints, held };
}

export type Disruption = 'none' | 'partial' | 'full';

/**
 * How much of a zone is down (kubernetes: ComputeZoneState): when most of it is, it is more likely the network, or us,
 * and to evict would only make it worse.
 */
export function disruptionOf(nodes: readonly { readonly down: boolean }[]): Disruption {
  const down = nodes.filter((node) => node.down).length;
  if (down > 0 && down === nodes.length) return 'full';
  return down > 2 && down / nodes.length >= 0.55 ? 'partial' : 'none';
}

export function isNodeReady(node: Node): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

export function zoneOf(node: Node): string {
  const { labels = {} } = node.metadata ?? {};
  const region = labels['topology.kubernetes.io/region'] ?? '';
  return `${region}/${labels['topology.kubernetes.io/zone'] ?? ''}`;
}
