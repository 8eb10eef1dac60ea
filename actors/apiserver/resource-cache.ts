/**
 * The objects of one resource as the store last told them: an ordered map of keys, and a ring of the newest changes
 * from which watches resume. Plain data structure; the watch cache feeds it.
 */
import type { KubeObject } from '../objects/meta.js';
import { limits } from './limits.js';
import { decodeStored } from './object-bytes.js';

/** One stored version of an object. */
export class CacheEntry {
  readonly key: string;
  /** The stored form (object-bytes.ts). */
  readonly bytes: Uint8Array;
  readonly revision: number;
  #object: KubeObject | undefined;

  constructor(key: string, bytes: Uint8Array, revision: number) {
    this.key = key;
    this.bytes = bytes;
    this.revision = revision;
  }

  /** Parsed once, shared: never change it. Has no kind and no apiVersion. */
  get object(): KubeObject {
    return (this.#object ??= decodeStored(this.bytes, this.revision));
  }

  /** The same content at another revision: what DELETED events carry. */
  at(revision: number): CacheEntry {
    return new CacheEntry(this.key, this.bytes, revision);
  }
}

export interface CacheEvent {
  readonly revision: number;
  /** When it came here, by the monotonic clock. */
  readonly atMs: number;
  readonly key: string;
  /** Absent: the object was deleted. */
  readonly entry: CacheEntry | undefined;
  readonly previous: CacheEntry | undefined;
  /** The cause of the write (see store/context.ts). */
  readonly context: string | undefined;
  /** Lines already encoded, by form; shared by all watchers (ARCHITECTURE rule 13). */
  readonly encoded: Map<string, Uint8Array>;
}

export class ResourceCache {
  readonly prefix: string;
  /** Watches may start after any revision >= this one. */
  historySince: number;
  readonly #byKey = new Map<string, CacheEntry>();
  #sorted: CacheEntry[] = [];
  #ring: CacheEvent[] = [];
  #ringStart = 0;
  #ringBytes = 0;
  #changedAt = 0;

  constructor(prefix: string, historySince: number) {
    this.prefix = prefix;
    this.historySince = historySince;
  }

  get size(): number {
    return this.#sorted.length;
  }

  /** Revision of the last change here; the content is the same at every later revision. */
  get changedAt(): number {
    return this.#changedAt;
  }

  get(key: string): CacheEntry | undefined {
    return this.#byKey.get(key);
  }

  /** Entries whose key begins with `prefix`, in key order, from `from` on (inclusive). */
  range(prefix: string, from: string = prefix): readonly CacheEntry[] {
    if (prefix === this.prefix && from === prefix) return this.#sorted;
    const start = this.#position(from > prefix ? from : prefix);
    const end = this.#position(afterPrefix(prefix));
    return this.#sorted.slice(start, end);
  }

  /** Replaces everything: a fresh list at `revision`. History is forgotten. */
  reset(entries: readonly CacheEntry[], revision: number): void {
    this.#sorted = [...entries].sort((a, b) => (a.key < b.key ? -1 : 1));
    this.#byKey.clear();
    for (const entry of this.#sorted) this.#byKey.set(entry.key, entry);
    this.#ring = [];
    this.#ringStart = 0;
    this.#ringBytes = 0;
    this.historySince = revision;
    this.#changedAt = revision;
  }

  /** Applies a change and returns the event, or undefined for the deletion of what was not there. */
  apply(change: {
    readonly key: string;
    readonly value: Uint8Array | undefined;
    readonly revision: number;
    readonly atMs: number;
    readonly context?: string | undefined;
  }): CacheEvent | undefined {
    const { key, value, revision, atMs } = change;
    const previous = this.#byKey.get(key);
    const entry = value === undefined ? undefined : new CacheEntry(key, value, revision);
    const at = this.#position(key);
    if (entry) {
      if (previous) this.#sorted[at] = entry;
      else this.#sorted.splice(at, 0, entry);
      this.#byKey.set(key, entry);
    } else {
      if (!previous) return undefined;
      this.#sorted.splice(at, 1);
      this.#byKey.delete(key);
    }
    this.#changedAt = revision;
    const event: CacheEvent = {
      revision,
      atMs,
      key,
      entry,
      previous,
      context: change.context,
      encoded: new Map(),
    };
    this.#remember(event);
    return event;
  }

  /** Changes strictly after `revision`; undefined when history does not reach back that far. */
  since(revision: number): readonly CacheEvent[] | undefined {
    if (revision < this.historySince) return undefined;
    let low = this.#ringStart;
    let high = this.#ring.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ring[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#ring.slice(low);
  }

  #remember(event: CacheEvent): void {
    this.#ring.push(event);
    this.#ringBytes += sizeOf(event);
    while (this.#isFull(event.atMs)) {
      const dropped = this.#ring[this.#ringStart]!;
      this.#ringStart += 1;
      this.#ringBytes -= sizeOf(dropped);
      this.historySince = dropped.revision;
    }
    if (this.#ringStart > 64 && this.#ringStart * 2 > this.#ring.length) {
      this.#ring = this.#ring.slice(this.#ringStart);
      this.#ringStart = 0;
    }
  }

  /** Leases change each second for ever: what nobody resumes from any more must not wait until it is 10,000. */
  #isFull(nowMs: number): boolean {
    const events = this.#ring.length - this.#ringStart;
    if (events > limits.historyEventsMax) return true;
    if (events > 1 && this.#ringBytes > limits.historyBytesMax) return true;
    return (
      events > limits.historyEventsMin && nowMs - this.#ring[this.#ringStart]!.atMs > limits.historyAgeMs
    );
  }

  /** Index of the first entry with a key >= `key`. */
  #position(key: string): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sorted[middle]!.key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function sizeOf(event: CacheEvent): number {
  return 200 + (event.entry ?? event.previous)!.bytes.length;
}

/** The first key after every key with this prefix (etcd's prefix range end); keys are ASCII. */
export function afterPrefix(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
