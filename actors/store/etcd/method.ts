/** What a service offers to a transport of gRPC: methods with the tables of their messages, and how calls of them are seen. */
import type { CallerStores } from './callers.js';
import type { Schema } from './message.js';
import type { GrpcError } from './status.js';

/** One call, as its method sees it. */
export interface Call {
  /** What is left of the caller's deadline, at most the store's own limit. */
  timeoutMs(): number;
  /** Calls back once when nobody waits for the answer any more: cancelled, connection lost, deadline passed. */
  onGone(listener: () => void): void;
  readonly isGone: boolean;
  /**
   * The store on the behalf of whoever calls. Asked for anew by each message of a stream: a token ends while it runs.
   * Rejects when the token is not one.
   */
  stores(): CallerStores | Promise<CallerStores>;
}

export interface UnaryMethod<Q extends object = object, R extends object = object> {
  readonly type: 'unary';
  readonly request: Schema<Q>;
  readonly response: Schema<R>;
  /** Waits for what others do (locks): the deadline is kept by a timer and not by the store. */
  readonly waits?: boolean;
  serve(request: Q, call: Call): Promise<Partial<R>>;
}

export interface StreamCall<R extends object> extends Call {
  /** False when more is waiting to be sent than is good; `drained` follows. */
  send(response: Partial<R>): boolean;
  /** Ends the call; without an error it went well. */
  end(error?: GrpcError): void;
}

export interface StreamHandler<Q extends object> {
  message(request: Q): void;
  /** The client will say no more. */
  finished(): void;
  /** All that was sent has left. */
  drained?(): void;
}

export interface StreamMethod<Q extends object = object, R extends object = object> {
  readonly type: 'stream';
  readonly request: Schema<Q>;
  readonly response: Schema<R>;
  open(call: StreamCall<R>): StreamHandler<Q>;
}

export type Method = UnaryMethod | StreamMethod;

export function unary<Q extends object, R extends object>(
  request: Schema<Q>,
  response: Schema<R>,
  serve: (request: Q, call: Call) => Promise<Partial<R>>,
  options?: { readonly waits: boolean },
): Method {
  return { type: 'unary', request, response, serve, ...options } as unknown as Method;
}

export function streaming<Q extends object, R extends object>(
  request: Schema<Q>,
  response: Schema<R>,
  open: (call: StreamCall<R>) => StreamHandler<Q>,
): Method {
  return { type: 'stream', request, response, open } as unknown as Method;
}

/** By the path of the request, `/etcdserverpb.KV/Put`. */
export type Methods = ReadonlyMap<string, Method>;

export function service(name: string, methods: Readonly<Record<string, Method>>): [string, Method][] {
  return Object.entries(methods).map(([method, what]) => [`/${name}/${method}`, what]);
}
