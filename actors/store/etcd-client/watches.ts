/**
 * All watches of a client on one stream of etcd's Watch service. The stream outlives the endpoint that serves it: elsewhere each
 * watch goes on from the last revision + 1. A watch that has to reach a revision (`reach`) asks the server for progress; where
 * the server cannot be trusted with that, watches are opened on all keys and sifted here, so that each revision is an event.
 */
import { type Revision, revision, type WatchBatch, type WatchEvent, type WatchRequest } from 'raft-consensus';
import type { Clock, Timer } from '../../../transport/index.js';
import type { StoreWatch, WatchHandler } from '../client.js';
import { framePrefixBytes, sealFrame } from '../etcd/frames.js';
import {
  Empty,
  type Event,
  StatusResponse,
  WatchRequest as WatchMessage,
  WatchResponse,
} from '../etcd/rpc-messages.js';
import { WireError } from '../etcd/wire.js';
import type { CallStream, StreamHandler } from './connection.js';
import type { Endpoints, Served } from './endpoints.js';
import type { EtcdClientLimits } from './limits.js';
import type { Login } from './login.js';
import type { Requests } from './requests.js';
import { saysProgressInOrder } from './version.js';

export interface WatchesOptions {
  readonly endpoints: Endpoints;
  readonly requests: Requests;
  readonly clock: Clock;
  readonly limits: EtcdClientLimits;
  /** Absent: nobody is named. */
  readonly login: Login | undefined;
  note(what: string, fields: Readonly<Record<string, string | number | boolean>>): void;
}

interface Watch {
  readonly request: WatchRequest;
  readonly handler: WatchHandler;
  /** What it wants, as etcd has it. */
  readonly key: string;
  readonly rangeEnd: string;
  /** Where it goes on; 0 until the server said from which revision on it watches. */
  next: Revision;
  /** On the present stream; undefined until the server said. */
  id: number | undefined;
  isClosed: boolean;
}

interface Stream {
  readonly address: string;
  readonly call: CallStream;
  readonly token: string | undefined;
  readonly isExact: boolean;
  /** Created and not yet answered, in order. */
  readonly pending: Watch[];
  readonly byId: Map<number, Watch>;
  isAsking: boolean;
}

const statusPath = '/etcdserverpb.Maintenance/Status';
const watchPath = '/etcdserverpb.Watch/Watch';
/** Of an answer that concerns all watches of the stream. */
const everyId = -1;

export class Watches {
  readonly #options: WatchesOptions;
  readonly #watches = new Set<Watch>();
  #stream: Stream | undefined;
  /** Undefined while there is a stream, or nothing to watch. */
  #opening: Promise<void> | undefined;
  #delayMs: number;
  #wanted: Revision = revision(0);
  #heardAtMs = 0;
  #askAgain: Timer | undefined;
  #stall: Timer | undefined;
  #isClosed = false;

  constructor(options: WatchesOptions) {
    this.#options = options;
    this.#delayMs = options.limits.watchResumeDelayMinMs;
  }

