/**
 * Reads a range at the newest or an old revision. Without sorting and filters it stops at the limit, O(log
 * n + k). The count ignores limit and filters, as etcd's does: at the newest revision it comes from the
 * tree in O(log n); at an old one from there too, corrected for the keys that changed since, when those are
 * fewer than the keys in the range.
 */
import type { KeyEntry } from './key-index.js';
import { isLive } from './key-index.js';
import { covers, endOf } from './txn-check.js';
import type { Key, KeyRange, RangeOp, RangeResult, Revision } from './types.js';
import { revision } from './types.js';
import type { Version } from './values/index.js';
import { NO_VALUE, type Versions, withValue } from './versions.js';

/** An answer whose values are still where they are. */
export interface RangeSelection {
  readonly found: readonly Version[];
  readonly more: boolean;
  readonly count: number;
}

/** The operation has passed `checkRange`, and its revision is neither compacted nor in the future. */
export function readRange(versions: Versions, op: RangeOp): RangeResult {
  const { found, more, count } = selectRange(versions, op);
  const kvs = found.map((version) =>
    op.keysOnly === true ? withValue(version, NO_VALUE) : versions.kvOf(version),
  );
  return { type: 'range', kvs, more, count };
}

/** As `readRange`; a sort by value reads them all the same. */
export function selectRange(versions: Versions, op: RangeOp): RangeSelection {
  const at = (op.revision ?? 0) === 0 ? null : (op.revision ?? null);
  const limit = op.limit ?? 0;
  if (op.rangeEnd === undefined || op.rangeEnd === '') return selectKey(versions, op, at);
  const end = endOf(op);
  const count = at === null ? versions.index.countLive(op.key, end) : countAt(versions, op, end, at);
  if (op.countOnly === true) return { found: [], more: false, count };
  const plain = isPlain(op);
  const kvs = collect(versions, op.key, end, at, plain && limit > 0 ? limit : Infinity);
  if (plain) return { found: kvs, more: kvs.length < count, count };
  const chosen = kvs.filter((kv) => passes(op, kv));
  sort(versions, op, chosen);
  const more = limit > 0 && chosen.length > limit;
  if (more) chosen.length = limit;
  return { found: chosen, more, count };
}

function selectKey(versions: Versions, op: RangeOp, at: Revision | null): RangeSelection {
  const entry = versions.index.get(op.key);
  const kv = entry === undefined ? undefined : versionAt(versions, entry, at);
  if (kv === undefined) return { found: [], more: false, count: 0 };
  const wanted = op.countOnly !== true && passes(op, kv);
  return { found: wanted ? [kv] : [], more: false, count: 1 };
}

function versionAt(versions: Versions, entry: KeyEntry, at: Revision | null): Version | undefined {
  if (at !== null) return versions.visible(entry, at);
  return isLive(entry) ? entry.newest : undefined;
}

/** Live versions in key order, up to `limit`. */
export function collect(
  versions: Versions,
  from: Key,
  end: Key | null,
  at: Revision | null,
  limit: number,
): Version[] {
  const kvs: Version[] = [];
  if (at === null) {
    versions.index.scanLive(from, end, (entry) => kvs.push(entry.newest) < limit);
  } else {
    versions.index.scan(from, end, (entry) => {
      const kv = versions.visible(entry, at);
      return kv === undefined || kvs.push(kv) < limit;
    });
  }
  return kvs;
}

/**
 * Live keys now, less those born since, more those that died since: every change tells which it was. So it costs a look at each
 * change since then (some 20 ns), however many keys there are.
 */
function countAt(versions: Versions, range: KeyRange, end: Key | null, at: Revision): number {
  const { index, log } = versions;
  let count = index.countLive(range.key, end);
  for (let position = log.seek(revision(at + 1)); position < log.tail; position++) {
    const { key, version } = log.at(position);
    if (version > 1 || !covers(range, key)) continue;
    count += version === 1 ? -1 : 1;
  }
  return count;
}

function isPlain(op: RangeOp): boolean {
  const sorted = op.sort !== undefined && !(op.sort.target === 'key' && op.sort.order === 'ascend');
  return (
    !sorted &&
    (op.minModRevision ?? 0) === 0 &&
    (op.maxModRevision ?? 0) === 0 &&
    (op.minCreateRevision ?? 0) === 0 &&
    (op.maxCreateRevision ?? 0) === 0
  );
}

function passes(op: RangeOp, kv: Version): boolean {
  return (
    kv.modRevision >= (op.minModRevision ?? 0) &&
    kv.modRevision <= (op.maxModRevision || Infinity) &&
    kv.createRevision >= (op.minCreateRevision ?? 0) &&
    kv.createRevision <= (op.maxCreateRevision || Infinity)
  );
}

/** Stable: equal ones stay in key order. */
function sort(versions: Versions, op: RangeOp, kvs: Version[]): void {
  if (op.sort === undefined) return;
  const sign = op.sort.order === 'ascend' ? 1 : -1;
  const { target } = op.sort;
  if (target === 'value') return sortByValue(versions, sign, kvs);
  kvs.sort((a, b) => sign * compareBy(target, a, b));
}

function sortByValue({ values }: Versions, sign: number, kvs: Version[]): void {
  const sorted = kvs.map((version) => ({ version, value: values.read(version) }));
  sorted.sort((a, b) => sign * Buffer.compare(a.value, b.value));
  for (const [at, { version }] of sorted.entries()) kvs[at] = version;
}

type PlainTarget = Exclude<NonNullable<RangeOp['sort']>['target'], 'value'>;

function compareBy(target: PlainTarget, a: Version, b: Version): number {
  switch (target) {
    case 'key':
      return a.key < b.key ? -1 : 1;
    case 'version':
      return a.version - b.version;
    case 'create':
      return a.createRevision - b.createRevision;
    case 'mod':
      return a.modRevision - b.modRevision;
    default:
      return target satisfies never;
  }
}
