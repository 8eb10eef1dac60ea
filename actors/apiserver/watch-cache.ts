/**
 * The apiserver's view of the store: one store watch on `/registry/` feeds an ordered cache per resource, and every
 * list, get and watch is answered from it (kube-apiserver's cacher, but one for all resources). A consistent read
 * asks the store only for its revision and waits until the cache has caught up with it (KEP-2340).
 */
import type { WatchBatch } from 'raft-consensus';
import type { Timer } from '../../transport/index.js';
import type { ActorSystem, Cause } from '../runtime/index.js';
import type { ApiStore, StoreWatch } from '../store/index.js';
import { limits } from './limits.js';
import { afterPrefix, CacheEntry, type CacheEvent, ResourceCache } from './resource-cache.js';
import { revisionTooLarge, unavailable, waitedInVain } from './status.js';

export const registryRoot = '/registry/';

export interface CacheListener {
  /** A change of the resource, under the cause of its write. */
  changed(event: CacheEvent): void;
  /** The cache was filled anew: what happened between is not known. */
  reset(): void;
}

interface Waiter {
  readonly revision: number;
  resolve(): void;
  reject(error: Error): void;
  readonly timer: Timer;
}

export interface WatchCacheOptions {
  readonly system: ActorSystem;
  readonly store: ApiStore;
  /** `/registry/apps/deployments/` of a key below it. */
  readonly prefixOf: (key: string) => string;
  readonly causeOf: (context: string | undefined) => Cause | undefined;
}

export class WatchCache {
  readonly #options: WatchCacheOptions;
  readonly #resources = new Map<string, ResourceCache>();
  readonly #listeners = new Map<string, Set<CacheListener>>();
  #waiters: Waiter[] = [];
  #revision = 0;
  #filled = false;
  #watch: StoreWatch | undefined;
  /** Grows with every (re)fill, so that answers to an older one are dropped. */
  #generation = 0;
  #retry: Timer | undefined;
  #stopped = true;
  #nextRevision: Promise<number> | undefined;
  #revisionUnderWay: Promise<number> | undefined;

  constructor(options: WatchCacheOptions) {
    this.#options = options;
  }

  /** Everything up to here has been seen. */
  get revision(): number {
    return this.#revision;
  }

  get objects(): number {
    let count = 0;
    for (const cache of this.#resources.values()) count += cache.size;
    return count;
  }

  get ready(): boolean {
    return this.#filled;
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    void this.#fill();
  }

  stop(): void {
    this.#stopped = true;
    this.#generation += 1;
    this.#retry?.cancel();
    this.#watch?.close();
    this.#watch = undefined;
    this.#filled = false;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      waiter.timer.cancel();
      waiter.reject(unavailable('the apiserver is shutting down'));
    }
    this.#tellReset();
  }

