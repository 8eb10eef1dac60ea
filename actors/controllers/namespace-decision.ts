/**
 * The judgement of the Namespace controller (kubernetes: pkg/controller/namespace/deletion): the order in which a
 * namespace is emptied, and what its conditions say meanwhile. Pure.
 */
import { formatTime, type Registry, type ResourceInfo } from '../objects/index.js';
import type { NamespaceCondition } from '../objects/types/core.js';

/** What is left of one resource after everything in it was asked to go. */
export interface Remaining {
  readonly resource: string;
  readonly group: string;
  readonly count: number;
  /** How many objects each finalizer holds. */
  readonly finalizers: Readonly<Record<string, number>>;
}

export interface Emptying {
  readonly remaining: readonly Remaining[];
  /** Resources that could not be listed or emptied, and why. */
  readonly failures: readonly string[];
}

/** Pods first (KEP-5080): what guards them, such as network policies, must outlive them. */
export function deletionOrder(registry: Registry): readonly (readonly ResourceInfo[])[] {
  const stored = new Map<string, ResourceInfo>();
  for (const info of registry.resources) {
    const can = ['list', 'delete'].every((verb) => info.verbs.includes(verb));
    const key = `${info.storage.group}/${info.storage.resource}`;
    // One object may be served under several groups and versions; one of them suffices.
    if (info.namespaced && can && !stored.has(key)) stored.set(key, info);
  }
  const all = [...stored.values()];
  const isPods = (info: ResourceInfo) => info.group === '' && info.resource === 'pods';
  return [all.filter(isPods), all.filter((info) => !isPods(info))];
}

/** The conditions with ours brought up to date; `before` itself when nothing changes. */
export function namespaceConditions(
  before: readonly NamespaceCondition[],
  { remaining, failures }: Emptying,
  nowMs: number,
): readonly NamespaceCondition[] {
  const content = remaining
    .filter(({ count }) => count > 0)
    .map(({ resource, group, count }) => {
      const name = group === '' ? `${resource}.` : `${resource}.${group}`;
      return `${name} has ${count} resource instances`;
    });
  const finalizers = new Map<string, number>();
  for (const each of remaining) {
    for (const [name, count] of Object.entries(each.finalizers))
      finalizers.set(name, (finalizers.get(name) ?? 0) + count);
  }
  const held = [...finalizers].map(([name, count]) => `${name} in ${count} resource instances`);
  const wanted: readonly Omit<NamespaceCondition, 'lastTransitionTime'>[] = [
    verdict('NamespaceDeletionDiscoveryFailure', [], 'DiscoveryFailed', [
      'ResourcesDiscovered',
      'All resources successfully discovered',
    ]),
    verdict('NamespaceDeletionGroupVersionParsingFailure', [], 'GroupVersionParsingFailed', [
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
    ]),
    verdict('NamespaceDeletionContentFailure', failures, 'ContentDeletionFailed', [
      'ContentDeleted',
      'All content successfully deleted, may be waiting on finalization',
    ]),
    verdict(
      'NamespaceContentRemaining',
      prefixed('Some resources are remaining: ', content),
      'SomeResourcesRemain',
      ['ContentRemoved', 'All content successfully removed'],
    ),
    verdict(
      'NamespaceFinalizersRemaining',
      prefixed('Some content in the namespace has finalizers remaining: ', held),
      'SomeFinalizersRemain',
      ['ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
    ),
  ];
  return merged(before, wanted, formatTime(nowMs));
}

function prefixed(prefix: string, texts: readonly string[]): readonly string[] {
  return texts.length === 0 ? [] : [prefix + texts.toSorted().join(', ')];
}

function verdict(
  type: string,
  problems: readonly string[],
  badReason: string,
  [goodReason, goodMessage]: readonly [string, string],
) {
  return problems.length > 0
    ? { type, status: 'True', reason: badReason, message: problems.join('; ') }
    : { type, status: 'False', reason: goodReason, message: goodMessage };
}

function merged(
  before: readonly NamespaceCondition[],
  wanted: readonly Omit<NamespaceCondition, 'lastTransitionTime'>[],
  now: string,
): readonly NamespaceCondition[] {
  let changed = false;
  const own = wanted.map((condition): NamespaceCondition => {
    const old = before.find(({ type }) => type === condition.type);
    if (
      old?.status === condition.status &&
      old.message === condition.message &&
      old.reason === condition.reason
    )
      return old;
    changed = true;
    const since = old?.status === condition.status ? (old.lastTransitionTime ?? now) : now;
    return { ...condition, lastTransitionTime: since };
  });
  if (!changed) return before;
  return [...before.filter(({ type }) => !wanted.some((each) => each.type === type)), ...own];
}
