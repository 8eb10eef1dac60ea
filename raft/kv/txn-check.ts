/**
 * Which transactions are refused whatever the state of the store: limits, empty keys, contradictory
 * options, and two writes to one key (etcd: "duplicate key given in txn request"). Branches of a nested
 * transaction exclude each other, so the same key may be written in both. Stricter than etcd in one point:
 * a delete and a put of the same key in two nested transactions side by side are refused in either order,
 * since a revision holds at most one change of a key.
 */
import { KvError } from './errors.js';
import { KV_LIMITS } from './limits.js';
import type { Compare, DeleteOp, Key, KeyRange, Op, PutOp, RangeOp, TxnOp } from './types.js';

/** Undefined when the transaction is well-formed. */
export function checkTxn(txn: TxnOp, depth = 0, opsMax: number = KV_LIMITS.txnOpsMax): KvError | undefined {
  if (depth > KV_LIMITS.txnDepthMax) {
    return invalid(`transactions are nested deeper than ${KV_LIMITS.txnDepthMax}`);
  }
  const most = Math.max(txn.compare.length, txn.success.length, txn.failure.length);
  if (most > opsMax) {
    return new KvError('TooManyOps', 'etcdserver: too many operations in txn request');
  }
  for (const compare of txn.compare) {
    const problem = checkCompare(compare);
    if (problem !== undefined) return problem;
  }
  // As etcd counts: what a transaction has used up is not there for those within.
  const left = opsMax - most;
  return (
    checkOps(txn.success, depth, left) ?? checkOps(txn.failure, depth, left) ?? checkDuplicates(txn, depth)
  );
}

export function checkRange(op: RangeOp): KvError | undefined {
  if (op.revision !== undefined && !(op.revision >= 0)) return invalid(`revision ${op.revision} is negative`);
  if (op.limit !== undefined && !(op.limit >= 0)) return invalid(`limit ${op.limit} is negative`);
  return checkKey(op);
}

function checkOps(ops: readonly Op[], depth: number, opsMax: number): KvError | undefined {
  for (const op of ops) {
    const problem = checkOp(op, depth, opsMax);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function checkOp(op: Op, depth: number, opsMax: number): KvError | undefined {
  switch (op.type) {
    case 'range':
      return checkRange(op);
    case 'put':
      return checkPut(op);
    case 'delete':
      return checkKey(op);
    case 'txn':
      return checkTxn(op, depth + 1, opsMax);
    default:
      return op satisfies never;
  }
}

function checkPut(op: PutOp): KvError | undefined {
  const problem = checkKey(op);
  if (problem !== undefined) return problem;
  if (op.ignoreValue === true && op.value.length > 0) return invalid('value is provided');
  if (op.ignoreLease === true && (op.lease ?? 0) !== 0) return invalid('lease is provided');
  return undefined;
}

function checkCompare(compare: Compare): KvError | undefined {
  const isBytes = typeof compare.operand === 'object';
  if (isBytes !== (compare.target === 'value')) {
    return invalid(`a compare of the ${compare.target} takes ${isBytes ? 'a number' : 'bytes'}`);
  }
  return checkKey(compare);
}

function checkKey(range: KeyRange): KvError | undefined {
  return range.key === '' ? new KvError('EmptyKey', 'etcdserver: key is not provided') : undefined;
}

function invalid(what: string): KvError {
  return new KvError('InvalidArgument', `etcdserver: ${what}`);
}

/** What one branch of a transaction writes. */
interface Writes {
  readonly puts: Set<Key>;
  readonly deletes: KeyRange[];
}

function checkDuplicates(txn: TxnOp, depth: number): KvError | undefined {
  if (depth > 0) return undefined;
  if (txn.success.length < 2 && txn.failure.length < 2 && !hasNested(txn)) return undefined;
  const distinct = writesOf(txn.success) !== null && writesOf(txn.failure) !== null;
  return distinct ? undefined : new KvError('DuplicateKey', 'etcdserver: duplicate key given in txn request');
}

function hasNested(txn: TxnOp): boolean {
  return txn.success.some((op) => op.type === 'txn') || txn.failure.some((op) => op.type === 'txn');
}

/** Null when two of the operations may write the same key. Deletes among themselves never clash. */
function writesOf(ops: readonly Op[]): Writes | null {
  const all: Writes = { puts: new Set(), deletes: [] };
  for (const op of ops) {
    const writes = writesOfOne(op);
    if (writes === null) return null;
    if (clash(all, writes)) return null;
    for (const key of writes.puts) all.puts.add(key);
    all.deletes.push(...writes.deletes);
  }
  return all;
}

function writesOfOne(op: Op): Writes | null {
  switch (op.type) {
    case 'range':
      return { puts: new Set(), deletes: [] };
    case 'put':
      return { puts: new Set([op.key]), deletes: [] };
    case 'delete':
      return { puts: new Set(), deletes: [op] };
    case 'txn': {
      const success = writesOf(op.success);
      const failure = writesOf(op.failure);
      if (success === null || failure === null) return null;
      return {
        puts: new Set([...success.puts, ...failure.puts]),
        deletes: [...success.deletes, ...failure.deletes],
      };
    }
    default:
      return op satisfies never;
  }
}

function clash(a: Writes, b: Writes): boolean {
  for (const key of b.puts) {
    if (a.puts.has(key) || a.deletes.some((range) => covers(range, key))) return true;
  }
  if (b.deletes.length === 0) return false;
  for (const key of a.puts) if (b.deletes.some((range) => covers(range, key))) return true;
  return false;
}

/** Whether the range holds the key. */
export function covers(range: KeyRange | DeleteOp, key: Key): boolean {
  if (range.rangeEnd === undefined || range.rangeEnd === '') return key === range.key;
  return key >= range.key && (range.rangeEnd === '\0' || key < range.rangeEnd);
}

/** The end of a range as the index takes it: exclusive, null for none. */
export function endOf(range: KeyRange): Key | null {
  if (range.rangeEnd === undefined || range.rangeEnd === '') return `${range.key}\0`;
  return range.rangeEnd === '\0' ? null : range.rangeEnd;
}
