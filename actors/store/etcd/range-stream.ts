/**
 * KV.RangeStream of etcd 3.7: a range in chunks at one revision, so that neither side ever holds the whole of it (server
 * v3_server.go: rangeStream). The first chunk has ten keys; later ones come near to the largest request. Header, count and more
 * are in the last one. What is compacted meanwhile ends the stream, as in etcd.
 */
import {
  type KeyValue as StoredKeyValue,
  type RangeOp,
  type RangeResult,
  type Revision,
  revision,
  type WithRevision,
} from 'raft-consensus';
import type { ClusterView } from './cluster-view.js';
import { RangeRequest, RangeStreamResponse } from './kv-messages.js';
import { etcdLimits } from './limits.js';
import { service, type StreamCall, type StreamHandler, streaming } from './method.js';
import { code, GrpcError, toGrpcError } from './status.js';
import { rangeOp } from './txn-request.js';

export function rangeStreamService(view: ClusterView) {
  return service('etcdserverpb.KV', {
    RangeStream: streaming(RangeRequest, RangeStreamResponse, (call) => new RangeStream(call, view)),
  });
}

/** What was sent before, of one stream. */
interface Sent {
  readonly keys: number;
  readonly chunkKeys: number;
}

class RangeStream implements StreamHandler<RangeRequest> {
  readonly #call: StreamCall<RangeStreamResponse>;
  readonly #view: ClusterView;
  #hasBegun = false;
  #wake: () => void = () => {};

  constructor(call: StreamCall<RangeStreamResponse>, view: ClusterView) {
    this.#call = call;
    this.#view = view;
    call.onGone(() => this.#wake());
  }

  message(request: RangeRequest): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#run(request).then(
      () => this.#call.end(),
      (error: unknown) => this.#call.end(toGrpcError(error)),
    );
  }

  finished(): void {
    if (!this.#hasBegun) this.#call.end(new GrpcError(code.internal, 'grpc: the request has no message'));
  }

  drained(): void {
    this.#wake();
  }

  async #run(request: RangeRequest): Promise<void> {
    let op = rangeOp(request);
    refuseUnordered(request);
    let head: Revision | undefined;
    let sent: Sent = { keys: 0, chunkKeys: etcdLimits.rangeStreamKeysFirst };
    while (!this.#call.isGone) {
      const chunk = await this.#read({ ...op, limit: chunkLimit(op, sent) }, request.serializable);
      const { kvs, more, count } = chunk.result;
      head ??= chunk.revision;
      const keys = sent.keys + kvs.length;
      const isLast = op.countOnly === true || !more || keys === op.limit;
      const header = this.#view.header(head);
      const rangeResponse = isLast ? { header, kvs, more, count: sent.keys + count } : { kvs };
      const isRoom = this.#call.send({ rangeResponse });
      if (isLast) return;
      const last = kvs.at(-1)!;
      // All that follows is of the moment at which the first chunk was read.
      op = { ...op, key: `${last.key}\0`, revision: op.revision ?? revision(head) };
      sent = { keys, chunkKeys: nextChunkKeys(sent.chunkKeys, kvs) };
      if (!isRoom && !this.#call.isGone) await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async #read(op: RangeOp, serializable: boolean): Promise<WithRevision<RangeResult>> {
    const { client, local } = await this.#call.stores();
    return (serializable ? local : client).range(op, { timeoutMs: this.#call.timeoutMs(), serializable });
  }
}

function refuseUnordered(request: RangeRequest): void {
  const { sortOrder, sortTarget } = request;
  if (sortOrder !== 0 && !(sortOrder === 1 && sortTarget === 0)) {
    throw new GrpcError(code.unimplemented, 'RangeStream does not support custom sort orders');
  }
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  if ([minModRevision, maxModRevision, minCreateRevision, maxCreateRevision].some((bound) => bound !== 0)) {
    throw new GrpcError(code.unimplemented, 'RangeStream does not support revision filters');
  }
}

function chunkLimit({ limit }: RangeOp, { keys, chunkKeys }: Sent): number {
  return limit === undefined ? chunkKeys : Math.min(chunkKeys, limit - keys);
}

/** Twice or half as many, where the chunk was not about as large as it may be. */
function nextChunkKeys(keys: number, chunk: readonly StoredKeyValue[]): number {
  let bytes = 0;
  for (const { key, value } of chunk) bytes += key.length + value.length + etcdLimits.keyValueHeadBytes;
  if (bytes < etcdLimits.rangeStreamChunkBytes / 2) return keys * 2;
  return bytes > etcdLimits.rangeStreamChunkBytes * 2 ? Math.max(1, Math.floor(keys / 2)) : keys;
}
