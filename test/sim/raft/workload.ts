/**
 * Clients of the store, through the same client as an apiserver's: writers that put, delete, compare and swap, read one key,
 * ranges, transactions and old revisions; watchers; a compactor; and one that lives by leases. What they are told goes into
 * the history. None of them retries what may have happened.
 */
import { type Op, type OpResult, revision, type TxnOp } from 'raft-consensus';
import { type ActorSystem, seededRandom } from '../../../actors/runtime/index.js';
import {
  createStoreClient,
  type StoreClient,
  StoreError,
  type StoreWatch,
} from '../../../actors/store/index.js';
import { nodeId, type Random } from '../../../transport/index.js';
import { LeaseHolder } from './lease-holder.js';
import { History, type Intent, type Outcome, type Version } from './history.js';
import type { StoreGroup } from './store-group.js';
import { versionOf } from './truth.js';
import { WatchLog } from './watch-check.js';

type Ok = Extract<Outcome, { type: 'ok' }>;

export class Workload {
  readonly history = new History();
  readonly writers: readonly Writer[];
  readonly watchers: readonly Watching[];
  readonly leases: LeaseHolder;

  constructor(group: StoreGroup) {
    const { writers, watchers } = group.swarm;
    const context = { group, history: this.history };
    this.writers = Array.from({ length: writers }, (_, at) => new Writer(context, `c${at + 1}`, at));
    this.watchers = Array.from({ length: watchers }, (_, at) => new Watching(group, `w${at + 1}`, at));
    this.leases = new LeaseHolder(group, 'l1');
  }

  start(): void {
    for (const writer of this.writers) void writer.run();
    for (const watching of this.watchers) watching.open();
    this.leases.run();
  }

  /** No more requests; those under way end by their deadlines. */
  stop(): void {
    for (const writer of this.writers) writer.stop();
    this.leases.stop();
  }

  get isIdle(): boolean {
    return this.leases.isIdle && this.writers.every((writer) => writer.isIdle);
  }
}

interface Context {
  readonly group: StoreGroup;
  readonly history: History;
}

export class Writer {
  readonly name: string;
  readonly client: StoreClient;
  readonly #system: ActorSystem;
  readonly #group: StoreGroup;
  readonly #history: History;
  readonly #random: Random;
  readonly #keys: readonly string[];
  /** The newest version it saw of each key, to compare with; 0: absent. */
  readonly #known = new Map<string, number>();
  #lastRevision = 1;
  #stopped = false;
  isIdle = false;

  constructor({ group, history }: Context, name: string, nearest: number) {
    this.name = name;
    this.#group = group;
    this.#history = history;
    this.#random = seededRandom(group.swarm.seed, `client ${name}`);
    this.#keys = Array.from({ length: group.swarm.keys }, (_, at) => `/k${at}`);
    this.#system = group.world.system(nodeId(name));
    const { refs } = group;
    const from = nearest % refs.length;
    const client = createStoreClient({
      system: this.#system,
      members: [...refs.slice(from), ...refs.slice(0, from)],
    });
    this.client = group.bug?.client?.(client) ?? client;
  }

  stop(): void {
    this.#stopped = true;
  }

