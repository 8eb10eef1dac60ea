/**
 * One client of the store that puts, deletes, compares and swaps, reads one key, ranges, transactions and old revisions, and
 * writes down what it is told. It never retries what may have happened. In the simulator and against real processes.
 */
import { type Op, type OpResult, revision, type TxnOp } from 'raft-consensus';
import { seededRandom } from '../../../actors/runtime/index.js';
import { type StoreClient, StoreError } from '../../../actors/store/index.js';
import type { Clock, Random } from '../../../transport/index.js';
import type { History, Intent, Outcome, Version } from './history.js';
import { versionOf } from './truth.js';

type Ok = Extract<Outcome, { type: 'ok' }>;

export type WriterClient = Pick<StoreClient, 'txn' | 'range' | 'currentRevision'>;

export interface WriterOptions {
  readonly name: string;
  readonly client: WriterClient;
  readonly history: History;
  readonly clock: Clock;
  readonly seed: number;
  /** How many keys there are: `/k0`, `/k1` ... */
  readonly keys: number;
  /** Between two requests, on average; asked anew each time if it changes. */
  readonly thinkMs: number | (() => number);
  readonly timeoutMs: number;
}

export class Writer {
  readonly name: string;
  readonly client: WriterClient;
  readonly #options: WriterOptions;
  readonly #history: History;
  readonly #random: Random;
  readonly #keys: readonly string[];
  /** The newest version it saw of each key, to compare with; 0: absent. */
  readonly #known = new Map<string, number>();
  #lastRevision = 1;
  #stopped = false;
  #isAsking = false;

  constructor(options: WriterOptions) {
    this.name = options.name;
    this.client = options.client;
    this.#options = options;
    this.#history = options.history;
    this.#random = seededRandom(options.seed, `client ${options.name}`);
    this.#keys = Array.from({ length: options.keys }, (_, at) => `/k${at}`);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Stopped, and with its last answer; it may still be pausing, now and then for long. */
  get isIdle(): boolean {
    return this.#stopped && !this.#isAsking;
  }

  async run(): Promise<void> {
    const { thinkMs } = this.#options;
    for (;;) {
      const meanMs = typeof thinkMs === 'number' ? thinkMs : thinkMs();
      await this.#sleep(-Math.log(1 - this.#random.next()) * meanMs);
      if (this.#stopped) break;
      this.#isAsking = true;
      await this.#request(this.#nextIntent());
      this.#isAsking = false;
    }
  }

  /** True when it was acknowledged. */
  async put(key: string): Promise<boolean> {
    const entries = [[key, this.#history.newValue(this.name)]] as const;
    return (await this.#request({ type: 'put', entries })).type === 'ok';
  }

  async putLong(key: string, bytes: number): Promise<void> {
    const value = `${this.#history.newValue(this.name)}:`.padEnd(bytes, 'kabuki');
    await this.#request({ type: 'put', entries: [[key, value]] });
  }

  async delete(key: string): Promise<void> {
    await this.#request({ type: 'delete', key });
  }

  async read(keys: readonly string[]): Promise<void> {
    await this.#request({ type: 'read', keys, serializable: false });
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
    const options = { timeoutMs: this.#options.timeoutMs };
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
    const range = { key: keys[0]!, ...(keys.length > 1 && { rangeEnd: `${keys.at(-1)}\0` }) };
    const reply = await this.client.range({ type: 'range', ...range, ...of }, { ...options, serializable });
    return { type: 'ok', revision: reply.revision, wrote: false, seen: seenOf(keys, [reply.result]) };
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#random.integer(items.length)]!;
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.setTimer(ms, resolve));
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
