/**
 * Requests of KV as operations of the store, and results as responses. Checks come in etcd's order and with its texts
 * (etcd server/etcdserver/api/v3rpc/key.go); what depends on the state of the store is refused there.
 */
import {
  type Compare as StoreCompare,
  type DeleteOp,
  leaseId,
  type Op,
  type OpResult,
  type PutOp,
  type RangeOp,
  type RangeResult,
  revision,
  type Revision,
  type TxnOp,
  type TxnResult,
} from 'raft-consensus';
import type {
  Compare,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from './kv-messages.js';
import { etcdLimits } from './limits.js';
import { code, errors, GrpcError } from './status.js';

const targets = ['key', 'version', 'create', 'mod', 'value'] as const;
const orders = [undefined, 'ascend', 'descend'] as const;

export function rangeOp(request: RangeRequest): RangeOp {
  if (request.key === '') throw errors.emptyKey();
  const target = targets[request.sortTarget];
  if (target === undefined || request.sortOrder < 0 || request.sortOrder >= orders.length) {
    throw errors.invalidSortOption();
  }
  // Other targets than the key are sorted even when no order is named.
  const order = orders[request.sortOrder] ?? (target === 'key' ? undefined : 'ascend');
  return {
    type: 'range',
    key: request.key,
    ...(request.rangeEnd !== '' && { rangeEnd: request.rangeEnd }),
    ...(request.revision > 0 && { revision: revision(request.revision) }),
    ...(request.limit > 0 && { limit: request.limit }),
    ...(request.keysOnly && { keysOnly: true }),
    ...(request.countOnly && { countOnly: true }),
    ...(order !== undefined && !(order === 'ascend' && target === 'key') && { sort: { target, order } }),
    ...(request.minModRevision > 0 && { minModRevision: revision(request.minModRevision) }),
    ...(request.maxModRevision > 0 && { maxModRevision: revision(request.maxModRevision) }),
    ...(request.minCreateRevision > 0 && { minCreateRevision: revision(request.minCreateRevision) }),
    ...(request.maxCreateRevision > 0 && { maxCreateRevision: revision(request.maxCreateRevision) }),
  };
}

export function putOp(request: PutRequest): PutOp {
  if (request.key === '') throw errors.emptyKey();
  if (request.ignoreValue && request.value.length > 0) throw errors.valueProvided();
  if (request.ignoreLease && request.lease !== 0) throw errors.leaseProvided();
  return {
    type: 'put',
    key: request.key,
    value: request.value,
    ...(request.lease !== 0 && { lease: leaseId(request.lease) }),
    ...(request.prevKv && { prevKv: true }),
    ...(request.ignoreValue && { ignoreValue: true }),
    ...(request.ignoreLease && { ignoreLease: true }),
  };
}

export function deleteOp(request: DeleteRangeRequest): DeleteOp {
  if (request.key === '') throw errors.emptyKey();
  return {
    type: 'delete',
    key: request.key,
    ...(request.rangeEnd !== '' && { rangeEnd: request.rangeEnd }),
    ...(request.prevKv && { prevKv: true }),
  };
}

/** `opsMax`: what the transactions around this one have left of the limit. */
export function txnOp(request: TxnRequest, opsMax: number = etcdLimits.txnOpsMax): TxnOp {
  const ops = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (ops > opsMax) throw errors.tooManyOps();
  const left = opsMax - ops;
  return {
    type: 'txn',
    compare: request.compare.map(compareOf),
    success: request.success.map((op) => opOf(op, left)),
    failure: request.failure.map((op) => opOf(op, left)),
  };
}

function opOf(op: RequestOp, opsMax: number): Op {
  if (op.range) return rangeOp(op.range);
  if (op.put) return putOp(op.put);
  if (op.deleteRange) return deleteOp(op.deleteRange);
  if (op.txn) return txnOp(op.txn, opsMax);
  throw errors.keyNotFound();
}

const compareTargets = ['version', 'create', 'mod', 'value', 'lease'] as const;
const compareResults = ['=', '>', '<', '!='] as const;
const noBytes = new Uint8Array(0);

function compareOf(compare: Compare): StoreCompare {
  if (compare.key === '') throw errors.emptyKey();
  const target = compareTargets[compare.target];
  const result = compareResults[compare.result];
  if (!target || !result) {
    const what = target ? `result ${compare.result}` : `target ${compare.target}`;
    throw new GrpcError(code.invalidArgument, `etcdserver: unknown ${what} of a compare`);
  }
  return {
    key: compare.key,
    ...(compare.rangeEnd !== '' && { rangeEnd: compare.rangeEnd }),
    target,
    result,
    operand: operandOf(target, compare),
  };
}

/** An operand that is left out is zero, or no bytes. */
function operandOf(target: StoreCompare['target'], compare: Compare): StoreCompare['operand'] {
  switch (target) {
    case 'version':
      return compare.version ?? 0;
    case 'create':
      return compare.createRevision ?? 0;
    case 'mod':
      return compare.modRevision ?? 0;
    case 'lease':
      return leaseId(compare.lease ?? 0);
    case 'value':
      return compare.value ?? noBytes;
  }
}

export function rangeResponse(result: RangeResult): Omit<RangeResponse, 'header'> {
  return { kvs: result.kvs, more: result.more, count: result.count };
}

/** Each response in a transaction says the revision that the store had when its turn came, as in etcd. */
export function txnResponse(result: TxnResult, after: Revision): Omit<TxnResponse, 'header'> {
  const wrote = hasWritten(result);
  return responsesOf(result, { before: wrote ? after - 1 : after, wrote: false });
}

interface Progress {
  readonly before: number;
  wrote: boolean;
}

function responsesOf(result: TxnResult, progress: Progress): Omit<TxnResponse, 'header'> {
  return {
    succeeded: result.succeeded,
    responses: result.results.map((one) => responseOf(one, progress)),
  };
}

function responseOf(result: OpResult, progress: Progress): ResponseOp {
  if (result.type === 'txn') return { txn: { header: {}, ...responsesOf(result, progress) } };
  if (result.type === 'put' || (result.type === 'delete' && result.deleted > 0)) progress.wrote = true;
  const header = { revision: progress.wrote ? progress.before + 1 : progress.before };
  switch (result.type) {
    case 'range':
      return { range: { header, ...rangeResponse(result) } };
    case 'put':
      return { put: { header, ...(result.prevKv && { prevKv: result.prevKv }) } };
    case 'delete':
      return {
        deleteRange: { header, deleted: result.deleted, ...(result.prevKvs && { prevKvs: result.prevKvs }) },
      };
  }
}

function hasWritten(result: TxnResult): boolean {
  return result.results.some(
    (one) =>
      one.type === 'put' ||
      (one.type === 'delete' && one.deleted > 0) ||
      (one.type === 'txn' && hasWritten(one)),
  );
}
