/**
 * A request as the apiserver's core sees it: HTTP is only one adapter (ARCHITECTURE rule 14). Both doors, HTTPS and
 * ZeroMQ, authenticate, then hand one of these to the same core.
 */

/** Authenticated user (Kubernetes `user.Info`). */
export interface Identity {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export interface ApiRequest {
  readonly method: string;
  /** Decoded path, `/api/v1/namespaces/default/pods`. */
  readonly path: string;
  /** Raw query string without `?`; empty when none. */
  readonly query: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export interface ApiResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | ApiStream;
}

/** A response that goes on: a watch, followed logs. Exactly one consumer. */
export interface ApiStream {
  /** Begins delivery. */
  start(sink: StreamSink): void;
  /** The consumer is gone. Idempotent; nothing reaches the sink afterwards. */
  cancel(): void;
}

export interface StreamSink {
  chunk(bytes: Uint8Array): void;
  end(): void;
  /** What the consumer has not taken yet; producers end a stream that is too far behind instead of buffering on. */
  bufferedBytes(): number;
}

/** The core. Never rejects for what a client did: that is a Status in the response. */
export interface ApiHandler {
  handle(request: ApiRequest, identity: Identity): Promise<ApiResponse>;
}

/**
 * Headers of our own.
 * `Kabuki-Fencing: <lease namespace>/<lease name>=<holderIdentity>/<leaseTransitions>` on a write makes it conditional, in the same
 * store transaction, on him still having the lease (ARCHITECTURE rule 10); a deposed writer gets 409 with reason Conflict.
 * `Kabuki-Trace-Id` is on every response.
 */
export const fencingHeader = 'kabuki-fencing';
export const traceIdHeader = 'kabuki-trace-id';
