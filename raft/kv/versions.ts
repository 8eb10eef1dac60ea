/**
 * The versions of all keys: the newest ones in a tree, superseded ones beside them until compaction takes
 * them, and all changes since the last compaction in a log. Versions are `KeyValue`s, shared and never
 * changed after they are written. Within one revision a key changes at most once (txn-check.ts sees to
 * that).
 *
 * Compaction at C takes effect at once for every reader: of each key, only the version visible at C and
 * later ones count, and a tombstone counts only if it was written at C or later (etcd-io/etcd #18089: a
 * watch from C on must still see it). The memory is freed later, by `compactStep`, which walks the log and
 * not the tree.
 */
import { digestOf } from './digest.js';
import type { Key, KeyValue, LeaseId, Revision } from './types.js';
import { leaseId, revision } from './types.js';
import { type KeyEntry, KeyIndex, isLive } from './key-index.js';
import { RevisionLog } from './revision-log.js';

export const NO_VALUE = new Uint8Array(0);
const NO_LEASE = leaseId(0);

/** A written version and what it replaced; `prev` is absent when the key did not exist. */
export interface Change {
  readonly kv: KeyValue;
  readonly prev: KeyValue | undefined;
}

export class Versions {
  readonly index = new KeyIndex();
  readonly log = new RevisionLog();
  /** Of the newest change; 1 for a store that was never written. */
  revision = revision(1);
  /** Reads below it are refused; 0 before the first compaction. */
  compactRevision = revision(0);
  /** Keys and values held, old versions included; falls as compaction goes on. */
  bytes = 0;
  /** How many versions that is. */
  count = 0;
  /** Over the live keys (digest.ts). */
  digest = 0;
  /** Up to where `compactStep` has come; -1: nothing to do. */
  #compactCursor = -1;
  #holds = 0;

  write(key: Key, value: Uint8Array, lease: LeaseId, at: Revision): Change {
    const entry = this.index.get(key);
    const newest = entry?.newest;
    const prev = newest !== undefined && newest.version > 0 ? newest : undefined;
    const kv: KeyValue = {
      key: entry?.key ?? key,
      value,
      createRevision: prev?.createRevision ?? at,
      modRevision: at,
      version: (prev?.version ?? 0) + 1,
      lease,
    };
    if (entry === undefined) this.index.insert({ key, newest: kv, older: null });
    else {
      this.#supersede(entry, kv);
      if (prev === undefined) this.index.adjustLive(key, 1);
    }
    this.#record(kv);
    return { kv, prev };
  }

  /** The key must be live. */
  bury(entry: KeyEntry, at: Revision): Change {
    const prev = entry.newest;
    const kv: KeyValue = {
      key: entry.key,
      value: NO_VALUE,
      createRevision: revision(0),
      modRevision: at,
      version: 0,
      lease: NO_LEASE,
    };
    this.#supersede(entry, kv);
    this.index.adjustLive(entry.key, -1);
    this.#record(kv);
    return { kv, prev };
  }

  /** The live version of a key at `at` (>= compactRevision), or undefined. */
  visible(entry: KeyEntry, at: Revision): KeyValue | undefined {
    let found: KeyValue | undefined = entry.newest;
    if (found.modRevision > at) found = newestUpTo(entry.older, at);
    return found !== undefined && found.version > 0 ? found : undefined;
  }

  /** What the change replaced, unless that is compacted away; undefined also when the key did not exist. */
  before(kv: KeyValue): KeyValue | undefined {
    if (kv.modRevision <= this.compactRevision) return undefined;
    const entry = this.index.get(kv.key);
    return entry === undefined ? undefined : this.visible(entry, revision(kv.modRevision - 1));
  }

  compact(at: Revision): void {
    this.compactRevision = at;
    this.#compactCursor = this.log.head;
  }

  get compactionPending(): boolean {
    return this.#compactCursor >= 0;
  }

  /**
   * Frees what compaction made unreachable, looking at no more than `recordsMax` changes; true while there
   * is more that it could free now.
   */
  compactStep(recordsMax: number): boolean {
    if (this.#compactCursor < 0 || this.#holds > 0) return false;
    for (let left = recordsMax; left > 0; left--) {
      if (this.#compactCursor === this.log.tail) break;
      const kv = this.log.at(this.#compactCursor);
      if (kv.modRevision > this.compactRevision) break;
      this.#forgetBefore(kv);
      if (kv.modRevision < this.compactRevision) this.log.dropFirst();
      this.#compactCursor++;
      if (left === 1) return true;
    }
    this.#compactCursor = -1;
    return false;
  }

  /** Nothing is freed until the function returned is called: whoever reads an old revision needs it all. */
  hold(): () => void {
    this.#holds++;
    let isHeld = true;
    return () => {
      if (isHeld) this.#holds--;
      isHeld = false;
    };
  }

  /** Of a snapshot: a version that compaction left behind, older than everything in the log. */
  restoreBase(kv: KeyValue): void {
    this.index.insert({ key: kv.key, newest: kv, older: null });
    this.count += 1;
    this.bytes += sizeOf(kv);
    if (kv.version > 0) this.digest = (this.digest + digestOf(kv)) >>> 0;
  }

  /** Of a snapshot: the next change of the log. */
  restoreChange(kv: KeyValue): void {
    const entry = this.index.get(kv.key);
    if (entry === undefined) this.index.insert({ key: kv.key, newest: kv, older: null });
    else {
      const wasLive = isLive(entry);
      this.#supersede(entry, kv);
      if (wasLive !== isLive(entry)) this.index.adjustLive(kv.key, wasLive ? -1 : 1);
    }
    this.#record(kv);
  }

  /** `kv` is at or below the compact revision: all that the key had before it is out of reach. */
  #forgetBefore(kv: KeyValue): void {
    const entry = this.index.get(kv.key);
    if (entry === undefined) return;
    const isGone = kv.version === 0 && kv.modRevision < this.compactRevision;
    const keepFrom = isGone ? kv.modRevision + 1 : kv.modRevision;
    if (entry.older !== null) {
      let drop = 0;
      while (drop < entry.older.length && entry.older[drop]!.modRevision < keepFrom) {
        this.count -= 1;
        this.bytes -= sizeOf(entry.older[drop]!);
        drop++;
      }
      if (drop > 0) entry.older = drop === entry.older.length ? null : entry.older.slice(drop);
    }
    if (isGone && entry.newest === kv) {
      this.count -= 1;
      this.bytes -= sizeOf(kv);
      this.index.remove(kv.key);
    }
  }

  #supersede(entry: KeyEntry, kv: KeyValue): void {
    if (isLive(entry)) this.digest = (this.digest - digestOf(entry.newest)) >>> 0;
    if (entry.older === null) entry.older = [entry.newest];
    else entry.older.push(entry.newest);
    entry.newest = kv;
  }

  #record(kv: KeyValue): void {
    this.log.push(kv);
    this.count += 1;
    this.bytes += sizeOf(kv);
    if (kv.version > 0) this.digest = (this.digest + digestOf(kv)) >>> 0;
  }
}

export function sizeOf(kv: KeyValue): number {
  return kv.key.length + kv.value.length;
}

function newestUpTo(older: readonly KeyValue[] | null, at: Revision): KeyValue | undefined {
  if (older === null) return undefined;
  let low = 0;
  let high = older.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (older[middle]!.modRevision <= at) low = middle + 1;
    else high = middle;
  }
  return older[low - 1];
}
