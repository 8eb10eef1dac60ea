/**
 * Which pods would have to go so that a more important one fits (kube-scheduler's DefaultPreemption). Tries,
 * on the snapshot itself and put back afterwards, what removing lower priorities from a node brings, and
 * spares as many as possible again, most important first. Of several nodes: the fewest broken disruption
 * budgets, the least important worst victim, the smallest sum of priorities, the fewest victims.
 */
import type { Random } from '../../transport/index.js';
import {
  compareText,
  type LabelSelector,
  labelSelectorFromObject,
  matchNothing,
  ObjectError,
} from '../objects/index.js';
import type { PodDisruptionBudget } from '../objects/types/policy.js';
import { schedulerLimits } from './limits.js';
import type { NodeInfo } from './node-info.js';
import type { PodInfo } from './pod-info.js';
import type { ProfileEntry } from './profile.js';
import { histogram } from './reason-histogram.js';
import type { Snapshot } from './snapshot.js';

export interface Budget {
  readonly namespace: string;
  readonly selector: LabelSelector;
  readonly disruptionsAllowed: number;
}

/** A budget whose selector cannot be read protects nothing. */
export function budgetOf({ metadata, spec, status }: PodDisruptionBudget): Budget {
  let selector = matchNothing;
  try {
    selector = labelSelectorFromObject(spec?.selector);
  } catch (error) {
    if (!(error instanceof ObjectError)) throw error;
  }
  return {
    namespace: metadata?.namespace ?? '',
    selector,
    disruptionsAllowed: status?.disruptionsAllowed ?? 0,
  };
}

export type Preemption =
  | { readonly type: 'victims'; readonly node: string; readonly victims: readonly PodInfo[] }
  /** What FailedScheduling says after `preemption: `; `waiting` while earlier victims are still leaving. */
  | { readonly type: 'none' | 'waiting'; readonly message: string };

export interface PreemptionInput {
  readonly pod: PodInfo;
  readonly snapshot: Snapshot;
  readonly profile: readonly ProfileEntry[];
  /** Nodes that no eviction would make feasible. */
  readonly unresolvable: ReadonlySet<string>;
  readonly budgets: readonly Budget[];
  readonly random: Random;
}

interface Candidate {
  readonly node: string;
  readonly victims: readonly PodInfo[];
  readonly violations: number;
}

export function findVictims(input: PreemptionInput): Preemption {
  const { pod, snapshot, unresolvable, random } = input;
  const refusal = notEligible(pod, snapshot);
  if (refusal) return refusal;
  const nodes = snapshot.nodes();
  const reasons = new Map<string, number>();
  const count = (reason: string) => reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const candidates: Candidate[] = [];
  const start = random.integer(Math.max(1, nodes.length));
  for (let n = 0; n < nodes.length; n += 1) {
    const node = nodes[(start + n) % nodes.length]!;
    if (unresolvable.has(node.name)) {
      count('Preemption is not helpful for scheduling');
      continue;
    }
    if (candidates.length >= schedulerLimits.preemptionCandidatesMax) break;
    const candidate = victimsOn(node, input);
    if (candidate) candidates.push(candidate);
    else count('No preemption victims found for incoming pod');
  }
  const best = candidates.reduce<Candidate | undefined>(
    (least, next) => (least === undefined || compare(next, least) < 0 ? next : least),
    undefined,
  );
  if (best) return { type: 'victims', node: best.node, victims: best.victims };
  return { type: 'none', message: `0/${nodes.length} nodes are available: ${histogram(reasons)}.` };
}

function notEligible(pod: PodInfo, snapshot: Snapshot): Preemption | undefined {
  if (pod.pod.spec?.preemptionPolicy === 'Never') {
    return { type: 'none', message: 'not eligible due to preemptionPolicy=Never.' };
  }
  const nominated = snapshot.nominationOf(pod.uid);
  for (const other of nominated === undefined ? [] : (snapshot.node(nominated)?.pods() ?? [])) {
    if (other.terminating && other.priority < pod.priority) {
      return { type: 'waiting', message: 'not eligible due to a terminating pod on the nominated node.' };
    }
  }
  return undefined;
}

function victimsOn(node: NodeInfo, input: PreemptionInput): Candidate | undefined {
  const { pod, snapshot, budgets } = input;
  const lower = [...node.pods()].filter(({ priority }) => priority < pod.priority);
  if (lower.length === 0) return undefined;
  const putBack = new Map(lower.map((each) => [each.uid, snapshot.lift(each.uid)]));
  try {
    if (!fits(node, input)) return undefined;
    const violating = breakingBudgets(lower, budgets);
    // Who is protected is spared first, then who is important, then who was there first.
    const order = [...lower].sort(
      (a, b) =>
        Number(violating.has(b.uid)) - Number(violating.has(a.uid)) || b.priority - a.priority || older(a, b),
    );
    const victims: PodInfo[] = [];
    for (const each of order) {
      putBack.get(each.uid)!();
      if (fits(node, input)) {
        putBack.delete(each.uid);
        continue;
      }
      putBack.set(each.uid, snapshot.lift(each.uid));
      victims.push(each);
    }
    const violations = victims.filter(({ uid }) => violating.has(uid)).length;
    return victims.length === 0 ? undefined : { node: node.name, victims, violations };
  } finally {
    for (const restore of putBack.values()) restore();
  }
}

function fits(node: NodeInfo, { pod, snapshot, profile }: PreemptionInput): boolean {
  return profile.every(({ plugin }) => plugin.prepareFilter?.(pod, snapshot)?.(node) === undefined);
}

/** Pods whose eviction a budget does not allow, counting those before them against it. */
function breakingBudgets(pods: readonly PodInfo[], budgets: readonly Budget[]): ReadonlySet<string> {
  const allowed = budgets.map(({ disruptionsAllowed }) => disruptionsAllowed);
  const breaking = new Set<string>();
  for (const pod of pods) {
    budgets.forEach(({ namespace, selector }, n) => {
      if (namespace !== pod.namespace || !selector.matches(pod.labels)) return;
      allowed[n]! -= 1;
      if (allowed[n]! < 0) breaking.add(pod.uid);
    });
  }
  return breaking;
}

function compare(a: Candidate, b: Candidate): number {
  const worst = ({ victims }: Candidate) => Math.max(...victims.map(({ priority }) => priority));
  // Shifted so that more victims never make a smaller sum (priorities may be negative).
  const sum = ({ victims }: Candidate) =>
    victims.reduce((total, { priority }) => total + priority + 2 ** 31, 0);
  return (
    a.violations - b.violations ||
    worst(a) - worst(b) ||
    sum(a) - sum(b) ||
    a.victims.length - b.victims.length
  );
}

function older(a: PodInfo, b: PodInfo): number {
  const started = ({ pod }: PodInfo) => pod.status?.startTime ?? pod.metadata?.creationTimestamp ?? '';
  return compareText(started(a), started(b));
}
