/**
 * One stream of etcd's Watch service: any number of watchers, each a watch of the store client. Requests are carried out in
 * their order. A reader that is too slow costs no memory: its watchers let go of the store and catch up from history when
 * what was sent has left. Progress never runs ahead of an event (etcd-io/etcd #15220, #17507, #20221).
 */
import { type Revision, revision, type WatchBatch, type WatchEvent } from 'raft-consensus';
import type { StoreWatch } from '../client.js';
import type { StreamCall, StreamHandler } from './method.js';
import type { Event, WatchCreateRequest, WatchRequest, WatchResponse } from './rpc-messages.js';
import { code, codeName, toGrpcError } from './status.js';
import type { WatchServiceOptions } from './watch-service.js';

const noPut = 0;
const noDelete = 1;
/** The watch id of what concerns no watcher, or all of them. */
const invalidId = -1;

interface Watcher {
  readonly id: number;
  readonly key: string;
  readonly rangeEnd: string;
  readonly request: WatchCreateRequest;
  /** Where it began; always given, so that no event falls between the answer and the first batch. */
  readonly startRevision: Revision;
  /** All up to here was sent; 0 as long as that is not known. */
  delivered: Revision;
  watch: StoreWatch | undefined;
  lastSentAtMs: number;
}

export class WatchStream implements StreamHandler<WatchRequest> {
  readonly #call: StreamCall<WatchResponse>;
  readonly #options: WatchServiceOptions;
  readonly #watchers = new Map<number, Watcher>();
  /** Revisions at which progress was asked for and not yet reported. */
  readonly #progressAt: Revision[] = [];
  #turn: Promise<void> = Promise.resolve();
  #nextId = 0;
  #isPaused = false;
  #isClosed = false;

  constructor(call: StreamCall<WatchResponse>, options: WatchServiceOptions) {
    this.#call = call;
    this.#options = options;
  }

  message(request: WatchRequest): void {
    this.#turn = this.#turn
      .then(() => this.#carryOut(request))
      .catch((error: unknown) => {
        this.#call.end(toGrpcError(error));
      });
  }

  /** Events go on: a client may say all that it has to say at the beginning. */
  finished(): void {}

  drained(): void {
    if (!this.#isPaused || this.#isClosed) return;
    this.#isPaused = false;
    for (const watcher of this.#watchers.values()) this.#open(watcher);
  }

  close(): void {
    this.#isClosed = true;
    for (const { watch } of this.#watchers.values()) watch?.close();
    this.#watchers.clear();
  }

  /** Tells those who asked for it how far the store is, when they have heard nothing for the interval. */
  notifyProgress(nowMs: number): void {
    for (const watcher of this.#watchers.values()) {
      const isDue = nowMs - watcher.lastSentAtMs >= this.#options.limits.progressNotifyIntervalMs;
      if (!watcher.request.progressNotify || !isDue || watcher.delivered === 0) continue;
      this.#sendTo(watcher, { header: this.#options.view.header(watcher.delivered) });
    }
  }

  async #carryOut(request: WatchRequest): Promise<void> {
    if (this.#isClosed) return;
    if (request.create) await this.#create(request.create as WatchCreateRequest);
    else if (request.cancel) this.#cancel(request.cancel.watchId ?? 0);
    else if (request.progress) await this.#askProgress();
  }

  async #create(request: WatchCreateRequest): Promise<void> {
    const { view, clock, limits } = this.#options;
    const { authEnabled } = await view.status();
    // Not where the member beside this front is: what was answered here before lies behind who watches from now on.
    const now = revision(view.header().revision);
    const key = request.key === '' ? '\0' : request.key;
    const denied = authEnabled ? await this.#denial({ key, rangeEnd: request.rangeEnd }) : undefined;
    if (this.#isClosed) return;
    const header = view.header(now);
    const refusal = denied ?? this.#refusal(request, limits.watchersPerStreamMax);
    if (refusal !== undefined) {
      const refused = { header, watchId: invalidId, created: true, canceled: true, cancelReason: refusal };
      this.#call.send(refused);
      return;
    }
    const watcher: Watcher = {
      id: request.watchId === 0 ? this.#freeId() : request.watchId,
      key,
      rangeEnd: request.rangeEnd,
      request,
      startRevision: request.startRevision === 0 ? revision(now + 1) : revision(request.startRevision),
      delivered: request.startRevision === 0 ? now : revision(0),
      watch: undefined,
      lastSentAtMs: clock.monotonicMs(),
    };
    this.#watchers.set(watcher.id, watcher);
    this.#call.send({ header, watchId: watcher.id, created: true });
    if (!this.#isPaused) this.#open(watcher);
  }

  /**
   * Why the caller may not read all that he wants to watch; in etcd's words. Asked once, and of the keys that will be
   * watched, "from this key on" too (GHSA-xg4h-6gfc-h4m8).
   */
  async #denial(range: { readonly key: string; readonly rangeEnd: string }): Promise<string | undefined> {
    try {
      const { client } = await this.#call.stores();
      await client.authorize({ type: 'read', range }, { timeoutMs: this.#call.timeoutMs() });
      return undefined;
    } catch (error) {
      const failure = toGrpcError(error);
      const isDenial =
        failure.code === code.permissionDenied ||
        failure.code === code.unauthenticated ||
        failure.code === code.invalidArgument;
      if (!isDenial) throw error;
      return `rpc error: code = ${codeName(failure.code)} desc = ${failure.message}`;
    }
  }

  /** etcd's words for why a watcher is not made. */
  #refusal(request: WatchCreateRequest, watchersMax: number): string | undefined {
    const { key, rangeEnd, watchId, startRevision } = request;
    if (startRevision < 0) return 'etcdserver: mvcc: required revision has been compacted';
    if (rangeEnd !== '' && rangeEnd !== '\0' && key >= rangeEnd) return 'mvcc: watcher range is empty';
    if (watchId !== 0 && this.#watchers.has(watchId)) {
      return 'mvcc: duplicate watch ID provided on the WatchStream';
    }
    if (this.#watchers.size >= watchersMax) return `etcdserver: a stream takes ${watchersMax} watchers`;
    return undefined;
  }

  #freeId(): number {
    while (this.#watchers.has(this.#nextId)) this.#nextId += 1;
    this.#nextId += 1;
    return this.#nextId - 1;
  }

  #cancel(id: number): void {
    const watcher = this.#watchers.get(id);
    if (!watcher) return;
    this.#remove(watcher);
    this.#call.send({ header: this.#options.view.header(), watchId: id, canceled: true });
    this.#reportProgress();
  }

  #remove(watcher: Watcher): void {
    this.#watchers.delete(watcher.id);
    watcher.watch?.close();
    watcher.watch = undefined;
  }

  #open(watcher: Watcher): void {
    const { filters, prevKv } = watcher.request;
    const from = watcher.delivered === 0 ? watcher.startRevision : watcher.delivered + 1;
    const watch = this.#options.client.watch(
      {
        key: watcher.key,
        ...(watcher.rangeEnd !== '' && { rangeEnd: watcher.rangeEnd }),
        startRevision: revision(from),
        ...(prevKv && { prevKv }),
        ...(filters.includes(noPut) && { noPut: true }),
        ...(filters.includes(noDelete) && { noDelete: true }),
      },
      {
        onBatch: (batch) => {
          if (watcher.watch === watch) this.#deliver(watcher, batch);
        },
        onEnd: (reason) => {
          if (watcher.watch !== watch || reason.type === 'closed') return;
          this.#remove(watcher);
          const why =
            reason.type === 'compacted'
              ? { compactRevision: reason.compactRevision }
              : { cancelReason: reason.message };
          const header = this.#options.view.header();
          this.#call.send({ header, watchId: watcher.id, canceled: true, ...why });
          this.#reportProgress();
        },
      },
    );
    watcher.watch = watch;
  }

  #deliver(watcher: Watcher, batch: WatchBatch): void {
    if (batch.revision > watcher.delivered) watcher.delivered = batch.revision;
    if (batch.events.length > 0) {
      const header = this.#options.view.header(batch.revision);
      for (const events of this.#fragments(watcher, batch.events)) {
        const isLast = events.at(-1) === batch.events.at(-1);
        this.#sendTo(watcher, { header, events: events.map(eventOf), fragment: !isLast });
      }
    }
    this.#reportProgress();
  }

  #fragments(watcher: Watcher, events: readonly WatchEvent[]): readonly (readonly WatchEvent[])[] {
    if (!watcher.request.fragment) return [events];
    const { watchResponseBytesMax } = this.#options.limits;
    const fragments: WatchEvent[][] = [];
    let current: WatchEvent[] = [];
    let size = 0;
    for (const event of events) {
      const eventBytes = sizeOf(event);
      if (current.length > 0 && size + eventBytes > watchResponseBytesMax) {
        fragments.push(current);
        current = [];
        size = 0;
      }
      current.push(event);
      size += eventBytes;
    }
    return [...fragments, current];
  }

