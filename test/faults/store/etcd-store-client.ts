/**
 * The store through the etcd API of its members, with the face of the store's own client, as far as the workload needs it. One
 * member is asked until it fails, then the next one. What may have happened is never asked for again: only `Refused` is
 * certain, everything else that is no answer is of unknown outcome.
 */
import { strict as assert } from 'node:assert';
import {
  type Compare,
  KvError,
  leaseId,
  type LeaseId,
  type Op,
  type OpResult,
  type RangeOp,
  revision,
  type TxnOp,
} from 'raft-consensus';
import { type StoreClient, StoreError } from '../../../actors/store/index.js';
import type { Schema } from '../../../actors/store/etcd/message.js';
import {
  CompactionRequest,
  RangeRequest,
  RangeResponse,
  type RequestOp,
  type ResponseOp,
  TxnRequest,
  TxnResponse,
} from '../../../actors/store/etcd/kv-messages.js';
import {
  HashKvRequest,
  HashKvResponse,
  HeaderOnly,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseRequest,
} from '../../../actors/store/etcd/rpc-messages.js';
import { GrpcClient } from '../../harness/grpc-client.js';

type Face = Pick<
  StoreClient,
  'txn' | 'range' | 'currentRevision' | 'leaseGrant' | 'leaseRevoke' | 'leaseKeepAlive'
>;

const defaultTimeoutMs = 2_000;
/** gRPC: INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, OUT_OF_RANGE. */
const certain = [3, 5, 6, 8, 9, 11];

export class EtcdStoreClient implements Face {
  readonly #endpoints: readonly string[];
  #current = 0;
  #grpc: GrpcClient | undefined;

  /** `http://host:port`, the nearest first. */
  constructor(endpoints: readonly string[]) {
    this.#endpoints = endpoints;
  }

  close(): void {
    this.#grpc?.close();
    this.#grpc = undefined;
  }

  async txn(txn: TxnOp, { timeoutMs }: { readonly timeoutMs?: number } = {}) {
    const reply = await this.#ask('KV/Txn', [TxnRequest, TxnResponse], requestOf(txn), timeoutMs);
    const results = reply.responses.map(resultOf);
    const result = { type: 'txn' as const, succeeded: reply.succeeded, results };
    return { revision: revision(reply.header?.revision ?? 0), result };
  }

