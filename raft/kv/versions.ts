/**
 * The versions of all keys: the newest ones in a tree, superseded ones beside them until compaction takes
 * them, and all changes since the last compaction in a log. They are shared and never change after they are
 * written; their values lie apart (values/). Within one revision a key changes at most once (txn-check.ts sees to
 * that).
 *
 * Compaction at C takes effect at once for every reader: of each key, only the version visible at C and
 * later ones count, and a tombstone counts only if it was written at C or later (etcd-io/etcd #18089: a
 * watch from C on must still see it). The memory is freed later, by `compactStep`, which walks the log and
 * not the tree; only when half of the values' memory is free in pieces it walks the tree, too, to win it back.
 */
import { sumOf } from './digest.js';
import type { Key, KeyValue, LeaseId, Revision } from './types.js';
import { leaseId, revision } from './types.js';
import { type KeyEntry, KeyIndex, isLive } from './key-index.js';
import { KV_LIMITS } from './limits.js';
import { RevisionLog } from './revision-log.js';
import { inMemory, Slab, Values, type ValuesOptions, type Version } from './values/index.js';

export const NO_VALUE = new Uint8Array(0);
const NO_LEASE = leaseId(0);

/** A written version and what it replaced; `prev` is absent when the key did not exist. */
export interface Change {
  readonly kv: Version;
  /** Of `kv`, as the command brought it: whoever keeps it keeps nothing else alive. */
  readonly value: Uint8Array;
  readonly prev: Version | undefined;
}

type Written = Omit<KeyValue, 'value'>;

export class Versions {
  readonly index = new KeyIndex();
  readonly log = new RevisionLog();
  readonly values: Values;
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
  /** Before which key no version lies in a sparse slab any more; null: none is being emptied. */
  #moveCursor: Key | null = null;
  #holds = 0;
  /** Of them, those that began before the newest compaction: they may still read what it took away. */
  #holdsBefore = 0;
  #isReplaced = false;

  constructor(options: ValuesOptions = inMemory) {
    this.values = new Values(options);
  }

  /** As those who asked for it get it. */
  kvOf(version: Version): KeyValue {
    return withValue(version, this.values.read(version));
  }

