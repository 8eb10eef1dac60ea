/**
 * What a watcher of real processes was told, to be judged when the truth is known: over the store's own client, or over the
 * etcd API, where it opens its stream anew at another member when the one it has ends or falls silent.
 */
import { type KeyValue, revision, type WatchBatch, type WatchRequest } from 'raft-consensus';
import type { StoreClient, StoreWatch } from '../../../actors/store/index.js';
import type {
  WatchRequest as EtcdWatchRequest,
  WatchResponse,
} from '../../../actors/store/etcd/rpc-messages.js';
import type { Clock, Timer } from '../../../transport/index.js';
import { rpc } from '../../harness/etcd-calls.js';
import { GrpcClient, type GrpcStream } from '../../harness/grpc-client.js';

export type Told =
  | { readonly type: 'batch'; readonly batch: WatchBatch }
  | { readonly type: 'compacted'; readonly compactRevision: number };

export interface WatchRecord {
  readonly name: string;
  readonly request: WatchRequest;
  readonly told: readonly Told[];
  /** Infinity when compaction has ended it. */
  readonly reached: number;
  /** By revision: when its first event arrived. */
  readonly seenAtMs: ReadonlyMap<number, number>;
  close(): void;
}

interface Setting {
  readonly name: string;
  readonly request: WatchRequest;
  readonly clock: Clock;
}

class Notes {
  readonly told: Told[] = [];
  readonly seenAtMs = new Map<number, number>();
  readonly #clock: Clock;
  reached: number;

  constructor({ request, clock }: Setting) {
    this.#clock = clock;
    this.reached = (request.startRevision ?? 0) - 1;
  }

  batch(batch: WatchBatch): void {
    const nowMs = this.#clock.monotonicMs();
    for (const { kv } of batch.events) {
      if (!this.seenAtMs.has(kv.modRevision)) this.seenAtMs.set(kv.modRevision, nowMs);
    }
    this.told.push({ type: 'batch', batch });
    this.reached = Math.max(this.reached, batch.revision);
  }

  compacted(compactRevision: number): void {
    this.told.push({ type: 'compacted', compactRevision });
    this.reached = Infinity;
  }
}

export function recordStoreWatch(client: StoreClient, setting: Setting): WatchRecord {
  const notes = new Notes(setting);
  const watch: StoreWatch = client.watch(setting.request, {
    onBatch: (batch) => notes.batch(batch),
    onEnd: (reason) => {
      if (reason.type === 'compacted') notes.compacted(reason.compactRevision);
    },
  });
  const { name, request } = setting;
  return record(name, request, notes, () => watch.close());
}

export function recordEtcdWatch(endpoints: readonly string[], setting: Setting): WatchRecord {
  const notes = new Notes(setting);
  const watch = new EtcdWatch(endpoints, setting, notes);
  const { name, request } = setting;
  return record(name, request, notes, () => watch.close());
}

function record(name: string, request: WatchRequest, notes: Notes, close: () => void): WatchRecord {
  return {
    name,
    request,
    told: notes.told,
    seenAtMs: notes.seenAtMs,
    get reached() {
      return notes.reached;
    },
    close,
  };
}

const silenceMs = 2_000;
const reopenDelayMs = 100;
const askProgressMs = 400;
const [noPut, noDelete] = [0, 1];

class EtcdWatch {
  readonly #endpoints: readonly string[];
  readonly #setting: Setting;
  readonly #notes: Notes;
  #at = 0;
  #grpc: GrpcClient | undefined;
  #silence: Timer | undefined;
  #asking: Timer | undefined;
  #closed = false;

  constructor(endpoints: readonly string[], setting: Setting, notes: Notes) {
    this.#endpoints = endpoints;
    this.#setting = setting;
    this.#notes = notes;
    this.#open();
  }

  close(): void {
    this.#closed = true;
    this.#silence?.cancel();
    this.#asking?.cancel();
    this.#grpc?.close();
  }

  #open(): void {
    if (this.#closed) return;
    const { clock, request } = this.#setting;
    const grpc = new GrpcClient(this.#endpoints[this.#at % this.#endpoints.length]!);
    this.#grpc = grpc;
    const call = grpc.stream(...rpc.watch);
    call.onMessage = (response) => {
      if (this.#grpc !== grpc || this.#closed) return;
      this.#silence?.cancel();
      this.#silence = clock.setTimer(silenceMs, () => grpc.close());
      this.#take(response);
    };
    this.#silence = clock.setTimer(silenceMs, () => grpc.close());
    void call.status.then(() => {
      if (this.#grpc !== grpc) return;
      grpc.close();
      this.#at += 1;
      this.#asking?.cancel();
      clock.setTimer(reopenDelayMs, () => this.#open());
    });
    const { reached } = this.#notes;
    call.send({
      create: {
        key: request.key,
        rangeEnd: request.rangeEnd ?? '',
        startRevision: reached >= 0 ? reached + 1 : 0,
        progressNotify: true,
        prevKv: request.prevKv ?? false,
        filters: [...(request.noPut ? [noPut] : []), ...(request.noDelete ? [noDelete] : [])],
        watchId: 0,
        fragment: false,
      },
    });
    this.#askProgress(call);
  }

  /** Also while events are on their way. */
  #askProgress(call: GrpcStream<EtcdWatchRequest, WatchResponse>): void {
    this.#asking = this.#setting.clock.setTimer(askProgressMs, () => {
      if (!call.stream.writable) return;
      call.send({ progress: {} });
      this.#askProgress(call);
    });
  }

  #take({ header, created, canceled, compactRevision, events }: WatchResponse): void {
    if (canceled && compactRevision > 0) {
      this.#notes.compacted(compactRevision);
      this.close();
      return;
    }
    if (created || canceled) return;
    // Of events, etcd promises that their revisions are whole, and nothing about the header.
    const last = events.at(-1)?.kv?.modRevision ?? header?.revision ?? 0;
    this.#notes.batch({
      revision: revision(last),
      events: events.map(({ type, kv, prevKv }) => ({
        type: type === 1 ? ('delete' as const) : ('put' as const),
        kv: kv as KeyValue,
        ...(prevKv && { prevKv: prevKv as KeyValue }),
      })),
    });
  }
}
