/** etcd's KV service over the store client. Serializable reads are answered by the member beside this front. */
import { type DeleteResult, type Op, type PutResult, revision } from 'raft-consensus';
import type { ClusterView } from './cluster-view.js';
import {
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  TxnRequest,
  TxnResponse,
} from './kv-messages.js';
import { encodedInTurns, LongRangeResponse } from './long-range.js';
import { type Call, service, unary } from './method.js';
import { whenFreed } from './physical-compaction.js';
import { errors } from './status.js';
import { deleteOp, putOp, rangeOp, rangeResponse, txnOp, txnResponse } from './txn-request.js';

const nothing: readonly never[] = [];

export function kvService(view: ClusterView) {
  const turn = () => new Promise<void>((resolve) => view.options.clock.defer(resolve));
  const write = async (op: Op, call: Call) => {
    const txn = { type: 'txn' as const, compare: nothing, success: [op], failure: nothing };
    const { client } = await call.stores();
    const done = await client.txn(txn, { timeoutMs: call.timeoutMs() });
    return { header: view.header(done.revision), result: done.result.results[0] };
  };
  return service('etcdserverpb.KV', {
    Range: unary(RangeRequest, LongRangeResponse, async (request, call) => {
      const { client, local } = await call.stores();
      const near = request.serializable ? local : client;
      const read = { timeoutMs: call.timeoutMs(), serializable: request.serializable };
      const done = await near.range(rangeOp(request), read);
      const answer = { header: view.header(done.revision), ...rangeResponse(done.result) };
      return encodedInTurns(answer, done.result.kvs, turn);
    }),
    Put: unary(PutRequest, PutResponse, async (request, call) => {
      const { header, result } = await write(putOp(request), call);
      const { prevKv } = result as PutResult;
      return prevKv === undefined ? { header } : { header, prevKv };
    }),
    DeleteRange: unary(DeleteRangeRequest, DeleteRangeResponse, async (request, call) => {
      const { header, result } = await write(deleteOp(request), call);
      const { deleted, prevKvs } = result as DeleteResult;
      return { header, deleted, ...(prevKvs && { prevKvs }) };
    }),
    Txn: unary(TxnRequest, TxnResponse, async (request, call) => {
      const txn = txnOp(request);
      const { client } = await call.stores();
      const done = await client.txn(txn, { timeoutMs: call.timeoutMs() });
      return { header: view.header(done.revision), ...txnResponse(done.result, done.revision) };
    }),
    Compact: unary(CompactionRequest, CompactionResponse, async (request, call) => {
      const { client } = await call.stores();
      // What never was is gone; commands know no such revision.
      if (request.revision < 0) throw errors.compacted();
      const at = revision(request.revision);
      const compacted = await client.compact(at, { timeoutMs: call.timeoutMs() });
      if (request.physical) await whenFreed(view, view.options.clock, at, call.timeoutMs());
      return { header: view.header(compacted) };
    }),
  });
}
