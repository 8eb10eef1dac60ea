/**
 * Watches over a `KvStore`. Consumers pull: each watcher holds a bounded queue of live events, and one that
 * is not emptied in time is switched to reading the store's log from where it stood, in bounded batches and
 * at its own pace. So a slow watcher costs the others nothing and never loses an event: either it catches
 * up or it is told that compaction has overtaken it (etcd-io/etcd #17529). Guarantees, as etcd's: ordered,
 * unique, reliable, atomic (a revision is never split), resumable (from the last revision + 1),
 * bookmarkable (progress).
 */
import type { KvStore } from './kv-store.js';
import { KV_LIMITS } from './limits.js';
import { covers } from './txn-check.js';
import type { KeyValue, Revision, WatchBatch, WatchEvent, WatchRequest } from './types.js';
import { revision } from './types.js';
import type { Version } from './values/index.js';
import { type Change, type Versions, withValue } from './versions.js';
import { WatcherIndex } from './watcher-index.js';

export interface WatchBudget {
  /** A batch ends with the revision that reaches one of these; a single revision may exceed them. */
  readonly eventsMax?: number;
  readonly bytesMax?: number;
  /** Changes of the history looked at, whether they match or not. */
  readonly scanMax?: number;
}

export type WatchStep =
  | { readonly type: 'batch'; readonly batch: WatchBatch }
  /** Nothing to deliver now; `onReady` will be called. */
  | { readonly type: 'idle' }
  /** The watcher needs history from before `compactRevision`; it is closed. */
  | { readonly type: 'compacted'; readonly compactRevision: Revision }
  | { readonly type: 'closed' };

export interface WatcherLimits {
  /** Of one watcher. */
  readonly queueEventsMax: number;
  readonly queueBytesMax: number;
  /** Of all watchers together. */
  readonly queueBytesTotalMax: number;
}

const DEFAULT_LIMITS: WatcherLimits = {
  queueEventsMax: KV_LIMITS.watchQueueEventsMax,
  queueBytesMax: KV_LIMITS.watchQueueBytesMax,
  queueBytesTotalMax: KV_LIMITS.watchQueueBytesTotalMax,
};

export class WatchHub {
  readonly #store: KvStore;
  readonly #limits: WatcherLimits;
  readonly #index = new WatcherIndex<Watcher>();
  readonly #watchers = new Set<Watcher>();
  /** Up to here, live watchers were offered everything. */
  #seen: Revision;
  #queuedBytes = 0;

