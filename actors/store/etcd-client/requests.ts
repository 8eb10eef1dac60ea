/**
 * Operations of the store as requests to etcd, and answers as results: the other direction of etcd/txn-request.ts. All keys get
 * a prefix on their way out and lose it on their way back, so that several users share an etcd cluster.
 */
import {
  type Compare as StoreCompare,
  type KeyRange,
  type KeyValue as StoreKeyValue,
  KvError,
  leaseId,
  type Op,
  type OpResult,
  type RangeOp,
  type RangeResult,
  revision,
  type TxnOp,
  type TxnResult,
} from 'raft-consensus';
import { StoreError } from '../client.js';
import type {
  Compare,
  DeleteRangeRequest,
  KeyValue,
  PutRequest,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from '../etcd/kv-messages.js';

/** The range of all keys, as a range's end. */
const allBehind = '\0';
const targets = ['key', 'version', 'create', 'mod', 'value'] as const;
const compareTargets = ['version', 'create', 'mod', 'value', 'lease'] as const;
const compareResults = ['=', '>', '<', '!='] as const;

export class Requests {
  readonly #prefix: string;
  /** Of the range of all keys with the prefix. */
  readonly #end: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.#end = prefix === '' ? allBehind : after(prefix);
  }

  /** A range as etcd has it. Throws what etcd would answer to a range without a key: with a prefix it would be one. */
  outside({ key, rangeEnd }: KeyRange): { key: string; rangeEnd: string } {
    if (key === '') throw noKey();
    if (rangeEnd === undefined) return { key: this.#prefix + key, rangeEnd: '' };
    return {
      key: this.#prefix + key,
      rangeEnd: rangeEnd === allBehind ? this.#end : this.#prefix + rangeEnd,
    };
  }

  range(op: RangeOp): Partial<RangeRequest> {
    return {
      ...this.outside(op),
      revision: op.revision ?? 0,
      limit: op.limit ?? 0,
      keysOnly: op.keysOnly ?? false,
      countOnly: op.countOnly ?? false,
      ...(op.sort && {
        sortTarget: targets.indexOf(op.sort.target),
        sortOrder: op.sort.order === 'ascend' ? 1 : 2,
      }),
      minModRevision: op.minModRevision ?? 0,
      maxModRevision: op.maxModRevision ?? 0,
      minCreateRevision: op.minCreateRevision ?? 0,
      maxCreateRevision: op.maxCreateRevision ?? 0,
    };
  }

  txn({ compare, success, failure }: TxnOp): TxnRequest {
    return {
      compare: compare.map((one) => this.#compare(one) as Compare),
      success: success.map((op) => this.#op(op)),
      failure: failure.map((op) => this.#op(op)),
    };
  }

  rangeResult(response: Partial<RangeResponse>): RangeResult {
    const kvs = (response.kvs ?? []).map((kv) => this.kv(kv));
    return { type: 'range', kvs, more: response.more ?? false, count: response.count ?? 0 };
  }

  txnResult(response: Partial<TxnResponse>): TxnResult {
    const results = (response.responses ?? []).map((one) => this.#result(one));
    return { type: 'txn', succeeded: response.succeeded ?? false, results };
  }

  /** With a value of its own: what came over the wire is a piece of something larger. */
  kv(kv: Partial<KeyValue>): StoreKeyValue {
    return {
      key: (kv.key ?? '').slice(this.#prefix.length),
      value: ownBytes(kv.value),
      createRevision: revision(kv.createRevision ?? 0),
      modRevision: revision(kv.modRevision ?? 0),
      version: kv.version ?? 0,
      lease: leaseId(kv.lease ?? 0),
    };
  }

  #compare({ key, rangeEnd, target, result, operand }: StoreCompare): Partial<Compare> {
    const range = this.outside(rangeEnd === undefined ? { key } : { key, rangeEnd });
    const common = {
      ...range,
      target: compareTargets.indexOf(target),
      result: compareResults.indexOf(result),
    };
    const number = operand as number;
    switch (target) {
      case 'version':
        return { ...common, version: number };
      case 'create':
        return { ...common, createRevision: number };
      case 'mod':
        return { ...common, modRevision: number };
      case 'lease':
        return { ...common, lease: operand as number | bigint };
      case 'value':
        return { ...common, value: operand as Uint8Array };
    }
  }

  #op(op: Op): RequestOp {
    switch (op.type) {
      case 'range':
        return { range: this.range(op) as RangeRequest };
      case 'put': {
        const { value, lease = 0, prevKv = false, ignoreValue = false, ignoreLease = false } = op;
        const { key } = this.outside({ key: op.key });
        const put = { key, value, lease, prevKv, ignoreValue, ignoreLease };
        return { put: put satisfies PutRequest };
      }
      case 'delete':
        return {
          deleteRange: { ...this.outside(op), prevKv: op.prevKv ?? false } satisfies DeleteRangeRequest,
        };
      case 'txn':
        return { txn: this.txn(op) };
    }
  }

  #result(response: ResponseOp): OpResult {
    const { range, put, deleteRange, txn } = response;
    if (range) return this.rangeResult(range);
    if (put) return { type: 'put', ...(put.prevKv && { prevKv: this.kv(put.prevKv) }) };
    if (txn) return this.txnResult(txn);
    const prevKvs = deleteRange?.prevKvs ?? [];
    const deleted = deleteRange?.deleted ?? 0;
    return {
      type: 'delete',
      deleted,
      ...(prevKvs.length > 0 && { prevKvs: prevKvs.map((kv) => this.kv(kv)) }),
    };
  }
}

function noKey(): StoreError {
  const cause = new KvError('EmptyKey', 'etcdserver: key is not provided');
  return new StoreError('Refused', cause.message, true, { cause });
}

const nothing = new Uint8Array(0);

function ownBytes(view: Uint8Array | undefined): Uint8Array {
  if (!view || view.length === 0) return nothing;
  const own = Buffer.allocUnsafeSlow(view.length);
  own.set(view);
  return own;
}

/** The first key behind all that begin with the prefix. */
function after(prefix: string): string {
  for (let end = prefix.length; end > 0; end -= 1) {
    const last = prefix.charCodeAt(end - 1);
    if (last < 0xff) return prefix.slice(0, end - 1) + String.fromCharCode(last + 1);
  }
  return allBehind;
}