  open(request: WatchRequest, handler: WatchHandler): StoreWatch {
    const range = this.#options.requests.outside(request);
    const next = request.startRevision ?? revision(0);
    const watch: Watch = { request, handler, ...range, next, id: undefined, isClosed: false };
    if (this.#watches.size >= this.#options.limits.watchesMax) {
      throw new TypeError(`a client of the store takes ${this.#options.limits.watchesMax} watches`);
    }
    this.#watches.add(watch);
    if (this.#stream) this.#create(this.#stream, watch);
    else this.#connectLater(0);
    return {
      close: () => this.#close(watch),
      requestProgress: () => {
        if (this.#stream && !this.#stream.isExact) this.#ask(this.#stream);
      },
    };
  }

  /** A reader waits until its watches have had all up to here. */
  reach(wanted: Revision): void {
    if (wanted > this.#wanted) this.#wanted = wanted;
    const stream = this.#stream;
    if (!stream || !this.#isBehind()) return;
    if (!stream.isExact && !stream.isAsking) this.#ask(stream);
    this.#stall ??= this.#options.clock.setTimer(this.#options.limits.watchStallMs, () => this.#checkStall());
  }

  close(): void {
    this.#isClosed = true;
    this.#askAgain?.cancel();
    this.#stall?.cancel();
    this.#stream?.call.cancel();
    this.#stream = undefined;
    const watches = [...this.#watches];
    this.#watches.clear();
    for (const watch of watches) {
      watch.isClosed = true;
      watch.handler.onEnd({ type: 'closed' });
    }
  }

  #close(watch: Watch): void {
    if (watch.isClosed) return;
    watch.isClosed = true;
    this.#watches.delete(watch);
    if (watch.id !== undefined) this.#cancel(watch.id);
  }

  #cancel(id: number): void {
    this.#stream?.byId.delete(id);
    this.#send({ cancel: { watchId: id } });
  }

  #connectLater(delayMs: number): void {
    if (this.#isClosed || this.#opening) return;
    const { clock } = this.#options;
    this.#opening = new Promise<void>((resolve) => clock.setTimer(delayMs, resolve))
      .then(() => this.#connect())
      .then(
        () => (this.#opening = undefined),
        (error: unknown) => {
          this.#opening = undefined;
          this.#lost('', error);
        },
      );
  }

  async #connect(): Promise<undefined> {
    const { clock, endpoints, limits, login } = this.#options;
    if (this.#isClosed || this.#watches.size === 0) return;
    const served = await endpoints.serving(clock.monotonicMs() + limits.requestTimeoutMs);
    const token = await login?.token(served, limits.repeatAfterMs);
    const isExact = !saysProgressInOrder(await this.#versionOf(served, token));
    if (this.#isClosed) return;
    const handler: StreamHandler = {
      message: (bytes) => {
        if (this.#stream !== stream) return;
        const answer = readable(bytes);
        if (answer) this.#hear(stream, answer);
        else this.#lost(served.address, new Error('it said what cannot be read'));
      },
      ended: (error) => {
        isEnded = true;
        login?.isOver(error, token);
        if (this.#stream === stream) this.#lost(served.address, error);
      },
    };
    const call = served.connection.stream(watchPath, handler, token);
    let isEnded = false as boolean;
    const stream: Stream = {
      address: served.address,
      call,
      token,
      isExact,
      pending: [],
      byId: new Map(),
      isAsking: false,
    };
    if (isEnded || !served.connection.isOpen) throw new Error(`${served.address} closed the connection`);
    this.#stream = stream;
    this.#heardAtMs = clock.monotonicMs();
    for (const watch of this.#watches) this.#create(stream, watch);
    this.reach(this.#wanted);
  }

  async #versionOf({ address, connection }: Served, token: string | undefined): Promise<string> {
    const frame = sealFrame(Empty.encode({}, framePrefixBytes));
    try {
      const answer = await connection.unary(statusPath, frame, this.#options.limits.repeatAfterMs, token);
      return StatusResponse.decode(answer).version;
    } catch (error) {
      this.#options.login?.isOver(error, token);
      this.#options.endpoints.leave(address);
      throw error;
    }
  }

  #create(stream: Stream, watch: Watch): void {
    const { noPut, noDelete, prevKv = false } = watch.request;
    const range = stream.isExact
      ? { key: '\0', rangeEnd: '\0' }
      : { key: watch.key, rangeEnd: watch.rangeEnd };
    // Sifted here otherwise: a revision whose events are all left out must be heard of.
    const filters = stream.isExact ? [] : [...(noPut ? [0] : []), ...(noDelete ? [1] : [])];
    stream.pending.push(watch);
    this.#send({ create: { ...range, startRevision: watch.next, prevKv, filters } }, stream);
  }

  #ask(stream: Stream): void {
    stream.isAsking = true;
    this.#send({ progress: {} }, stream);
  }

  #send(message: Parameters<typeof WatchMessage.encode>[0], stream = this.#stream): void {
    stream?.call.send(sealFrame(WatchMessage.encode(message, framePrefixBytes)));
  }

  #hear(stream: Stream, answer: WatchResponse): void {
    this.#heardAtMs = this.#options.clock.monotonicMs();
    this.#delayMs = this.#options.limits.watchResumeDelayMinMs;
    const at = revision(answer.header?.revision ?? 0);
    if (answer.created) return this.#created(stream, answer, at);
    if (answer.canceled) return this.#canceled(stream, answer);
    if (answer.events.length === 0) return this.#progress(stream, answer.watchId, at);
    const watch = stream.byId.get(answer.watchId);
    // Events that were on their way to one that was closed.
    if (!watch) return;
    const upTo = revision(answer.events.at(-1)?.kv?.modRevision ?? 0);
    this.#deliver(watch, { revision: upTo, events: this.#sift(stream, watch, answer.events) });
  }

  #created(stream: Stream, answer: WatchResponse, at: Revision): void {
    const watch = stream.pending.shift();
    if (!watch) return this.#lost(stream.address, new Error('it answered a watch that nobody asked for'));
    if (answer.canceled) {
      if (watch.isClosed) return;
      // etcd 3.4 says of a token that is over that the permission is denied.
      this.#options.login?.forget(stream.token);
      return this.#lost(stream.address, new Error(`it refused a watch: ${answer.cancelReason}`));
    }
    if (watch.isClosed) return this.#send({ cancel: { watchId: answer.watchId } }, stream);
    watch.id = answer.watchId;
    stream.byId.set(answer.watchId, watch);
    // From now on, so all up to now is done with.
    if (watch.next === 0) this.#deliver(watch, { revision: at, events: [] });
  }

  #canceled(stream: Stream, { watchId, compactRevision, cancelReason }: WatchResponse): void {
    const watch = stream.byId.get(watchId);
    if (!watch) return;
    if (compactRevision <= 0) {
      return this.#lost(stream.address, new Error(`it ended a watch: ${cancelReason || 'without a reason'}`));
    }
    stream.byId.delete(watchId);
    watch.isClosed = true;
    this.#watches.delete(watch);
    watch.handler.onEnd({ type: 'compacted', compactRevision: revision(compactRevision) });
  }

  #progress(stream: Stream, watchId: number, at: Revision): void {
    // Of a server that is not trusted with it nobody asked.
    if (stream.isExact) return;
    if (watchId === everyId) {
      stream.isAsking = false;
      for (const watch of stream.byId.values()) this.#deliver(watch, { revision: at, events: [] });
      if (!this.#isBehind()) return;
      // This member does not know yet what the reader was told.
      this.#askAgain?.cancel();
      this.#askAgain = this.#options.clock.setTimer(this.#options.limits.progressRetryMs, () => {
        if (this.#stream === stream && !stream.isAsking && this.#isBehind()) this.#ask(stream);
      });
    } else {
      const watch = stream.byId.get(watchId);
      if (watch) this.#deliver(watch, { revision: at, events: [] });
    }
  }

  #deliver(watch: Watch, batch: WatchBatch): void {
    const isNews = batch.events.length > 0 || batch.revision >= watch.next;
    if (watch.isClosed || !isNews) return;
    if (batch.revision >= watch.next) watch.next = revision(batch.revision + 1);
    watch.handler.onBatch(batch);
  }

  #sift(stream: Stream, watch: Watch, events: readonly Partial<Event>[]): WatchEvent[] {
    const { requests } = this.#options;
    const wanted = stream.isExact ? events.filter((event) => isWanted(watch, event)) : events;
    return wanted.map(({ type, kv, prevKv }) => ({
      type: type === 1 ? 'delete' : 'put',
      kv: requests.kv(kv ?? {}),
      ...(prevKv && { prevKv: requests.kv(prevKv) }),
    }));
  }

  #isBehind(): boolean {
    for (const { next, id } of this.#watches) if (id === undefined || next <= this.#wanted) return true;
    return false;
  }

  #checkStall(): void {
    const { clock, limits } = this.#options;
    this.#stall = undefined;
    if (!this.#stream || !this.#isBehind()) return;
    const silentMs = clock.monotonicMs() - this.#heardAtMs;
    if (silentMs >= limits.watchStallMs) {
      return this.#lost(this.#stream.address, new Error(`its watch is behind and silent for ${silentMs} ms`));
    }
    this.#stall = clock.setTimer(limits.watchStallMs - silentMs, () => this.#checkStall());
  }

  /** The stream is of no more use: on another endpoint everything goes on. */
  #lost(address: string, error: unknown): void {
    if (this.#isClosed) return;
    const { endpoints, limits, note } = this.#options;
    note('store watch lost', { endpoint: address, why: (error as Error).message });
    this.#stream?.call.cancel();
    this.#stream = undefined;
    this.#askAgain?.cancel();
    this.#stall?.cancel();
    this.#stall = undefined;
    for (const watch of this.#watches) watch.id = undefined;
    if (address !== '') endpoints.leave(address);
    this.#connectLater(this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, limits.watchResumeDelayMaxMs);
  }
}

function readable(bytes: Buffer): WatchResponse | undefined {
  try {
    return WatchResponse.decode(bytes);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return undefined;
  }
}

function isWanted({ key, rangeEnd, request }: Watch, { type, kv }: Partial<Event>): boolean {
  if (type === 1 ? request.noDelete : request.noPut) return false;
  const name = kv?.key ?? '';
  if (rangeEnd === '') return name === key;
  return name >= key && (rangeEnd === '\0' || name < rangeEnd);
}
