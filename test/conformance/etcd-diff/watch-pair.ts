/**
 * The same watch stream at both stores. How events are packed into answers is a matter of time; which events come to whom, in
 * which order, is not: it follows from a watch of everything, which both stores must agree on as well.
 */
import { strict as assert } from 'node:assert';
import {
  type Event,
  WatchCreateRequest,
  WatchRequest,
  WatchResponse,
} from '../../../actors/store/etcd/rpc-messages.js';
import { waitFor } from '../../../deploy/wait.js';
import type { GrpcClient, GrpcStream } from '../../harness/grpc-client.js';
import { plain } from './plain.js';

type PerStore<T> = readonly [theirs: T, ours: T];

interface Open {
  readonly id: number;
  readonly request: WatchCreateRequest;
  /** Events from here on have not been compared. */
  from: number;
}

const path = '/etcdserverpb.Watch/Watch';
const answerWithinMs = 10_000;
const watchersMax = 12;
const [noPut, noDelete] = [0, 1];

export class WatchPair {
  readonly #streams: PerStore<WatchEnd>;
  readonly #open = new Map<number, Open>();
  /** Ended by compaction: etcd 3.4 takes such an id for used for ever. */
  readonly #spent = new Set<number>();
  /** A watch of everything on a stream of its own. */
  readonly #references: PerStore<WatchEnd>;
  #reference: Open | undefined;
  /** What both told there, from the beginning: for watches that start in the past. */
  readonly #history: Event[] = [];

  constructor(clients: PerStore<GrpcClient>) {
    const both = () => [new WatchEnd('etcd', clients[0]), new WatchEnd('ours', clients[1])] as const;
    this.#streams = both();
    this.#references = both();
  }

