/**
 * One gRPC call on one stream of node:http2, an edge (grpc.io, "gRPC over HTTP2"): request messages in, response messages and
 * trailers out, deadlines and cancellation. Listeners are shared by all calls, which hang on their streams.
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Clock, Timer } from '../../../transport/index.js';
import type { CallerStores, Credentials } from './callers.js';
import { framePrefixBytes, FrameReader, sealFrame } from './frames.js';
import { etcdLimits } from './limits.js';
import type { Method, StreamCall, StreamHandler, StreamMethod, UnaryMethod } from './method.js';
import type { RpcCounts } from './rpc-counts.js';
import { code, errors, type GrpcCode, GrpcError, toGrpcError } from './status.js';
import { unserved } from './unserved.js';
import { WireError } from './wire.js';

/** What calls have in common. */
export interface CallHost {
  readonly clock: Clock;
  /** Of a request; and with what gRPC grants on top, of any message that is taken in. */
  readonly requestBytesMax: number;
  readonly messageBytesMax: number;
  readonly requestTimeoutMs: number;
  /** False when this member knows no leader; asked by callers who require one. */
  hasLeader(): boolean;
  /** Streams that require a leader, to be cut when there is none. */
  readonly leaderStreams: Set<StreamCall<never>>;
  /** Streams, and calls that wait for what others do: they are told when the server stops. */
  readonly longCalls: Set<StreamCall<never>>;
  storesOf(credentials: Credentials): CallerStores | Promise<CallerStores>;
  readonly counts: RpcCounts;
  onError(error: GrpcError, path: string): void;
}

const calls = Symbol('call');
type CallStream = ServerHttp2Stream & { [calls]: Http2Call };

const okHeaders = { ':status': 200, 'content-type': 'application/grpc' };
/** `sendDate` is node's: no server of gRPC sends a date, and it costs both sides. */
const respondOptions = { waitForTrailers: true, sendDate: false };
const okTrailers = { 'grpc-status': '0', 'grpc-message': '' };
const noSettings = { endStream: true, sendDate: false };

export function serveCall(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  path: string,
  method: Method | undefined,
  host: CallHost,
  commonName: string | undefined,
): void {
  const call = new Http2Call(stream, path, method, host, credentialsOf(headers, commonName));
  (stream as CallStream)[calls] = call;
  stream.on('data', onData);
  stream.on('end', onEnd);
  stream.on('close', onClose);
  stream.on('error', onError);
  call.begin(headers);
}

function onData(this: CallStream, chunk: Buffer): void {
  this[calls].data(chunk);
}
function onEnd(this: CallStream): void {
  this[calls].ended();
}
function onClose(this: CallStream): void {
  this[calls].gone();
}
/** Resets by the peer; `close` follows. */
function onError(this: CallStream): void {}
function onWantTrailers(this: CallStream): void {
  this[calls].sendTrailers();
}
function onDrain(this: CallStream): void {
  this[calls].drained();
}

class Http2Call implements StreamCall<object> {
  readonly #stream: ServerHttp2Stream;
  readonly #path: string;
  readonly #method: Method | undefined;
  readonly #host: CallHost;
  readonly #credentials: Credentials;
  readonly #frames: FrameReader;
  /** Monotonic; Infinity without one. */
  #deadlineMs = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #handler: StreamHandler<object> | undefined;
  /** Of a unary call, until the client has said all. */
  #message: Buffer | undefined;
  #listeners: (() => void)[] | undefined;
  #trailers: Readonly<Record<string, string>> = okTrailers;
  #isOver = false;
  isGone = false;

  constructor(
    stream: ServerHttp2Stream,
    path: string,
    method: Method | undefined,
    host: CallHost,
    credentials: Credentials,
  ) {
    this.#stream = stream;
    this.#credentials = credentials;
    this.#path = path;
    this.#method = method;
    this.#host = host;
    this.#frames = new FrameReader(host.messageBytesMax);
  }

