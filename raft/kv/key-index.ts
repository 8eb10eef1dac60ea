/**
 * All keys in byte order: a B+ tree with order statistics. Every node knows how many live keys (newest
 * version is not a tombstone) lie below it, so that counting a range costs O(log n) however long the range
 * is; etcd walks it (etcd-io/etcd #16510). Leaves are chained for scans. Nodes that run empty are merged,
 * others are left part full.
 */
import type { Key } from './types.js';
import type { Version } from './values/index.js';

export interface KeyEntry {
  readonly key: Key;
  newest: Version;
  /** Superseded versions that compaction has not taken yet, oldest first; null when there are none. */
  older: Version[] | null;
}

const NODE_SIZE_MAX = 64;
const MERGED_SIZE_MAX = 48;
const NODE_SIZE_MIN = 16;

interface Leaf {
  readonly type: 'leaf';
  keys: Key[];
  entries: KeyEntry[];
  live: number;
  next: Leaf | null;
}

interface Inner {
  readonly type: 'inner';
  /** `keys[i]` is a lower bound of child i and an upper bound of child i - 1; `keys[0]` is not looked at. */
  keys: Key[];
  children: Node[];
  live: number;
}

type Node = Leaf | Inner;

export const isLive = (entry: KeyEntry): boolean => entry.newest.version > 0;

export class KeyIndex {
  #root: Node = { type: 'leaf', keys: [], entries: [], live: 0, next: null };
  #size = 0;

  /** Keys with any version left, tombstones included. */
  get size(): number {
    return this.#size;
  }

  get liveCount(): number {
    return this.#root.live;
  }

  get(key: Key): KeyEntry | undefined {
    const leaf = this.#leafOf(key);
    const at = lowerBound(leaf.keys, key);
    return leaf.keys[at] === key ? leaf.entries[at] : undefined;
  }

