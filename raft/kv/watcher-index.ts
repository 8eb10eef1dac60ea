/**
 * Which watchers a key concerns. Watchers of single keys are found in a map; watchers of ranges are grouped
 * by equal range, and the groups form an implicit interval tree: an array sorted by start, each subtree
 * knowing its furthest end. It is rebuilt on the first look-up after the set of ranges has changed.
 */
import { endOf } from './txn-check.js';
import type { Key, KeyRange } from './types.js';

interface Group<W> {
  readonly from: Key;
  /** Exclusive; null: no end. */
  readonly end: Key | null;
  readonly watchers: Set<W>;
  /** The furthest end in the subtree of which this group is the root. */
  furthest: Key | null;
}

export class WatcherIndex<W> {
  readonly #exact = new Map<Key, Set<W>>();
  readonly #groups = new Map<string, Group<W>>();
  #sorted: Group<W>[] | null = [];

  add(range: KeyRange, watcher: W): void {
    if (isExact(range)) {
      const watchers = this.#exact.get(range.key);
      if (watchers === undefined) this.#exact.set(range.key, new Set([watcher]));
      else watchers.add(watcher);
      return;
    }
    const name = groupName(range);
    const group = this.#groups.get(name);
    if (group !== undefined) {
      group.watchers.add(watcher);
      return;
    }
    const end = endOf(range);
    this.#groups.set(name, { from: range.key, end, watchers: new Set([watcher]), furthest: end });
    this.#sorted = null;
  }

  remove(range: KeyRange, watcher: W): void {
    if (isExact(range)) {
      const watchers = this.#exact.get(range.key);
      watchers?.delete(watcher);
      if (watchers?.size === 0) this.#exact.delete(range.key);
      return;
    }
    const name = groupName(range);
    const group = this.#groups.get(name);
    group?.watchers.delete(watcher);
    if (group?.watchers.size === 0) {
      this.#groups.delete(name);
      this.#sorted = null;
    }
  }

  visit(key: Key, visit: (watcher: W) => void): void {
    const exact = this.#exact.get(key);
    if (exact !== undefined) for (const watcher of exact) visit(watcher);
    if (this.#groups.size === 0) return;
    this.#sorted ??= build([...this.#groups.values()]);
    stab(this.#sorted, 0, this.#sorted.length, key, visit);
  }
}

function isExact(range: KeyRange): boolean {
  return range.rangeEnd === undefined || range.rangeEnd === '';
}

/** The length goes first, so that no two ranges share a name. */
function groupName(range: KeyRange): string {
  return `${range.key.length}:${range.key}${range.rangeEnd ?? ''}`;
}

function build<W>(groups: Group<W>[]): Group<W>[] {
  groups.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  measure(groups, 0, groups.length);
  return groups;
}

/** Sets `furthest` of the subtree [low, high), whose root is its middle. */
function measure<W>(groups: readonly Group<W>[], low: number, high: number): Key | null {
  if (low >= high) return '';
  const middle = (low + high) >>> 1;
  const group = groups[middle]!;
  const ends = [group.end, measure(groups, low, middle), measure(groups, middle + 1, high)];
  group.furthest = ends.reduce((a, b) => (a === null || b === null ? null : a > b ? a : b));
  return group.furthest;
}

function stab<W>(
  groups: readonly Group<W>[],
  low: number,
  high: number,
  key: Key,
  visit: (watcher: W) => void,
): void {
  if (low >= high) return;
  const middle = (low + high) >>> 1;
  const group = groups[middle]!;
  if (group.furthest !== null && group.furthest <= key) return;
  stab(groups, low, middle, key, visit);
  if (group.from > key) return;
  if (group.end === null || group.end > key) for (const watcher of group.watchers) visit(watcher);
  stab(groups, middle + 1, high, key, visit);
}