  constructor(store: KvStore, limits: Partial<WatcherLimits> = {}) {
    this.#store = store;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#seen = store.revision;
    store.listen({
      changed: (at, changes, context) => this.#changed(at, changes, context),
      restored: () => {
        for (const watcher of this.#watchers) watcher.restored(this.#seen);
        this.#seen = store.revision;
      },
    });
  }

  get size(): number {
    return this.#watchers.size;
  }

  /** Of events that wait in the queues of watchers; one that waits in several counts in each. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** How many those are; of watchers that read from history nobody knows. */
  queuedEvents(): number {
    let count = 0;
    for (const watcher of this.#watchers) count += watcher.queuedEvents;
    return count;
  }

  /**
   * Pull with `next` right away and then whenever `onReady` was called, each time until it answers `idle`.
   * `onReady` is called from within `KvStore.apply`: it may take note, not pull.
   */
  watch(request: WatchRequest, onReady: () => void): Watcher {
    const watcher = new Watcher(this.#store, request, this.#limits, {
      onReady,
      onClose: () => {
        this.#watchers.delete(watcher);
        this.#index.remove(request, watcher);
      },
      onQueued: (bytes) => (this.#queuedBytes += bytes),
    });
    this.#watchers.add(watcher);
    this.#index.add(request, watcher);
    return watcher;
  }

  #changed(at: Revision, changes: readonly Change[], context: string | undefined): void {
    this.#seen = at;
    if (this.#watchers.size === 0) return;
    for (const change of changes) {
      const event = new LiveEvent(this.#store.versions, change, context);
      this.#index.visit(change.kv.key, (watcher) => watcher.offer(at, event));
    }
    if (this.#queuedBytes > this.#limits.queueBytesTotalMax) this.#relieve();
  }

  /** Who holds half of an equal share or more reads from history: together they hold half of it all, or more. */
  #relieve(): void {
    const share = this.#limits.queueBytesTotalMax / this.#watchers.size;
    for (const watcher of this.#watchers) {
      if (watcher.queuedBytes * 2 >= share) watcher.readFromHistory();
    }
  }
}

/**
 * One change, made into the events that watchers ask for: at most one with and one without the previous
 * version.
 */
class LiveEvent {
  readonly change: Change;
  readonly #versions: Versions;
  readonly #context: string | undefined;
  #plain: WatchEvent | undefined;
  #withPrev: WatchEvent | undefined;

  constructor(versions: Versions, change: Change, context: string | undefined) {
    this.#versions = versions;
    this.change = change;
    this.#context = context;
  }

  event(prevKv: boolean): WatchEvent {
    const { kv, value, prev } = this.change;
    if (!prevKv || prev === undefined) {
      return (this.#plain ??= makeEvent(withValue(kv, value), undefined, this.#context));
    }
    // A copy: one that waits in a queue shall not keep a whole slab in memory.
    const before = withValue(prev, this.#versions.values.read(prev).slice());
    return (this.#withPrev ??= makeEvent(withValue(kv, value), before, this.#context));
  }
}

function makeEvent(kv: KeyValue, prevKv: KeyValue | undefined, context?: string): WatchEvent {
  const event: WatchEvent = { type: kv.version === 0 ? 'delete' : 'put', kv };
  if (prevKv !== undefined && context !== undefined) return { ...event, prevKv, context };
  if (prevKv !== undefined) return { ...event, prevKv };
  return context === undefined ? event : { ...event, context };
}

interface QueuedRevision {
  readonly revision: Revision;
  readonly events: WatchEvent[];
}

interface WatcherEvents {
  onReady(): void;
  onClose(): void;
  /** So much more waits in its queue; less, when negative. */
  onQueued(bytes: number): void;
}

export class Watcher {
  readonly request: WatchRequest;
  /**
   * The first revision whose events it sees; a watcher that is interrupted before any batch resumes from
   * here.
   */
  readonly startRevision: Revision;
  readonly #store: KvStore;
  readonly #limits: WatcherLimits;
  readonly #told: WatcherEvents;
  /** `live`: events queue up as they happen. `history`: they are read from the log from `#from` on. */
  #mode: 'live' | 'history' | 'closed';
  #from: Revision;
  #queue: QueuedRevision[] = [];
  #queuedEvents = 0;
  #queuedBytes = 0;
  #waiting = false;

  constructor(store: KvStore, request: WatchRequest, limits: WatcherLimits, told: WatcherEvents) {
    const start = request.startRevision ?? 0;
    this.request = request;
    this.startRevision = start === 0 ? revision(store.revision + 1) : revision(start);
    this.#store = store;
    this.#limits = limits;
    this.#told = told;
    this.#from = this.startRevision;
    this.#mode = this.startRevision > store.revision ? 'live' : 'history';
  }

  next(budget: WatchBudget = {}): WatchStep {
    if (this.#mode === 'closed') return { type: 'closed' };
    if (this.#mode === 'history') return this.#nextOfHistory(budget);
    if (this.#queue.length > 0) return { type: 'batch', batch: this.#nextOfQueue(budget) };
    this.#waiting = true;
    return { type: 'idle' };
  }

  /**
   * An empty batch at the store's revision when everything up to it was delivered; null while something is
   * pending or the start revision lies ahead (etcd-io/etcd #15220, #17507, #20221).
   */
  progress(): WatchBatch | null {
    const { revision: at } = this.#store;
    const isSynced = this.#mode === 'live' && this.#queue.length === 0;
    return isSynced && at >= (this.request.startRevision ?? 0) ? { revision: at, events: [] } : null;
  }

  close(): void {
    if (this.#mode === 'closed') return;
    this.#mode = 'closed';
    this.#dropQueue();
    this.#told.onClose();
  }

  /** Of the hub: a change of a key in range. */
  offer(at: Revision, live: LiveEvent): void {
    if (this.#mode !== 'live' || at < this.startRevision || !this.#wants(live.change.kv)) return;
    const event = live.event(this.request.prevKv === true);
    const last = this.#queue.at(-1);
    if (last?.revision === at) last.events.push(event);
    else this.#queue.push({ revision: at, events: [event] });
    this.#queuedEvents++;
    this.#count(eventBytes(event));
    if (this.#queuedEvents > this.#limits.queueEventsMax || this.#queuedBytes > this.#limits.queueBytesMax) {
      this.#readFromHistory(this.#queue[0]!.revision);
    }
    this.#wake();
  }

  get queuedEvents(): number {
    return this.#queuedEvents;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Of the hub: all watchers together hold too much. */
  readFromHistory(): void {
    const oldest = this.#queue[0];
    if (this.#mode === 'live' && oldest !== undefined) this.#readFromHistory(oldest.revision);
  }

  /**
   * Of the hub: the store's state was replaced by a later one. What came after `seen` is in its log or
   * compacted; a watch never goes back in time (etcd-io/etcd #15271).
   */
  restored(seen: Revision): void {
    if (this.#mode === 'live') {
      const from = this.#queue[0]?.revision ?? revision(Math.max(this.startRevision, seen + 1));
      if (from <= this.#store.revision) this.#readFromHistory(from);
    }
    this.#wake();
  }

  #nextOfQueue(budget: WatchBudget): WatchBatch {
    const { eventsMax, bytesMax } = withDefaults(budget);
    const events: WatchEvent[] = [];
    let bytes = 0;
    let taken = 0;
    while (taken < this.#queue.length && events.length < eventsMax && bytes < bytesMax) {
      for (const event of this.#queue[taken]!.events) {
        events.push(event);
        bytes += eventBytes(event);
      }
      taken++;
    }
    const last = this.#queue[taken - 1]!.revision;
    this.#queue.splice(0, taken);
    this.#queuedEvents -= events.length;
    this.#count(-bytes);
    return { revision: this.#queue.length === 0 ? this.#store.revision : last, events };
  }

  #nextOfHistory(budget: WatchBudget): WatchStep {
    const { versions } = this.#store;
    if (this.#from < versions.compactRevision) {
      this.close();
      return { type: 'compacted', compactRevision: versions.compactRevision };
    }
    const { eventsMax, bytesMax, scanMax } = withDefaults(budget);
    const { log } = versions;
    const events: WatchEvent[] = [];
    const begin = log.seek(this.#from);
    let at = begin;
    let bytes = 0;
    let reached = this.#from;
    while (at < log.tail) {
      const kv = log.at(at);
      const full = events.length >= eventsMax || bytes >= bytesMax || at - begin >= scanMax;
      if (full && kv.modRevision > reached) break;
      reached = kv.modRevision;
      at++;
      if (!covers(this.request, kv.key) || !this.#wants(kv)) continue;
      const prev = this.request.prevKv === true ? versions.before(kv) : undefined;
      const event = makeEvent(versions.kvOf(kv), prev && versions.kvOf(prev));
      events.push(event);
      bytes += eventBytes(event);
    }
    if (at < log.tail) {
      this.#from = revision(reached + 1);
      return { type: 'batch', batch: { revision: reached, events } };
    }
    this.#mode = 'live';
    return { type: 'batch', batch: { revision: this.#store.revision, events } };
  }

  #wants(kv: Version): boolean {
    return kv.version === 0 ? this.request.noDelete !== true : this.request.noPut !== true;
  }

  #readFromHistory(from: Revision): void {
    this.#mode = 'history';
    this.#from = from;
    this.#dropQueue();
  }

  #dropQueue(): void {
    this.#queue = [];
    this.#queuedEvents = 0;
    this.#count(-this.#queuedBytes);
  }

  #count(bytes: number): void {
    this.#queuedBytes += bytes;
    this.#told.onQueued(bytes);
  }

  #wake(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#told.onReady();
  }
}

function withDefaults(budget: WatchBudget): Required<WatchBudget> {
  return {
    eventsMax: budget.eventsMax ?? KV_LIMITS.watchBatchEventsMax,
    bytesMax: budget.bytesMax ?? KV_LIMITS.watchBatchBytesMax,
    scanMax: budget.scanMax ?? KV_LIMITS.watchScanMax,
  };
}

function eventBytes(event: WatchEvent): number {
  return sizeOf(event.kv) + (event.prevKv === undefined ? 0 : sizeOf(event.prevKv));
}

function sizeOf({ key, value }: KeyValue): number {
  return key.length + value.length;
}