  /** The key must be absent. */
  insert(entry: KeyEntry): void {
    const right = insertInto(this.#root, entry);
    this.#size++;
    if (right === null) return;
    const left = this.#root;
    const keys = [firstKey(left), firstKey(right)];
    this.#root = { type: 'inner', keys, children: [left, right], live: left.live + right.live };
  }

  /** The key must be present. */
  remove(key: Key): void {
    removeFrom(this.#root, key);
    this.#size--;
    while (this.#root.type === 'inner' && this.#root.children.length === 1)
      this.#root = this.#root.children[0]!;
  }

  /** A present key came to life (+1) or died (-1). */
  adjustLive(key: Key, by: 1 | -1): void {
    let node = this.#root;
    node.live += by;
    while (node.type === 'inner') {
      node = node.children[childOf(node, key)]!;
      node.live += by;
    }
  }

  /** Live keys in [from, end); `end` null: no upper bound. */
  countLive(from: Key, end: Key | null): number {
    const below = end === null ? this.#root.live : this.#liveBelow(end);
    return Math.max(0, below - this.#liveBelow(from));
  }

  /** Entries of [from, end) in order, dead ones too, until `visit` returns false. */
  scan(from: Key, end: Key | null, visit: (entry: KeyEntry) => boolean): void {
    let leaf: Leaf | null = this.#leafOf(from);
    let at = lowerBound(leaf.keys, from);
    while (leaf !== null) {
      for (; at < leaf.keys.length; at++) {
        if (end !== null && leaf.keys[at]! >= end) return;
        if (!visit(leaf.entries[at]!)) return;
      }
      leaf = leaf.next;
      at = 0;
    }
  }

  /** Live entries only; leaves without any are skipped. */
  scanLive(from: Key, end: Key | null, visit: (entry: KeyEntry) => boolean): void {
    let leaf: Leaf | null = this.#leafOf(from);
    let at = lowerBound(leaf.keys, from);
    while (leaf !== null) {
      if (leaf.live === 0) {
        if (end !== null && leaf.keys.length > 0 && leaf.keys[0]! >= end) return;
        at = leaf.keys.length;
      }
      for (; at < leaf.keys.length; at++) {
        if (end !== null && leaf.keys[at]! >= end) return;
        const entry = leaf.entries[at]!;
        if (isLive(entry) && !visit(entry)) return;
      }
      leaf = leaf.next;
      at = 0;
    }
  }

  #leafOf(key: Key): Leaf {
    let node = this.#root;
    while (node.type === 'inner') node = node.children[childOf(node, key)]!;
    return node;
  }

  /** Live keys before `key`. */
  #liveBelow(key: Key): number {
    let count = 0;
    let node = this.#root;
    while (node.type === 'inner') {
      const child = childOf(node, key);
      for (let at = 0; at < child; at++) count += node.children[at]!.live;
      node = node.children[child]!;
    }
    const end = lowerBound(node.keys, key);
    for (let at = 0; at < end; at++) if (isLive(node.entries[at]!)) count++;
    return count;
  }
}

/** The first position whose key is not below `key`. */
function lowerBound(keys: readonly Key[], key: Key): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The child that holds `key` if any does. */
function childOf(node: Inner, key: Key): number {
  let low = 1;
  let high = node.keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (node.keys[middle]! <= key) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function firstKey(node: Node): Key {
  return node.keys[0] ?? '';
}

/** Returns the new right neighbour when the node had to be split. */
function insertInto(node: Node, entry: KeyEntry): Node | null {
  if (isLive(entry)) node.live++;
  if (node.type === 'leaf') {
    const at = lowerBound(node.keys, entry.key);
    node.keys.splice(at, 0, entry.key);
    node.entries.splice(at, 0, entry);
    return node.keys.length > NODE_SIZE_MAX ? splitLeaf(node, at) : null;
  }
  const child = childOf(node, entry.key);
  const right = insertInto(node.children[child]!, entry);
  if (right === null) return null;
  node.keys.splice(child + 1, 0, firstKey(right));
  node.children.splice(child + 1, 0, right);
  return node.children.length > NODE_SIZE_MAX ? splitInner(node) : null;
}

/** In the middle; but keys that arrive in ascending order leave full leaves behind. */
function splitLeaf(leaf: Leaf, insertedAt: number): Leaf {
  const ascending = leaf.next === null && insertedAt === leaf.keys.length - 1;
  const at = ascending ? NODE_SIZE_MAX : leaf.keys.length >>> 1;
  const entries = leaf.entries.splice(at);
  const live = entries.filter(isLive).length;
  const right: Leaf = { type: 'leaf', keys: leaf.keys.splice(at), entries, live, next: leaf.next };
  leaf.live -= live;
  leaf.next = right;
  return right;
}

function splitInner(node: Inner): Inner {
  const at = node.children.length >>> 1;
  const children = node.children.splice(at);
  const live = children.reduce((sum, child) => sum + child.live, 0);
  node.live -= live;
  return { type: 'inner', keys: node.keys.splice(at), children, live };
}

/** Returns 1 when the removed entry was live. */
function removeFrom(node: Node, key: Key): number {
  let live: number;
  if (node.type === 'leaf') {
    const at = lowerBound(node.keys, key);
    live = isLive(node.entries[at]!) ? 1 : 0;
    node.keys.splice(at, 1);
    node.entries.splice(at, 1);
  } else {
    const child = childOf(node, key);
    live = removeFrom(node.children[child]!, key);
    if (node.children[child]!.keys.length < NODE_SIZE_MIN) mergeChild(node, child);
  }
  node.live -= live;
  return live;
}

/** Joins a child that runs low with a neighbour, if both fit into one node. */
function mergeChild(parent: Inner, child: number): void {
  for (const left of [child - 1, child]) {
    const a = parent.children[left];
    const b = parent.children[left + 1];
    if (a === undefined || b === undefined) continue;
    const size = a.keys.length + b.keys.length;
    if (size > MERGED_SIZE_MAX && a.keys.length > 0 && b.keys.length > 0) continue;
    if (a.type === 'leaf' && b.type === 'leaf') {
      a.keys.push(...b.keys);
      a.entries.push(...b.entries);
      a.next = b.next;
    } else if (a.type === 'inner' && b.type === 'inner') {
      a.keys.push(parent.keys[left + 1]!, ...b.keys.slice(1));
      a.children.push(...b.children);
    }
    a.live += b.live;
    parent.keys.splice(left + 1, 1);
    parent.children.splice(left + 1, 1);
    return;
  }
}
