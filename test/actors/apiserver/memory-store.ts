/**
 * A store in memory for tests of what stands on it: multi-version, compare-and-write, watches with history.
 * Answers in a later turn, as a real one does; can be told to fail.
 */
import type {
  Compare,
  KeyValue,
  Op,
  OpResult,
  RangeOp,
  RangeResult,
  Revision,
  TxnOp,
  TxnResult,
  WatchEvent,
  WatchRequest,
  WithRevision,
} from 'raft-consensus';
import { KvError } from 'raft-consensus';
import type { Clock } from '../../../transport/index.js';
import {
  type StoreClient,
  StoreError,
  type StoreStatus,
  type StoreWatch,
  type WatchHandler,
} from '../../../actors/store/client.js';

interface Version {
  readonly revision: number;
  /** Undefined: deleted at this revision. */
  readonly kv: KeyValue | undefined;
  readonly context: string | undefined;
}

export class MemoryStore implements StoreClient {
  readonly #clock: Clock;
  readonly #context: () => string | undefined;
  readonly #keys = new Map<string, Version[]>();
  readonly #log: { readonly revision: number; readonly key: string; readonly version: Version }[] = [];
  readonly #watches = new Set<{ request: WatchRequest; handler: WatchHandler; next: number }>();
  #revision = 1;
  #compacted = 0;
  /** Set to make the next calls fail. */
  failure: StoreError | undefined;
  writes = 0;
  /** While true nothing is delivered to watches. */
  held = false;

  constructor(clock: Clock, context: () => string | undefined = () => undefined) {
    this.#clock = clock;
    this.#context = context;
  }

  get revision(): number {
    return this.#revision;
  }

