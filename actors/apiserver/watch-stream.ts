/**
 * One watch: begins with the present state or with history, then follows the cache. Selection turns changes into
 * ADDED, MODIFIED and DELETED as seen through the selectors; a consumer that falls too far behind is ended, never
 * buffered for. Kubernetes API concepts: "Efficient detection of changes", "Streaming lists".
 */
import type { Timer } from '../../transport/index.js';
import type { ActorSystem } from '../runtime/index.js';
import { limits } from './limits.js';
import { jsonBytes, spliceEvent } from './object-bytes.js';
import type { ApiStream, StreamSink } from './request.js';
import type { CacheEntry, CacheEvent } from './resource-cache.js';
import { expired } from './status.js';
import type { WatchCache } from './watch-cache.js';

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** How events of this watch are printed. */
export interface EventEncoder {
  /** Watches of the same form share encoded lines. Undefined: not shared (the first line of a Table watch). */
  readonly key: string;
  object(entry: CacheEntry, first: boolean): Uint8Array;
  bookmark(revision: number, annotations?: Readonly<Record<string, string>>): Uint8Array;
  /** Whether the first line differs from the others. */
  readonly firstDiffers: boolean;
}

export interface WatchOptions {
  readonly system: ActorSystem;
  readonly cache: WatchCache;
  /** The resource's prefix. */
  readonly prefix: string;
  /** Of the keys watched: the resource, a namespace of it, or one object. */
  readonly keyPrefix: string;
  readonly matches: ((entry: CacheEntry) => boolean) | undefined;
  readonly encoder: EventEncoder;
  /** `state`: ADDED for what is there, then changes. Otherwise changes strictly after the revision. */
  readonly from: { readonly type: 'state' } | { readonly type: 'revision'; readonly revision: number };
  /** Marks the end of the initial state with a bookmark (WatchList). */
  readonly initialEventsEnd: boolean;
  readonly bookmarks: boolean;
  readonly timeoutMs: number;
  ended(): void;
}

interface Line {
  readonly type: WatchEventType;
  readonly entry: CacheEntry;
  readonly event: CacheEvent | undefined;
}

type Queued = Line | { readonly type: 'BOOKMARK'; readonly bytes: Uint8Array };