  write(key: Key, value: Uint8Array, lease: LeaseId, at: Revision): Change {
    const entry = this.index.get(key);
    const newest = entry?.newest;
    const prev = newest !== undefined && newest.version > 0 ? newest : undefined;
    const kv = this.#place(
      {
        key: entry?.key ?? key,
        createRevision: prev?.createRevision ?? at,
        modRevision: at,
        version: (prev?.version ?? 0) + 1,
        lease,
      },
      value,
    );
    if (entry === undefined) this.index.insert({ key, newest: kv, older: null });
    else {
      this.#supersede(entry, kv);
      if (prev === undefined) this.index.adjustLive(key, 1);
    }
    this.#record(kv);
    return { kv, value, prev };
  }

  /** The key must be live. */
  bury(entry: KeyEntry, at: Revision): Change {
    const prev = entry.newest;
    const kv = tombstone(entry.key, at);
    this.#supersede(entry, kv);
    this.index.adjustLive(entry.key, -1);
    this.#record(kv);
    return { kv, value: NO_VALUE, prev };
  }

  /** The live version of a key at `at` (>= compactRevision), or undefined. */
  visible(entry: KeyEntry, at: Revision): Version | undefined {
    let found: Version | undefined = entry.newest;
    if (found.modRevision > at) found = newestUpTo(entry.older, at);
    return found !== undefined && found.version > 0 ? found : undefined;
  }

  /** What the change replaced, unless that is compacted away; undefined also when the key did not exist. */
  before(kv: Version): Version | undefined {
    if (kv.modRevision <= this.compactRevision) return undefined;
    const entry = this.index.get(kv.key);
    return entry === undefined ? undefined : this.visible(entry, revision(kv.modRevision - 1));
  }

  compact(at: Revision): void {
    this.compactRevision = at;
    this.#compactCursor = this.log.head;
    this.#holdsBefore = this.#holds;
  }

  get compactionPending(): boolean {
    return this.#compactCursor >= 0 || this.#moveCursor !== null;
  }

  /**
   * Frees what compaction made unreachable, looking at no more than `recordsMax` changes; true while there
   * is more that it could free now.
   */
  compactStep(recordsMax: number): boolean {
    if (this.#holdsBefore > 0) return false;
    if (this.#moveCursor !== null) return this.#holds === 0 && this.#moveStep(recordsMax, this.#moveCursor);
    if (this.#compactCursor < 0) return false;
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
    this.#moveCursor = this.values.markSparse() ? '' : null;
    return this.#moveCursor !== null;
  }

  /**
   * What can be seen now is kept until the function returned is called, and no value moves. Compactions of before go on:
   * readers who come one after another must not keep all history for ever.
   */
  hold(): () => void {
    this.#holds++;
    const { compactRevision } = this;
    let isHeld = true;
    return () => {
      if (isHeld) this.#holds--;
      if (isHeld && compactRevision < this.compactRevision) this.#holdsBefore--;
      isHeld = false;
      if (this.#isReplaced && this.#holds === 0) this.values.dispose();
    };
  }

  /** Another state has taken the place of this one; who holds it may go on reading. */
  replaced(): void {
    this.#isReplaced = true;
    if (this.#holds === 0) this.values.dispose();
  }

  /** Of a snapshot: a version whose value it holds. */
  placeRestored(kv: KeyValue): Version {
    return kv.version === 0 ? tombstone(kv.key, kv.modRevision) : this.#place(kv, kv.value);
  }

  /** Of a snapshot: a version that compaction left behind, older than everything in the log. */
  restoreBase(kv: Version): void {
    this.index.insert({ key: kv.key, newest: kv, older: null });
    this.count += 1;
    this.bytes += sizeOf(kv);
    this.digest = (this.digest + kv.sum) >>> 0;
  }

  /** Of a snapshot: the next change of the log. Returns what it replaces. */
  restoreChange(kv: Version): Version | undefined {
    const entry = this.index.get(kv.key);
    const before = entry?.newest;
    if (entry === undefined) this.index.insert({ key: kv.key, newest: kv, older: null });
    else {
      const wasLive = isLive(entry);
      this.#supersede(entry, kv);
      if (wasLive !== isLive(entry)) this.index.adjustLive(kv.key, wasLive ? -1 : 1);
    }
    this.#record(kv);
    return before;
  }

  /** `kv` is at or below the compact revision: all that the key had before it is out of reach. */
  #forgetBefore(kv: Version): void {
    const entry = this.index.get(kv.key);
    if (entry === undefined) return;
    const isGone = kv.version === 0 && kv.modRevision < this.compactRevision;
    const keepFrom = isGone ? kv.modRevision + 1 : kv.modRevision;
    if (entry.older !== null) {
      let drop = 0;
      while (drop < entry.older.length && entry.older[drop]!.modRevision < keepFrom) {
        this.#forget(entry.older[drop]!);
        drop++;
      }
      if (drop > 0) entry.older = drop === entry.older.length ? null : entry.older.slice(drop);
    }
    if (isGone && entry.newest === kv) {
      this.#forget(kv);
      this.index.remove(kv.key);
    }
  }

  #forget(kv: Version): void {
    this.count -= 1;
    this.bytes -= sizeOf(kv);
    this.values.release(kv);
  }

  /** Out of the slabs that are being emptied, from `from` on. */
  #moveStep(recordsMax: number, from: Key): boolean {
    let left = recordsMax;
    let bytesLeft: number = KV_LIMITS.movedBytesMax;
    this.#moveCursor = null;
    this.index.scan(from, null, (entry) => {
      if (left-- <= 0 || bytesLeft <= 0) {
        this.#moveCursor = entry.key;
        return false;
      }
      bytesLeft -= this.values.move(entry.newest);
      for (const older of entry.older ?? []) bytesLeft -= this.values.move(older);
      return true;
    });
    return this.compactionPending;
  }

  #supersede(entry: KeyEntry, kv: Version): void {
    this.digest = (this.digest - this.#sumNow(entry.newest)) >>> 0;
    if (entry.older === null) entry.older = [entry.newest];
    else entry.older.push(entry.newest);
    entry.newest = kv;
  }

  #record(kv: Version): void {
    this.log.push(kv);
    this.count += 1;
    this.bytes += sizeOf(kv);
    this.digest = (this.digest + kv.sum) >>> 0;
  }

  #place(written: Written, value: Uint8Array): Version {
    const { key, createRevision, modRevision, version, lease } = written;
    const sum = sumOf(written, value) | 0;
    const { slab, offset } = this.values.append(value);
    return { key, createRevision, modRevision, version, lease, valueBytes: value.length, sum, slab, offset };
  }

  /** Computed again if the value is in memory, so that bytes which changed there show. */
  #sumNow(kv: Version): number {
    const value = kv.version === 0 ? undefined : this.values.peek(kv);
    return value === undefined ? kv.sum : sumOf(kv, value);
  }
}

export function withValue(of: Version, value: Uint8Array): KeyValue {
  const { key, createRevision, modRevision, version, lease } = of;
  return { key, value, createRevision, modRevision, version, lease };
}

function tombstone(key: Key, at: Revision): Version {
  const nothing = { valueBytes: 0, sum: 0, slab: Slab.none, offset: 0 };
  return { key, createRevision: revision(0), modRevision: at, version: 0, lease: NO_LEASE, ...nothing };
}

export function sizeOf(kv: Version): number {
  return kv.key.length + kv.valueBytes;
}

function newestUpTo(older: readonly Version[] | null, at: Revision): Version | undefined {
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