  async txn(
    txn: TxnOp,
    options?: { readonly timeoutMs?: number; readonly context?: string },
  ): Promise<WithRevision<TxnResult>> {
    const context = options?.context ?? this.#context();
    await this.#turn();
    const next = this.#revision + 1;
    const wrote: string[] = [];
    const result = this.#txn(txn, next, wrote, context);
    if (wrote.length > 0) {
      this.#revision = next;
      this.writes += 1;
      this.deliver();
    }
    return { revision: this.#revision as Revision, result };
  }

  async range(op: RangeOp): Promise<WithRevision<RangeResult>> {
    await this.#turn();
    return { revision: this.#revision as Revision, result: this.#range(op) };
  }

  async currentRevision(): Promise<Revision> {
    await this.#turn();
    return this.#revision as Revision;
  }

  watch(request: WatchRequest, handler: WatchHandler): StoreWatch {
    const next = request.startRevision ?? this.#revision + 1;
    const watch = { request, handler, next };
    if (next <= this.#compacted) {
      this.#clock.defer(() =>
        handler.onEnd({ type: 'compacted', compactRevision: this.#compacted as Revision }),
      );
      return { close: () => {} };
    }
    this.#watches.add(watch);
    this.#clock.defer(() => this.deliver());
    return { close: () => void this.#watches.delete(watch) };
  }

  async compact(revision: Revision): Promise<void> {
    await this.#turn();
    this.#compacted = revision;
  }

  /** Ends every watch as a store does whose history is gone. */
  endWatches(): void {
    const watches = [...this.#watches];
    this.#watches.clear();
    for (const { handler } of watches) {
      handler.onEnd({ type: 'compacted', compactRevision: this.#compacted as Revision });
    }
  }

  leaseGrant(): Promise<never> {
    return Promise.reject(new Error('this store has no leases'));
  }
  leaseRevoke(): Promise<never> {
    return Promise.reject(new Error('this store has no leases'));
  }
  status(): Promise<StoreStatus> {
    return Promise.resolve({
      member: 'memory',
      role: 'leader',
      leader: 'memory',
      term: 1,
      commitIndex: this.#revision,
      appliedIndex: this.#revision,
      revision: this.#revision as Revision,
      compactRevision: this.#compacted as Revision,
      members: [{ name: 'memory', voter: true }],
    });
  }

  /** Brings every watch up to date. */
  deliver(): void {
    if (this.held) return;
    this.#clock.defer(() => {
      for (const watch of this.#watches) {
        if (this.held || watch.next > this.#revision) continue;
        const from = watch.next;
        watch.next = this.#revision + 1;
        const events = this.#log
          .filter(({ revision, key }) => revision >= from && inRange(key, watch.request))
          .map(({ key, version }): WatchEvent => {
            const context = version.context === undefined ? {} : { context: version.context };
            if (version.kv) return { type: 'put', kv: version.kv, ...context };
            return { type: 'delete', kv: deletedKv(key, version.revision), ...context };
          });
        watch.handler.onBatch({ revision: this.#revision as Revision, events });
      }
    });
  }

  #turn(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#clock.defer(() => {
        const { failure } = this;
        if (failure) reject(failure);
        else resolve();
      });
    });
  }

  #txn(txn: TxnOp, revision: number, wrote: string[], context: string | undefined): TxnResult {
    const succeeded = txn.compare.every((compare) => this.#holds(compare));
    const results = (succeeded ? txn.success : txn.failure).map((op): OpResult =>
      this.#do(op, revision, wrote, context),
    );
    return { type: 'txn', succeeded, results };
  }

  #do(op: Op, revision: number, wrote: string[], context: string | undefined): OpResult {
    switch (op.type) {
      case 'range':
        return this.#range(op);
      case 'put': {
        if (wrote.includes(op.key)) throw new KvError('DuplicateKey', 'duplicate key given in txn request');
        const old = this.#at(op.key);
        const kv = {
          key: op.key,
          value: op.value,
          createRevision: old?.createRevision ?? revision,
          modRevision: revision,
          version: (old?.version ?? 0) + 1,
          lease: 0,
        } as KeyValue;
        this.#push(op.key, { revision, kv, context }, wrote);
        return { type: 'put' };
      }
      case 'delete': {
        const keys = [...this.#keys.keys()].filter((key) => inRange(key, op) && this.#at(key));
        for (const key of keys) this.#push(key, { revision, kv: undefined, context }, wrote);
        return { type: 'delete', deleted: keys.length };
      }
      case 'txn':
        return this.#txn(op, revision, wrote, context);
      default:
        return op satisfies never;
    }
  }

  #push(key: string, version: Version, wrote: string[]): void {
    wrote.push(key);
    const versions = this.#keys.get(key);
    if (versions) versions.push(version);
    else this.#keys.set(key, [version]);
    this.#log.push({ revision: version.revision, key, version });
  }

  #at(key: string, revision = Infinity): KeyValue | undefined {
    return this.#keys.get(key)?.findLast((version) => version.revision <= revision)?.kv;
  }

  #holds({ key, target, result, operand }: Compare): boolean {
    const kv = this.#at(key);
    if (target === 'value') {
      if (!kv) return false;
      const same = Buffer.compare(kv.value, operand as Uint8Array) === 0;
      return result === '=' ? same : !same;
    }
    const fields = {
      version: kv?.version,
      create: kv?.createRevision,
      mod: kv?.modRevision,
      lease: kv?.lease,
    };
    const value = fields[target] ?? 0;
    if (result === '=') return value === operand;
    if (result === '!=') return value !== operand;
    return result === '<' ? value < (operand as number) : value > (operand as number);
  }

  #range(op: RangeOp): RangeResult {
    const revision = op.revision || Infinity;
    if (revision < this.#compacted) {
      throw new StoreError('Refused', 'compacted', true, {
        cause: new KvError('Compacted', 'mvcc: required revision has been compacted'),
      });
    }
    const all = [...this.#keys.keys()]
      .filter((key) => inRange(key, op))
      .sort()
      .flatMap((key) => this.#at(key, revision) ?? []);
    const kvs = op.limit ? all.slice(0, op.limit) : all;
    return { type: 'range', kvs, more: kvs.length < all.length, count: all.length };
  }
}

function inRange(
  key: string,
  { key: from, rangeEnd }: { readonly key: string; readonly rangeEnd?: string },
): boolean {
  return rangeEnd === undefined ? key === from : key >= from && (rangeEnd === '\0' || key < rangeEnd);
}

function deletedKv(key: string, revision: number): KeyValue {
  return {
    key,
    value: new Uint8Array(),
    createRevision: 0,
    modRevision: revision,
    version: 0,
    lease: 0,
  } as unknown as KeyValue;
}
