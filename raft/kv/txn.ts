/**
 * Runs a transaction: first chooses the path through all compares, nested ones too, against the state
 * before any write (as etcd does); then checks everything that could refuse an operation on that path; only
 * then writes. So a refused transaction has changed nothing, on every member alike (etcd-io/etcd #18667).
 */
import { KvError } from './errors.js';
import { isLive } from './key-index.js';
import { leaseNotFound, type Leases } from './leases.js';
import { collect, readRange } from './range.js';
import { endOf } from './txn-check.js';
import type {
  Compare,
  DeleteOp,
  DeleteResult,
  Op,
  OpResult,
  PutOp,
  PutResult,
  RangeOp,
  Revision,
  TxnOp,
  TxnResult,
} from './types.js';
import { leaseId, revision } from './types.js';
import type { Version } from './values/index.js';
import type { Change, Versions } from './versions.js';

/** The branch taken by a transaction, and by each transaction nested in it, in order. */
interface Path {
  readonly succeeded: boolean;
  readonly ops: readonly Op[];
  readonly nested: readonly Path[];
}

const NONE_NESTED: readonly Path[] = [];

/**
 * `changes` receives what was written; it stays empty when nothing was. The transaction has passed
 * `checkTxn`.
 */
export function runTxn(
  versions: Versions,
  leases: Leases,
  txn: TxnOp,
  changes: Change[],
): TxnResult | KvError {
  const path = choosePath(versions, txn);
  // All puts before all reads, as etcd does: which of two reasons is named is part of its API.
  const problem = checkPuts(versions, leases, path) ?? checkReads(versions, path);
  if (problem !== undefined) return problem;
  return new TxnRun(versions, leases, changes).run(path);
}

export function isReadOnly(txn: TxnOp): boolean {
  const reads = (op: Op) => op.type === 'range' || (op.type === 'txn' && isReadOnly(op));
  return txn.success.every(reads) && txn.failure.every(reads);
}

/** Whether any branch of it puts. */
export function hasPut(txn: TxnOp): boolean {
  const puts = (op: Op) => op.type === 'put' || (op.type === 'txn' && hasPut(op));
  return txn.success.some(puts) || txn.failure.some(puts);
}

/** Undefined when the store can be read at the revision that the operation asks for. */
export function checkReadable(versions: Versions, op: RangeOp): KvError | undefined {
  const at = op.revision ?? 0;
  if (at > versions.revision) return futureRevision();
  if (at > 0 && at < versions.compactRevision) return compacted();
  return undefined;
}

export function compacted(): KvError {
  return new KvError('Compacted', 'etcdserver: mvcc: required revision has been compacted');
}

export function futureRevision(): KvError {
  return new KvError('FutureRevision', 'etcdserver: mvcc: required revision is a future revision');
}

function choosePath(versions: Versions, txn: TxnOp): Path {
  const succeeded = txn.compare.every((compare) => holds(versions, compare));
  const ops = succeeded ? txn.success : txn.failure;
  let nested: Path[] | undefined;
  for (const op of ops) if (op.type === 'txn') (nested ??= []).push(choosePath(versions, op));
  return { succeeded, ops, nested: nested ?? NONE_NESTED };
}

function holds(versions: Versions, compare: Compare): boolean {
  if (compare.rangeEnd === undefined || compare.rangeEnd === '') {
    const entry = versions.index.get(compare.key);
    return holdsFor(versions, compare, entry !== undefined && isLive(entry) ? entry.newest : undefined);
  }
  let all = true;
  let any = false;
  versions.index.scanLive(compare.key, endOf(compare), (entry) => {
    any = true;
    all = holdsFor(versions, compare, entry.newest);
    return all;
  });
  return any ? all : holdsFor(versions, compare, undefined);
}

function holdsFor(versions: Versions, compare: Compare, kv: Version | undefined): boolean {
  const { operand, result } = compare;
  let order: number;
  if (typeof operand !== 'object') order = compareNumbers(numberOf(compare, kv), operand);
  else if (kv === undefined) return false;
  else order = Buffer.compare(versions.values.read(kv), operand);
  switch (result) {
    case '=':
      return order === 0;
    case '!=':
      return order !== 0;
    case '<':
      return order < 0;
    case '>':
      return order > 0;
    default:
      return result satisfies never;
  }
}