  resource(prefix: string): ResourceCache {
    let cache = this.#resources.get(prefix);
    if (!cache) {
      cache = new ResourceCache(prefix, this.#historyFloor);
      this.#resources.set(prefix, cache);
    }
    return cache;
  }

  /** Returns the way to stop listening. */
  listen(prefix: string, listener: CacheListener): () => void {
    let listeners = this.#listeners.get(prefix);
    if (!listeners) this.#listeners.set(prefix, (listeners = new Set()));
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Resolves once the cache holds everything up to the store's newest revision as of this call. */
  async fresh(): Promise<number> {
    const revision = await this.#storeRevision();
    await this.reached(revision);
    return revision;
  }

  /** Resolves once the cache holds everything up to `revision`; 504 after limits.freshnessWaitMs. */
  reached(revision: number): Promise<void> {
    if (this.#filled && this.#revision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = this.#options.system.env.clock.setTimer(limits.freshnessWaitMs, () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        if (this.#filled) reject(revisionTooLarge(revision, this.#revision));
        else reject(waitedInVain('the watch cache is being filled from the store'));
      });
      const waiter: Waiter = { revision, resolve, reject, timer };
      this.#waiters.push(waiter);
    });
  }

  /**
   * The store's newest revision. An answer may be shared only by those who asked before its question left, so at
   * most one question is under way and one waits for its turn.
   */
  #storeRevision(): Promise<number> {
    const ask = () =>
      this.#options.store
        .currentRevision({ timeoutMs: limits.freshnessWaitMs })
        .then((value) => value as number);
    if (!this.#revisionUnderWay) {
      const asked = ask().finally(() => {
        if (this.#revisionUnderWay === asked) this.#revisionUnderWay = undefined;
      });
      this.#revisionUnderWay = asked;
      return asked;
    }
    if (this.#nextRevision) return this.#nextRevision;
    const previous = this.#revisionUnderWay;
    const next: Promise<number> = previous
      .then(
        () => undefined,
        () => undefined, // Its own callers see that error; this question is a new one.
      )
      .then(() => {
        this.#nextRevision = undefined;
        this.#revisionUnderWay = next;
        return ask();
      })
      .finally(() => {
        if (this.#revisionUnderWay === next) this.#revisionUnderWay = undefined;
      });
    this.#nextRevision = next;
    return next;
  }

  /** Reads all of /registry/ at one revision, page by page, then watches from the next one. */
  async #fill(): Promise<void> {
    this.#generation += 1;
    const generation = this.#generation;
    const { store, system } = this.#options;
    try {
      const entries = new Map<string, CacheEntry[]>();
      let revision = 0;
      let key = registryRoot;
      for (;;) {
        const page = await store.range(
          {
            type: 'range',
            key,
            rangeEnd: afterPrefix(registryRoot),
            limit: limits.relistPageKeys,
            ...(revision > 0 && { revision: revision as never }),
          },
          { timeoutMs: limits.storeTimeoutMs },
        );
        if (generation !== this.#generation) return;
        if (revision === 0) revision = page.revision;
        for (const kv of page.result.kvs) {
          const prefix = this.#options.prefixOf(kv.key);
          const list = entries.get(prefix);
          const entry = new CacheEntry(kv.key, kv.value, kv.modRevision);
          if (list) list.push(entry);
          else entries.set(prefix, [entry]);
        }
        const last = page.result.kvs.at(-1);
        if (!page.result.more || !last) break;
        key = `${last.key}\0`;
      }
      this.#replace(entries, revision);
      this.#watchFrom(revision, generation);
    } catch (error) {
      if (generation !== this.#generation) return;
      system.note('apiserver', 'watch cache not filled', { error: String(error) });
      this.#fillLater();
    }
  }

  #fillLater(): void {
    const { clock } = this.#options.system.env;
    this.#retry = clock.setTimer(limits.relistBackoffMs, () => void this.#fill());
  }

  /** Below this no resource has history: the revision of the last fill. */
  #historyFloor = 0;

  #replace(entries: ReadonlyMap<string, readonly CacheEntry[]>, revision: number): void {
    const refill = this.#historyFloor > 0;
    this.#historyFloor = revision;
    for (const prefix of entries.keys()) this.resource(prefix);
    for (const [prefix, cache] of this.#resources) cache.reset(entries.get(prefix) ?? [], revision);
    this.#filled = true;
    this.#revision = revision;
    if (refill) this.#tellReset();
    this.#wake();
  }

  #watchFrom(revision: number, generation: number): void {
    this.#watch = this.#options.store.watch(
      {
        key: registryRoot,
        rangeEnd: afterPrefix(registryRoot),
        startRevision: (revision + 1) as never,
      },
      {
        onBatch: (batch) => {
          if (generation === this.#generation) this.#apply(batch);
        },
        onEnd: (reason) => {
          if (generation !== this.#generation) return;
          this.#options.system.note('apiserver', 'store watch ended', { reason: reason.type });
          this.#watch = undefined;
          if (reason.type === 'refused') this.#fillLater();
          else void this.#fill();
        },
      },
    );
  }

  #apply(batch: WatchBatch): void {
    const atMs = this.#options.system.env.clock.monotonicMs();
    for (const { type, kv, context } of batch.events) {
      const prefix = this.#options.prefixOf(kv.key);
      const event = this.resource(prefix).apply({
        key: kv.key,
        value: type === 'put' ? kv.value : undefined,
        revision: kv.modRevision,
        atMs,
        context,
      });
      // Watchers that begin while this batch is told must not be told of it twice.
      this.#revision = Math.max(this.#revision, kv.modRevision);
      if (event) this.#tell(prefix, event);
    }
    this.#revision = Math.max(this.#revision, batch.revision);
    this.#wake();
  }

  #tell(prefix: string, event: CacheEvent): void {
    const listeners = this.#listeners.get(prefix);
    if (!listeners || listeners.size === 0) return;
    // A copy: who begins to listen because of this event has it in its initial state.
    const told = [...listeners];
    this.#options.system.withCause(this.#options.causeOf(event.context), () => {
      for (const listener of told) listener.changed(event);
    });
  }

  #tellReset(): void {
    for (const listeners of this.#listeners.values()) {
      for (const listener of listeners) listener.reset();
    }
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const waiting = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiting) {
      if (waiter.revision <= this.#revision) {
        waiter.timer.cancel();
        waiter.resolve();
      } else this.#waiters.push(waiter);
    }
  }
}