  async run(): Promise<void> {
    const { thinkMs } = this.#group.swarm;
    for (;;) {
      await this.#sleep(-Math.log(1 - this.#random.next()) * thinkMs);
      if (this.#stopped) break;
      await this.#request(this.#nextIntent());
    }
    this.isIdle = true;
  }

  /** True when it was acknowledged. */
  async put(key: string): Promise<boolean> {
    const entries = [[key, this.#history.newValue(this.name)]] as const;
    return (await this.#request({ type: 'put', entries })).type === 'ok';
  }

  #nextIntent(): Intent {
    const random = this.#random;
    const key = this.#pick(this.#keys);
    const value = () => this.#history.newValue(this.name);
    const dice = random.next();
    if (dice < 0.28) return { type: 'put', entries: [[key, value()]] };
    if (dice < 0.36) {
      const both = this.#keys.slice(random.integer(this.#keys.length - 1)).slice(0, 2);
      return { type: 'put', entries: both.map((one) => [one, value()] as const) };
    }
    if (dice < 0.45) return { type: 'delete', key };
    if (dice < 0.58) {
      return { type: 'cas', key, expectedMod: this.#known.get(key) ?? 0, value: value() };
    }
    if (dice < 0.78) return { type: 'read', keys: [key], serializable: false };
    if (dice < 0.86) return { type: 'read', keys: this.#keys, serializable: false };
    if (dice < 0.92) return { type: 'read', keys: [key], serializable: true };
    if (dice < 0.96) {
      const at = Math.max(1, this.#lastRevision - random.integer(20));
      return { type: 'read', keys: this.#keys, serializable: false, revision: at };
    }
    return { type: 'revision' };
  }

  async #request(intent: Intent): Promise<Outcome> {
    const end = this.#history.begin(this.name, intent);
    let outcome: Outcome;
    try {
      outcome = await this.#perform(intent);
      this.#lastRevision = Math.max(this.#lastRevision, outcome.revision);
      for (const [key, version] of outcome.seen) this.#known.set(key, version?.mod ?? 0);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const why = `${error.code}: ${error.message}`;
      outcome = { type: error.definite ? 'refused' : 'unknown', why };
    }
    end(outcome);
    return outcome;
  }

  async #perform(intent: Intent): Promise<Ok> {
    const options = { timeoutMs: this.#group.swarm.timeoutMs };
    switch (intent.type) {
      case 'revision': {
        const at = await this.client.currentRevision(options);
        return { type: 'ok', revision: at, wrote: false, seen: new Map() };
      }
      case 'read':
        return this.#read(intent, options);
      case 'put': {
        const puts = intent.entries.map(([key, value]): Op => ({ type: 'put', key, value: bytes(value) }));
        const { revision: at } = await this.client.txn(txn(puts), options);
        return { type: 'ok', revision: at, wrote: true, seen: new Map() };
      }
      case 'delete': {
        const op: Op = { type: 'delete', key: intent.key, prevKv: true };
        const { revision: at, result } = await this.client.txn(txn([op]), options);
        const seen = seenOf([intent.key], result.results);
        return { type: 'ok', revision: at, wrote: seen.get(intent.key) !== null, seen };
      }
      case 'cas': {
        const { key, value, expectedMod } = intent;
        const { revision: at, result } = await this.client.txn(
          {
            type: 'txn',
            compare: [{ key, target: 'mod', result: '=', operand: expectedMod }],
            success: [{ type: 'put', key, value: bytes(value) }],
            failure: [{ type: 'range', key }],
          },
          options,
        );
        const seen = result.succeeded ? new Map() : seenOf([key], result.results);
        return { type: 'ok', revision: at, wrote: result.succeeded, seen };
      }
    }
  }

  async #read(
    intent: Extract<Intent, { type: 'read' }>,
    options: { readonly timeoutMs: number },
  ): Promise<Ok> {
    const { keys, serializable } = intent;
    const of = { ...(intent.revision !== undefined && { revision: revision(intent.revision) }) };
    // Several keys: as one range, or as a transaction of single reads.
    if (keys.length > 1 && this.#random.next() < 0.5 && !serializable) {
      const ops = keys.map((key): Op => ({ type: 'range', key, ...of }));
      const { revision: at, result } = await this.client.txn(txn(ops), options);
      return { type: 'ok', revision: at, wrote: false, seen: seenOf(keys, result.results) };
    }
    const range = keys.length > 1 ? { key: '/k', rangeEnd: '/l' } : { key: keys[0]! };
    const reply = await this.client.range({ type: 'range', ...range, ...of }, { ...options, serializable });
    return { type: 'ok', revision: reply.revision, wrote: false, seen: seenOf(keys, [reply.result]) };
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#random.integer(items.length)]!;
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#system.env.clock.setTimer(ms, resolve));
  }
}

/** Watches, breaks off, resumes from the last revision + 1, and begins anew when compaction has overtaken it. */
export class Watching {
  readonly #client: StoreClient;
  readonly #group: StoreGroup;
  readonly #random: Random;
  readonly #late: Random;
  readonly #name: string;
  readonly #system: ActorSystem;
  #watch: StoreWatch | undefined;
  #log: WatchLog | undefined;
  #lives = 0;
  events = 0;

  constructor(group: StoreGroup, name: string, nearest: number) {
    this.#group = group;
    this.#name = name;
    this.#random = seededRandom(group.swarm.seed, `watcher ${name}`);
    this.#late = seededRandom(group.swarm.seed, `watcher ${name}, later`);
    this.#system = group.world.system(nodeId(name));
    const from = nearest % group.refs.length;
    const members = [...group.refs.slice(from), ...group.refs.slice(0, from)];
    this.#client = createStoreClient({ system: this.#system, members });
  }

  get reached(): number {
    return this.#log?.reached ?? 0;
  }

  open(): void {
    const random = this.#random;
    const ranges = [{ key: '/', rangeEnd: '0' }, { key: '/k0' }, { key: '/k1', rangeEnd: '\0' }];
    const request = {
      ...ranges[random.integer(ranges.length)]!,
      prevKv: random.next() < 0.5,
      noDelete: random.next() < 0.1,
      noPut: this.#late.next() < 0.1,
    };
    const { head } = this.#group.truth;
    const start = random.next() < 0.2 ? 0 : Math.max(1, head - random.integer(10));
    this.#follow({ ...request, startRevision: revision(start) });
    const lengthMs = 500 + random.next() * 4_000;
    this.#system.env.clock.setTimer(lengthMs, () => this.#breakOff());
  }

  #follow(request: WatchLog['request']): void {
    const { truth, fail } = this.#group;
    this.#lives += 1;
    const log = new WatchLog(`${this.#name}.${this.#lives}`, request, truth, fail);
    this.#log = log;
    let isOpen = true;
    const watch = this.#client.watch(request, {
      onBatch: (batch) => {
        if (!isOpen) return;
        log.batch(batch);
        this.events += batch.events.length;
      },
      onEnd: (reason) => {
        if (reason.type !== 'compacted') fail(`${log.name} ended: ${reason.type}`);
        else log.compacted(reason.compactRevision);
        isOpen = false;
        this.#follow({
          ...request,
          startRevision: revision(reason.type === 'compacted' ? reason.compactRevision : 1),
        });
      },
    });
    this.#watch = {
      close: () => {
        isOpen = false;
        watch.close();
      },
      requestProgress: () => watch.requestProgress(),
    };
  }

  #breakOff(): void {
    const log = this.#log!;
    this.#watch!.close();
    if (this.#random.next() < 0.3) return this.open();
    this.#follow({ ...log.request, startRevision: revision(log.reached + 1) });
    this.#system.env.clock.setTimer(500 + this.#random.next() * 4_000, () => this.#breakOff());
  }
}

function txn(success: readonly Op[]): TxnOp {
  return { type: 'txn', compare: [], success, failure: [] };
}

function bytes(value: string): Uint8Array {
  return Buffer.from(value);
}

/** What results say about the keys; a key that is not mentioned is absent. */
function seenOf(keys: readonly string[], results: readonly OpResult[]): Map<string, Version | null> {
  const seen = new Map<string, Version | null>(keys.map((key) => [key, null]));
  for (const result of results) {
    const kvs = result.type === 'range' ? result.kvs : result.type === 'delete' ? (result.prevKvs ?? []) : [];
    for (const kv of kvs) seen.set(kv.key, versionOf(kv));
  }
  return seen;
}