/** A lease's id may be a bigint; then, too, `<` is exact. */
function compareNumbers(a: number | bigint, b: number | bigint): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function numberOf({ target }: Compare, kv: Version | undefined): number | bigint {
  if (kv === undefined) return 0;
  if (target === 'version') return kv.version;
  if (target === 'create') return kv.createRevision;
  return target === 'mod' ? kv.modRevision : kv.lease;
}

function checkPuts(versions: Versions, leases: Leases, path: Path): KvError | undefined {
  for (const op of path.ops) {
    const problem = op.type === 'put' ? checkPut(versions, leases, op) : undefined;
    if (problem !== undefined) return problem;
  }
  for (const nested of path.nested) {
    const problem = checkPuts(versions, leases, nested);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function checkReads(versions: Versions, path: Path): KvError | undefined {
  for (const op of path.ops) {
    const problem = op.type === 'range' ? checkReadable(versions, op) : undefined;
    if (problem !== undefined) return problem;
  }
  for (const nested of path.nested) {
    const problem = checkReads(versions, nested);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function checkPut(versions: Versions, leases: Leases, op: PutOp): KvError | undefined {
  const lease = op.lease ?? 0;
  if (lease !== 0 && !leases.has(leaseId(lease))) return leaseNotFound();
  if (op.ignoreValue === true || op.ignoreLease === true) {
    const entry = versions.index.get(op.key);
    if (entry === undefined || !isLive(entry)) return new KvError('KeyNotFound', 'etcdserver: key not found');
  }
  return undefined;
}

class TxnRun {
  readonly #versions: Versions;
  readonly #leases: Leases;
  readonly #changes: Change[];
  readonly #at: Revision;

  constructor(versions: Versions, leases: Leases, changes: Change[]) {
    this.#versions = versions;
    this.#leases = leases;
    this.#changes = changes;
    this.#at = revision(versions.revision + 1);
  }

  run(path: Path): TxnResult {
    const results: OpResult[] = [];
    let nested = 0;
    for (const op of path.ops) {
      results.push(op.type === 'txn' ? this.run(path.nested[nested++]!) : this.#runOp(op));
    }
    return { type: 'txn', succeeded: path.succeeded, results };
  }

  #runOp(op: RangeOp | PutOp | DeleteOp): OpResult {
    switch (op.type) {
      case 'range':
        return readRange(this.#versions, op);
      case 'put':
        return this.#put(op);
      case 'delete':
        return this.#delete(op);
      default:
        return op satisfies never;
    }
  }

  #put(op: PutOp): PutResult {
    let value = op.value;
    let lease = op.lease ?? leaseId(0);
    if (op.ignoreValue === true || op.ignoreLease === true) {
      const { newest } = this.#versions.index.get(op.key)!;
      if (op.ignoreValue === true) value = this.#versions.values.read(newest);
      if (op.ignoreLease === true) lease = newest.lease;
    }
    const change = this.#versions.write(op.key, value, lease, this.#at);
    this.#leases.reattach(change.kv.key, change.prev?.lease ?? leaseId(0), lease);
    this.#changes.push(change);
    return op.prevKv === true && change.prev !== undefined
      ? { type: 'put', prevKv: this.#versions.kvOf(change.prev) }
      : { type: 'put' };
  }

  #delete(op: DeleteOp): DeleteResult {
    const kvs = collect(this.#versions, op.key, endOf(op), null, Infinity);
    for (const kv of kvs) this.#changes.push(deleteKey(this.#versions, this.#leases, kv, this.#at));
    const deleted = kvs.length;
    if (op.prevKv !== true) return { type: 'delete', deleted };
    return { type: 'delete', deleted, prevKvs: kvs.map((kv) => this.#versions.kvOf(kv)) };
  }
}

/** Deletes a live key and takes it off its lease. */
export function deleteKey(versions: Versions, leases: Leases, kv: Version, at: Revision): Change {
  leases.reattach(kv.key, kv.lease, leaseId(0));
  return versions.bury(versions.index.get(kv.key)!, at);
}