  /** `head`: the newest revision. */
  async begin(head: number): Promise<void> {
    const request = {
      ...WatchCreateRequest.decode(Buffer.alloc(0)),
      key: '\0',
      rangeEnd: '\0',
      prevKv: true,
    };
    await same(this.#references, 'the watch of everything', (end) => end.ask({ create: request }));
    this.#reference = { id: 0, request, from: head + 1 };
  }

  async create(asked: WatchCreateRequest, head: number, compactRevision: number): Promise<void> {
    if (this.#open.size >= watchersMax) return;
    const isCompacted = asked.startRevision > 0 && asked.startRevision < compactRevision;
    await this.settle(head);
    const { startRevision: start } = asked;
    // When it has caught up cannot be seen of one that is owed nothing, and compaction may overtake it.
    const isIdle = start > 0 && start <= head && !isCompacted && this.#owed(asked, start) === 0;
    const request = {
      ...asked,
      ...(this.#spent.has(asked.watchId) && { watchId: 0 }),
      ...(isIdle && { startRevision: 0 }),
    };
    const [reply] = await same(this.#streams, 'the answer to create', (end) => end.ask({ create: request }));
    const { watchId: id, canceled, created } = reply;
    assert.ok(created);
    if (canceled) return;
    if (isCompacted) {
      // What its header says is not settled: etcd 3.4.23 puts nothing into it.
      await same(this.#streams, 'the end of a watch of what is compacted', async (end) => {
        return { ...(await end.control()), header: undefined };
      });
      this.#spent.add(id);
      return;
    }
    const open = { id, request, from: request.startRevision || head + 1 };
    this.#open.set(id, open);
    if (open.from <= head) await this.#settleOne(open, head);
  }

  async cancel(which: number, head: number): Promise<void> {
    const open = [...this.#open.values()][which % Math.max(1, this.#open.size)];
    if (!open) return;
    await this.settle(head);
    await same(this.#streams, 'the answer to cancel', (end) => end.ask({ cancel: { watchId: open.id } }));
    this.#open.delete(open.id);
  }

  /**
   * etcd 3.4 answers at once, also when events are still to come (#15220), and when a watcher waits for a revision of the
   * future (#20221: then ours waits too): it is asked when neither is so.
   */
  async progress(head: number): Promise<void> {
    const open = [...this.#open.values()];
    if (open.length === 0 || open.some(({ request }) => request.startRevision > head)) return;
    await this.settle(head);
    const watches = open.map(({ id, request, from }) => `${id} ${JSON.stringify(request)} from ${from}`);
    await same(this.#streams, `progress of ${watches.join(', ')}`, (end) => end.ask({ progress: {} }));
  }

  /** All events up to `head` are there, the same from both. */
  async settle(head: number): Promise<void> {
    const reference = this.#reference as Open;
    if (reference.from > head) return;
    await this.#until(this.#references, 'everything', (end) => end.lastRevision(0) >= head);
    const all = this.#references[0].take(0);
    assert.deepEqual(plain(this.#references[1].take(0)), plain(all), 'the watch of everything');
    this.#history.push(...all);
    reference.from = head + 1;
    for (const open of this.#open.values()) await this.#settleOne(open, head);
  }

  async #settleOne(open: Open, head: number): Promise<void> {
    const { id, request } = open;
    const owed = this.#owed(request, open.from);
    const what = `watch ${id} ${JSON.stringify(request)} from ${open.from} to ${head}: ${owed} events`;
    await this.#until(this.#streams, what, (end) => end.count(id) >= owed);
    const [theirs, ours] = this.#streams.map((end) => plain(end.take(id)));
    assert.deepEqual(ours, theirs, what);
    assert.equal((theirs as unknown[]).length, owed, what);
    open.from = Math.max(open.from, head + 1);
  }

  #owed(request: WatchCreateRequest, from: number): number {
    return this.#history.filter((event) => modOf(event) >= from && covers(request, event)).length;
  }

  async #until(ends: PerStore<WatchEnd>, what: string, holds: (end: WatchEnd) => boolean): Promise<void> {
    for (const end of ends) {
      await waitFor(`${end.name} to send ${what}`, answerWithinMs, async () => holds(end), 5);
    }
  }
}

/** Asks both and compares; resolves with both answers. */
async function same<T>(
  ends: PerStore<WatchEnd>,
  what: string,
  ask: (end: WatchEnd) => Promise<T>,
): Promise<PerStore<T>> {
  const asking = Promise.all([ask(ends[0]), ask(ends[1])]);
  const [theirs, ours] = await asking.catch((cause: unknown) => {
    throw new Error(`${what}: ${(cause as Error).message}`, { cause });
  });
  assert.deepEqual(plain(ours), plain(theirs), what);
  return [theirs, ours];
}

/** One stream at one store. */
class WatchEnd {
  readonly name: string;
  readonly #call: GrpcStream<WatchRequest, WatchResponse>;
  readonly #events = new Map<number, Event[]>();
  /** Answers that are not events: to create, cancel and progress. */
  readonly #controls: WatchResponse[] = [];

  constructor(name: string, client: GrpcClient) {
    this.name = name;
    this.#call = client.stream(path, [WatchRequest, WatchResponse]);
    this.#call.onMessage = (response) => {
      this.#call.received.length = 0;
      const events = response.events as readonly Event[];
      if (events.length === 0) this.#controls.push(response);
      else this.#events.set(response.watchId, [...this.#of(response.watchId), ...events]);
    };
  }

  async ask(request: Partial<WatchRequest>) {
    this.#call.send(request);
    return this.control();
  }

  /** Without what must differ: ids and terms. */
  async control() {
    await waitFor(`${this.name} to answer`, answerWithinMs, async () => this.#controls.length > 0, 5);
    const { header, ...rest } = this.#controls.shift() as WatchResponse;
    return { ...rest, header: header?.revision };
  }

  count(id: number): number {
    return this.#of(id).length;
  }

  lastRevision(id: number): number {
    const last = this.#of(id).at(-1);
    return last ? modOf(last) : 0;
  }

  take(id: number): readonly Event[] {
    const events = this.#of(id);
    this.#events.delete(id);
    return events;
  }

  #of(id: number): Event[] {
    return this.#events.get(id) ?? [];
  }
}

function modOf({ kv }: Event): number {
  return kv?.modRevision ?? 0;
}

function covers({ key, rangeEnd, filters }: WatchCreateRequest, { type, kv }: Event): boolean {
  if (filters.includes(type === 1 ? noDelete : noPut)) return false;
  const name = kv?.key ?? '';
  // The empty key stands for the first one.
  const first = key === '' ? '\0' : key;
  if (rangeEnd === '') return name === first;
  return name >= first && (rangeEnd === '\0' || name < rangeEnd);
}