  #sendTo(watcher: Watcher, response: Partial<WatchResponse>): void {
    watcher.lastSentAtMs = this.#options.clock.monotonicMs();
    if (this.#call.send({ ...response, watchId: watcher.id }) || this.#isPaused) return;
    this.#isPaused = true;
    for (const each of this.#watchers.values()) {
      each.watch?.close();
      each.watch = undefined;
    }
  }

  async #askProgress(): Promise<void> {
    const { revision: now } = await this.#options.view.status();
    this.#progressAt.push(now);
    for (const { watch, delivered } of this.#watchers.values()) if (delivered < now) watch?.requestProgress();
    this.#reportProgress();
  }

  #reportProgress(): void {
    const wanted = this.#progressAt[0];
    if (wanted === undefined) return;
    let reached: Revision | undefined;
    let begins = 0;
    for (const { delivered, request } of this.#watchers.values()) {
      if (delivered < wanted) return;
      if (reached === undefined || delivered < reached) reached = delivered;
      begins = Math.max(begins, request.startRevision);
    }
    // Of one that began in the future no progress is older than that (#20221): the others are told soon how far they are.
    if (reached !== undefined && reached < begins) return;
    // One answer for all who asked up to here.
    while (this.#progressAt[0] !== undefined && this.#progressAt[0] <= (reached ?? wanted))
      this.#progressAt.shift();
    this.#call.send({ header: this.#options.view.header(reached ?? wanted), watchId: invalidId });
  }
}

function eventOf({ type, kv, prevKv }: WatchEvent): Event {
  return { type: type === 'delete' ? 1 : 0, kv, prevKv };
}

const eventOverheadBytes = 64;

function sizeOf({ kv, prevKv }: WatchEvent): number {
  const prevBytes = prevKv ? prevKv.key.length + prevKv.value.length : 0;
  return kv.key.length + kv.value.length + prevBytes + eventOverheadBytes;
}