export class WatchStream implements ApiStream {
  readonly #options: WatchOptions;
  #sink: StreamSink | undefined;
  #state: 'idle' | 'open' | 'done' = 'idle';
  #stopListening: (() => void) | undefined;
  #timers: Timer[] = [];
  #bookmarkTimer: Timer | undefined;
  #pumpTimer: Timer | undefined;
  #queue: Queued[] = [];
  #queueAt = 0;
  /** Initial events do not count against the limit: the consumer asked for all of them. */
  #queueMax: number = limits.watcherQueueEventsMax;
  #first = true;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  start(sink: StreamSink): void {
    if (this.#state !== 'idle') return;
    this.#state = 'open';
    this.#sink = sink;
    const { cache, prefix, from, system, timeoutMs, bookmarks } = this.#options;
    const clock = system.env.clock;
    this.#stopListening = cache.listen(prefix, {
      changed: (event) => this.#changed(event),
      reset: () => this.#finish(),
    });
    this.#timers.push(clock.setTimer(timeoutMs, () => this.#finish()));
    if (bookmarks) {
      const last = Math.max(0, timeoutMs - limits.bookmarkBeforeEndMs);
      this.#timers.push(clock.setTimer(last, () => this.#bookmark()));
      this.#scheduleBookmark();
    }
    if (from.type === 'state') this.#sendState();
    else this.#sendHistory(from.revision);
    this.#pump();
  }

  cancel(): void {
    this.#sink = undefined;
    this.#finish();
  }

  #sendState(): void {
    const { cache, prefix, keyPrefix, matches, initialEventsEnd } = this.#options;
    for (const entry of cache.resource(prefix).range(keyPrefix)) {
      if (!matches || matches(entry)) this.#queue.push({ type: 'ADDED', entry, event: undefined });
    }
    if (initialEventsEnd) this.#queueBookmark({ 'k8s.io/initial-events-end': 'true' });
    this.#queueMax += this.#queue.length;
  }

  #sendHistory(revision: number): void {
    const resource = this.#options.cache.resource(this.#options.prefix);
    const history = resource.since(revision);
    if (!history) {
      const why = expired(`too old resource version: ${revision} (${resource.historySince})`);
      this.#sink?.chunk(spliceEvent('ERROR', jsonBytes(why.toStatus())));
      this.#finish();
      return;
    }
    this.#queueMax += history.length;
    for (const event of history) this.#changed(event, false);
    if (this.#options.initialEventsEnd) this.#queueBookmark({ 'k8s.io/initial-events-end': 'true' });
  }

  #changed(event: CacheEvent, pump = true): void {
    if (this.#state !== 'open' || !event.key.startsWith(this.#options.keyPrefix)) return;
    const line = this.#seen(event);
    if (!line) return;
    this.#queue.push(line);
    if (pump) this.#pump();
  }

  /** The change as this watch's selectors see it. */
  #seen(event: CacheEvent): Line | undefined {
    const { matches } = this.#options;
    const { entry, previous } = event;
    const now = entry !== undefined && (!matches || matches(entry));
    const before = previous !== undefined && (!matches || matches(previous));
    if (now) return { type: before ? 'MODIFIED' : 'ADDED', entry, event };
    if (before) return { type: 'DELETED', entry: previous.at(event.revision), event };
    return undefined;
  }

  #pump(): void {
    const sink = this.#sink;
    if (!sink || this.#state !== 'open') return;
    while (this.#queueAt < this.#queue.length) {
      if (sink.bufferedBytes() > limits.watcherBufferedBytesMax) {
        this.#waitForDrain();
        return;
      }
      const queued = this.#queue[this.#queueAt]!;
      this.#queueAt += 1;
      sink.chunk(this.#encode(queued));
      if (this.#sink === undefined) return;
    }
    this.#queue = [];
    this.#queueAt = 0;
    this.#queueMax = limits.watcherQueueEventsMax;
  }

  #waitForDrain(): void {
    const { system, prefix } = this.#options;
    const waiting = this.#queue.length - this.#queueAt;
    if (waiting > this.#queueMax) {
      system.note('apiserver', 'slow watcher ended', { resource: prefix, waiting });
      this.#finish();
      return;
    }
    this.#pumpTimer?.cancel();
    this.#pumpTimer = system.env.clock.setTimer(limits.watcherDrainPollMs, () => this.#pump());
  }

  #encode(queued: Queued): Uint8Array {
    if (queued.type === 'BOOKMARK') return queued.bytes;
    const { encoder } = this.#options;
    const { type, entry, event } = queued;
    if (this.#first && encoder.firstDiffers) {
      this.#first = false;
      return spliceEvent(type, encoder.object(entry, true));
    }
    const key = `${type} ${encoder.key}`;
    const shared = event?.encoded.get(key);
    if (shared) return shared;
    const bytes = spliceEvent(type, encoder.object(entry, false));
    event?.encoded.set(key, bytes);
    return bytes;
  }

  #scheduleBookmark(): void {
    const { clock, random } = this.#options.system.env;
    const delayMs = limits.bookmarkIntervalMs * (1 - random.next() * 0.1);
    this.#bookmarkTimer = clock.setTimer(delayMs, () => {
      this.#bookmark();
      this.#scheduleBookmark();
    });
  }

  #bookmark(): void {
    if (this.#state !== 'open' || this.#queue.length > 0) return;
    this.#queueBookmark();
    this.#pump();
  }

  #queueBookmark(annotations?: Readonly<Record<string, string>>): void {
    const { cache, encoder } = this.#options;
    const bytes = spliceEvent('BOOKMARK', encoder.bookmark(cache.revision, annotations));
    this.#queue.push({ type: 'BOOKMARK', bytes });
  }

  #finish(): void {
    if (this.#state === 'done') return;
    this.#state = 'done';
    this.#stopListening?.();
    for (const timer of this.#timers) timer.cancel();
    this.#bookmarkTimer?.cancel();
    this.#pumpTimer?.cancel();
    this.#queue = [];
    const sink = this.#sink;
    this.#sink = undefined;
    this.#options.ended();
    sink?.end();
  }
}
