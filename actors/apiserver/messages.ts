/**
 * What components say to an apiserver over the actor links, and what it says back (the ZeroMQ door).
 * One request, one `ApiResponseHead`; a stream goes on with chunks under credit until `ApiStreamEnd`.
 */
import {
  bytes,
  count,
  flag,
  mapOf,
  optional,
  record,
  type ShapeOf,
  type ShapesOf,
  text,
} from 'raft-consensus';
import { type ActorRef, refShape } from '../runtime/index.js';
import type { ApiRequest } from './request.js';

export type ApiServerMessage =
  | {
      readonly type: 'ApiRequest';
      readonly request: ApiRequest;
      readonly replyTo: ActorRef<ApiReply>;
      /** Chunks that may be on their way, not yet told as taken by an ApiCredit; 0 when no stream is expected. */
      readonly credit: number;
      /** Chosen by the client, unique per client node; names the stream in ApiCredit and ApiCancel. */
      readonly requestId: string;
    }
  /** Chunks taken since the stream began: a sum, so that one that is lost is made good by the next. */
  | { readonly type: 'ApiCredit'; readonly requestId: string; readonly chunks: number }
  | { readonly type: 'ApiCancel'; readonly requestId: string };

export type ApiReply =
  | {
      readonly type: 'ApiResponseHead';
      readonly requestId: string;
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      /** Present unless a stream follows. */
      readonly body?: Uint8Array;
      readonly streaming: boolean;
    }
  | {
      readonly type: 'ApiChunk';
      readonly requestId: string;
      /** From 0 without gaps; a gap means a lost letter, and the client closes the stream. */
      readonly seq: number;
      readonly bytes: Uint8Array;
    }
  /** `seq` is the number of chunks that were sent. */
  | { readonly type: 'ApiStreamEnd'; readonly requestId: string; readonly seq: number };

const request: ShapeOf<ApiRequest> = {
  method: text,
  path: text,
  query: text,
  headers: mapOf(text),
  body: optional(bytes),
};

/**
 * What the letters must look like: senders are machines of the cluster (their keys are known), of any version. What is
 * malformed goes no further.
 */
export const apiServerMessages: ShapesOf<ApiServerMessage> = {
  ApiRequest: { request: record(request), replyTo: refShape, credit: count, requestId: text },
  ApiCredit: { requestId: text, chunks: count },
  ApiCancel: { requestId: text },
};

export const apiReplies: ShapesOf<ApiReply> = {
  ApiResponseHead: {
    requestId: text,
    status: count,
    headers: mapOf(text),
    body: optional(bytes),
    streaming: flag,
  },
  ApiChunk: { requestId: text, seq: count, bytes },
  ApiStreamEnd: { requestId: text, seq: count },
};
