/** Short forms for tests of the key-value store: commands with running indexes, and values as text. */
import { strict as assert } from 'node:assert';
import {
  type Applied,
  type Command,
  type CommandResult,
  type Compare,
  type DeleteOp,
  KvError,
  type KvErrorCode,
  KvStore,
  type LeaseId,
  type Op,
  type PutOp,
  type RangeOp,
  type RangeResult,
  type Revision,
  type TxnOp,
  type TxnResult,
  type WatchBatch,
  type WatchEvent,
  type Watcher,
  type WithRevision,
  leaseId,
  revision,
} from 'raft-consensus';

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
export const textOf = (value: Uint8Array): string => Buffer.from(value).toString();

export function put(key: string, value = '', more: Partial<PutOp> = {}): PutOp {
  return { type: 'put', key, value: bytes(value), ...more };
}

export function del(key: string, rangeEnd?: string, more: Partial<DeleteOp> = {}): DeleteOp {
  return rangeEnd === undefined
    ? { type: 'delete', key, ...more }
    : { type: 'delete', key, rangeEnd, ...more };
}

export function range(key: string, rangeEnd?: string, more: Partial<RangeOp> = {}): RangeOp {
  return rangeEnd === undefined ? { type: 'range', key, ...more } : { type: 'range', key, rangeEnd, ...more };
}

export function txn(
  success: readonly Op[],
  compare: readonly Compare[] = [],
  failure: readonly Op[] = [],
): TxnOp {
  return { type: 'txn', compare, success, failure };
}

export class StoreDriver {
  readonly store: KvStore;
  #index: number;
  atMs = 1000;

  constructor(store = new KvStore()) {
    this.store = store;
    this.#index = store.appliedIndex;
  }

  try(command: Command): Applied {
    return this.store.apply(command, ++this.#index);
  }

  txn(txnOp: TxnOp, context?: string): WithRevision<TxnResult> {
    const head = context === undefined ? {} : { context };
    return this.#ok({ type: 'txn', txn: txnOp, atMs: this.atMs, ...head }, 'txn');
  }

  /** Each operation in a transaction, hence a revision, of its own. */
  do(...ops: readonly Op[]): void {
    for (const op of ops) this.txn(txn([op]));
  }

  refused(ops: readonly Op[]): KvErrorCode {
    const applied = this.try({ type: 'txn', txn: txn(ops), atMs: this.atMs });
    assert.ok(applied instanceof KvError, 'it was not refused');
    return applied.code;
  }

  compact(at: number): Applied {
    return this.try({ type: 'compact', revision: revision(at), atMs: this.atMs });
  }

  compactAll(at: number): void {
    assert.ok(!(this.compact(at) instanceof KvError));
    while (this.store.compactStep(1));
  }

  grant(id: number | bigint, ttlMs: number): LeaseId {
    return this.#ok({ type: 'lease-grant', id: leaseId(id), ttlMs, atMs: this.atMs }, 'lease').result.id;
  }

  range(op: RangeOp): RangeResult {
    const answer = this.store.range(op);
    assert.ok(!(answer instanceof KvError), String(answer));
    return answer.result;
  }

  /** `key=value` of everything in the store at a revision. */
  dump(at = 0): string {
    return this.range(range('\0', '\0', { revision: revision(at) }))
      .kvs.map((kv) => `${kv.key}=${textOf(kv.value)}`)
      .join(' ');
  }

  /** Installs a snapshot of another store. */
  restoreFrom(other: StoreDriver): void {
    this.store.restore(other.store.snapshot().toBytes());
    this.#index = this.store.appliedIndex;
  }

  #ok<T extends CommandResult['type']>(
    command: Command,
    type: T,
  ): WithRevision<Extract<CommandResult, { type: T }>> {
    const applied = this.try(command);
    assert.ok(!(applied instanceof KvError), String(applied));
    assert.equal(applied.result.type, type);
    return applied as WithRevision<Extract<CommandResult, { type: T }>>;
  }
}

/** Pulls until idle; a compacted watch is an error here. */
export function drain(watcher: Watcher): WatchBatch[] {
  const batches: WatchBatch[] = [];
  for (;;) {
    const step = watcher.next();
    if (step.type === 'idle') return batches;
    assert.equal(step.type, 'batch');
    if (step.type === 'batch') batches.push(step.batch);
  }
}

/** `+key=value@revision` and `-key@revision`, with `(previous)` where there is one. */
export function eventText(event: WatchEvent): string {
  const { kv, prevKv } = event;
  const prev = prevKv === undefined ? '' : `(${textOf(prevKv.value)})`;
  const what = event.type === 'put' ? `+${kv.key}=${textOf(kv.value)}` : `-${kv.key}`;
  return `${what}@${kv.modRevision}${prev}`;
}

export function eventsOf(batches: readonly WatchBatch[]): string {
  return batches.flatMap((batch) => batch.events.map(eventText)).join(' ');
}

export type { Revision };