  begin(headers: IncomingHttpHeaders): void {
    const method = this.#method;
    if (!method) return this.end(unserved(this.#path));
    this.#host.counts.started(this.#path, method.type);
    const encoding = headers['grpc-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      const what = `grpc: compression "${String(encoding)}" is not supported by this server`;
      return this.end(new GrpcError(code.unimplemented, what));
    }
    const timeout = headers['grpc-timeout'];
    if (timeout !== undefined && !this.#setDeadline(String(timeout), method)) return;
    if (!isText(headers['client-api-version'])) return this.end(errors.invalidClientApiVersion());
    const needsLeader = headers['hasleader'] === 'true';
    if (needsLeader && !this.#host.hasLeader()) return this.end(errors.noLeader());
    if (method.type === 'stream' || method.waits === true) {
      this.#host.longCalls.add(this as StreamCall<never>);
    }
    if (method.type === 'unary') return;
    if (needsLeader) this.#host.leaderStreams.add(this as StreamCall<never>);
    this.#stream.on('wantTrailers', onWantTrailers);
    this.#stream.on('drain', onDrain);
    // At once: clients wait for the headers before they take the stream for open.
    this.#stream.respond(okHeaders, respondOptions);
    this.#handler = (method as StreamMethod).open(this);
  }

  timeoutMs(): number {
    const left = this.#deadlineMs - this.#host.clock.monotonicMs();
    return Math.max(1, Math.min(left, this.#host.requestTimeoutMs));
  }

  stores(): CallerStores | Promise<CallerStores> {
    return this.#host.storesOf(this.#credentials);
  }

  onGone(listener: () => void): void {
    if (this.isGone || this.#isOver) listener();
    else (this.#listeners ??= []).push(listener);
  }

  data(chunk: Buffer): void {
    if (this.#isOver) return;
    try {
      this.#frames.push(chunk);
      for (;;) {
        const message = this.#frames.next();
        if (message === undefined) return;
        if (this.#handler) this.#handler.message(this.#decode(message));
        else if (this.#message === undefined) this.#message = message;
        else
          throw new GrpcError(code.internal, 'grpc: a unary call takes one message, this one brought more');
        if (this.#isOver) return;
      }
    } catch (error) {
      this.end(toGrpcError(error));
    }
  }

  /** The client has said all. */
  ended(): void {
    if (this.#isOver) return;
    if (this.#frames.hasRest) {
      return this.end(new GrpcError(code.internal, 'grpc: the request ends in the middle of a message'));
    }
    if (this.#handler) return this.#handler.finished();
    if (this.#message === undefined) {
      return this.end(new GrpcError(code.internal, 'grpc: the request has no message'));
    }
    void this.#serve(this.#method as UnaryMethod, this.#message);
  }

  async #serve(method: UnaryMethod, message: Buffer): Promise<void> {
    this.#message = undefined;
    try {
      const response = await method.serve(this.#decode(message), this);
      if (this.#isOver || this.#isCut()) return;
      const frame = sealFrame(method.response.encode(response, framePrefixBytes));
      this.#over(code.ok);
      this.#stream.on('wantTrailers', onWantTrailers);
      this.#stream.respond(okHeaders, respondOptions);
      this.#stream.end(frame);
    } catch (error) {
      const late = this.#host.clock.monotonicMs() >= this.#deadlineMs;
      this.end(late ? errors.deadlineExceeded(error) : toGrpcError(error));
    }
  }

  send(response: object): boolean {
    if (this.#isOver || this.#isCut()) return false;
    const frame = sealFrame((this.#method as StreamMethod).response.encode(response, framePrefixBytes));
    this.#stream.write(frame);
    return this.#stream.writableLength < etcdLimits.watchBacklogBytesMax;
  }

  end(error?: GrpcError): void {
    if (this.#isOver || this.#isCut()) return;
    this.#over(error?.code ?? code.ok);
    if (error) this.#host.onError(error, this.#path);
    const trailers = error
      ? { 'grpc-status': String(error.code), 'grpc-message': percentEncoded(error.message) }
      : okTrailers;
    const trailersAlone = !this.#stream.headersSent;
    if (!trailersAlone) {
      this.#trailers = trailers;
      this.#stream.end();
    } else {
      this.#stream.respond({ ...okHeaders, ...trailers }, noSettings);
    }
    // Whatever else the client says is not read by anybody.
    this.#stream.resume();
    if (trailersAlone) this.#resetReader();
  }

  sendTrailers(): void {
    if (this.#stream.destroyed || this.#stream.closed) return;
    this.#stream.sendTrailers(this.#trailers);
    this.#resetReader();
  }

  drained(): void {
    if (!this.#isOver) this.#handler?.drained?.();
  }

  gone(): void {
    this.isGone = true;
    this.#over(code.canceled);
  }

  /** The peer reset the stream or is gone: nothing can be said any more, and `close` follows or was there. */
  #isCut(): boolean {
    return this.isGone || this.#stream.destroyed || this.#stream.closed;
  }

  /** The answer is complete: a client that has not said all need not (RFC 9113 §8.1). */
  #resetReader(): void {
    if (this.#stream.readableEnded) return;
    // In a later turn: a reset overtakes trailers of the same turn.
    this.#host.clock.defer(() => this.#stream.close());
  }

  /** Nothing more comes of this call. */
  #over(how: GrpcCode): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#host.counts.ended(this.#path, how);
    this.#timer?.cancel();
    this.#host.leaderStreams.delete(this as StreamCall<never>);
    this.#host.longCalls.delete(this as StreamCall<never>);
    const listeners = this.#listeners;
    this.#listeners = undefined;
    if (listeners) for (const listener of listeners) listener();
  }

  #decode(message: Buffer): object {
    if (message.length > this.#host.requestBytesMax) throw errors.requestTooLarge();
    try {
      return this.#method!.request.decode(message);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      const text = `grpc: error unmarshalling request: ${error.message}`;
      throw new GrpcError(code.internal, text, { cause: error });
    }
  }

  /** False when the deadline cannot be read or has passed: the call is over. */
  #setDeadline(timeout: string, method: Method): boolean {
    const timeoutMs = parseTimeout(timeout);
    if (timeoutMs === undefined) {
      this.end(new GrpcError(code.internal, `grpc: malformed grpc-timeout ${JSON.stringify(timeout)}`));
      return false;
    }
    this.#deadlineMs = this.#host.clock.monotonicMs() + timeoutMs;
    if (method.type === 'unary' && method.waits !== true) return true;
    this.#timer = this.#host.clock.setTimer(Math.min(timeoutMs, etcdLimits.deadlineMaxMs), () => {
      this.end(errors.deadlineExceeded());
    });
    return true;
  }
}

/** Headers come as one code unit for each byte; as text they are UTF-8, or none. */
function isText(header: string | readonly string[] | undefined): boolean {
  return header === undefined || isUtf8(Buffer.from(String(header), 'latin1'));
}

const noCredentials: Credentials = { token: undefined, commonName: undefined };

/** etcd's names for a token. What comes through etcd's HTTP gateway has the gateway's certificate (CVE-2018-16886). */
function credentialsOf(headers: IncomingHttpHeaders, commonName: string | undefined): Credentials {
  const token = headers['token'] ?? headers['authorization'];
  if (token === undefined && commonName === undefined) return noCredentials;
  const isGateway = headers['grpcgateway-accept'] !== undefined;
  return {
    token: token === undefined ? undefined : String(token).replace(/^Bearer /, ''),
    commonName: isGateway ? undefined : commonName,
  };
}

const unitsMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** `grpc-timeout` in milliseconds; undefined when it is none. */
export function parseTimeout(timeout: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(timeout);
  return match ? Number(match[1]) * unitsMs[match[2]!]! : undefined;
}

/** As gRPC wants it in `grpc-message`: printable ASCII, the rest as %XX of UTF-8. */
export function percentEncoded(text: string): string {
  if (/^[\x20-\x24\x26-\x7e]*$/.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