  async range(
    op: RangeOp,
    {
      timeoutMs,
      serializable = false,
    }: { readonly timeoutMs?: number; readonly serializable?: boolean } = {},
  ) {
    const request = { ...rangeOf(op), serializable };
    const { header, kvs, more, count } = await this.#ask(
      'KV/Range',
      [RangeRequest, RangeResponse],
      request,
      timeoutMs,
    );
    const result = { type: 'range' as const, kvs: kvs as never, more, count };
    return { revision: revision(header?.revision ?? 0), result };
  }

  async currentRevision(options: { readonly timeoutMs?: number } = {}) {
    return (await this.range({ type: 'range', key: 'none', countOnly: true }, options)).revision;
  }

  async compact(at: number, timeoutMs?: number): Promise<void> {
    await this.#ask('KV/Compact', [CompactionRequest, HeaderOnly], { revision: at }, timeoutMs);
  }

  async hashKv(at: number): Promise<string> {
    const schemas = [HashKvRequest, HashKvResponse] as const;
    const { hash, compactRevision } = await this.#ask('Maintenance/HashKV', schemas, { revision: at });
    return `${hash} up to ${at}, compacted at ${compactRevision}`;
  }

  async leaseGrant(ttlMs: number, { timeoutMs }: { readonly timeoutMs?: number } = {}): Promise<LeaseId> {
    const schemas = [LeaseGrantRequest, LeaseGrantResponse] as const;
    const { id } = await this.#ask('Lease/LeaseGrant', schemas, { ttl: Math.ceil(ttlMs / 1000) }, timeoutMs);
    return leaseId(id);
  }

  async leaseRevoke(id: LeaseId, { timeoutMs }: { readonly timeoutMs?: number } = {}) {
    const { header } = await this.#ask('Lease/LeaseRevoke', [LeaseRequest, HeaderOnly], { id }, timeoutMs);
    return revision(header?.revision ?? 0);
  }

  async leaseKeepAlive(id: LeaseId, { timeoutMs }: { readonly timeoutMs?: number } = {}) {
    const schemas = [LeaseRequest, LeaseKeepAliveResponse] as const;
    const { header, ttl } = await this.#ask('Lease/LeaseKeepAlive', schemas, { id }, timeoutMs);
    // etcd says so by a reply without a time.
    if (ttl <= 0) throw refused(new KvError('LeaseNotFound', `there is no lease ${id}`));
    return { revision: revision(header?.revision ?? 0), ttlMs: ttl * 1000 };
  }

  async #ask<Q extends object, R extends object>(
    method: string,
    schemas: readonly [Schema<Q>, Schema<R>],
    request: Partial<Q>,
    timeoutMs: number = defaultTimeoutMs,
  ): Promise<R> {
    if (this.#grpc?.isClosed) this.close();
    this.#grpc ??= new GrpcClient(this.#endpoints[this.#current]!);
    const call = this.#grpc.stream(`/etcdserverpb.${method}`, schemas);
    const timer = setTimeout(() => call.cancel(), timeoutMs);
    call.send({ ...schemas[0].decode(Buffer.alloc(0)), ...request });
    call.finish();
    const { code, message } = await call.status;
    clearTimeout(timer);
    const [reply] = call.received;
    if (code === 0 && reply) return reply;
    if (certain.includes(code)) throw refused(new Error(message));
    this.close();
    this.#current = (this.#current + 1) % this.#endpoints.length;
    throw new StoreError('Timeout', `${method}: ${code} ${message}`, false);
  }
}

function refused(cause: Error): StoreError {
  return new StoreError('Refused', cause.message, true, { cause });
}

function requestOf({ compare, success, failure }: TxnOp): TxnRequest {
  return {
    compare: compare.map(compareOf),
    success: success.map(requestOpOf),
    failure: failure.map(requestOpOf),
  };
}

/** The workload compares revisions only. */
function compareOf({ key, target, result, operand }: Compare): TxnRequest['compare'][number] {
  assert(target === 'mod' && result === '=' && typeof operand === 'number');
  const [equal, mod] = [0, 2];
  return {
    result: equal,
    target: mod,
    key,
    rangeEnd: '',
    modRevision: operand,
    version: undefined,
    createRevision: undefined,
    value: undefined,
    lease: undefined,
  };
}

function requestOpOf(op: Op): RequestOp {
  switch (op.type) {
    case 'range':
      return { range: rangeOf(op) };
    case 'put': {
      const { key, value, lease = 0 } = op;
      return {
        put: { key, value: Buffer.from(value), lease, prevKv: false, ignoreValue: false, ignoreLease: false },
      };
    }
    case 'delete':
      return { deleteRange: { key: op.key, rangeEnd: op.rangeEnd ?? '', prevKv: op.prevKv ?? false } };
    case 'txn':
      return { txn: requestOf(op) };
  }
}

function rangeOf({
  key,
  rangeEnd = '',
  revision: at = revision(0),
  countOnly = false,
}: RangeOp): RangeRequest {
  return { ...RangeRequest.decode(Buffer.alloc(0)), key, rangeEnd, revision: at, countOnly };
}

function resultOf({ range, put, deleteRange, txn }: ResponseOp): OpResult {
  if (range) {
    return {
      type: 'range',
      kvs: (range.kvs ?? []) as never,
      more: range.more ?? false,
      count: range.count ?? 0,
    };
  }
  if (put) return { type: 'put' };
  if (deleteRange) {
    return {
      type: 'delete',
      deleted: deleteRange.deleted ?? 0,
      prevKvs: (deleteRange.prevKvs ?? []) as never,
    };
  }
  assert(txn);
  return { type: 'txn', succeeded: txn.succeeded ?? false, results: (txn.responses ?? []).map(resultOf) };
}
