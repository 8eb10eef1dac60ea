/**
 * A connection to one endpoint of etcd, an edge: gRPC over HTTP/2 (grpc.io, "gRPC over HTTP2") on node:http2, in plaintext or
 * over TLS. Calls ask for a member with a leader: one that is cut off refuses them before it does anything. While calls
 * run, pings find out whether the other side is still there.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectSession,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock, Timer } from '../../../transport/index.js';
import { FrameReader } from '../etcd/frames.js';
import { code, GrpcError, type GrpcCode } from '../etcd/status.js';
import {
  type CallStream,
  type Connect,
  type Connection,
  ConnectionError,
  type Endpoint,
  HungUpAfterHandshake,
  type StreamHandler,
} from './connection.js';
import type { EtcdClientLimits } from './limits.js';

export interface ClientTls {
  /** PEM; absent: the authorities that Node trusts. */
  readonly ca?: string;
  /** PEM, both or none: who we are. */
  readonly certificate?: string;
  readonly key?: string;
}

export interface Http2Options {
  readonly clock: Clock;
  readonly limits: EtcdClientLimits;
  /** Absent: plaintext. */
  readonly tls?: ClientTls;
}

export function http2Connect(options: Http2Options): Connect {
  return (endpoint) => open(endpoint, options);
}

function open(endpoint: Endpoint, options: Http2Options): Promise<Connection> {
  const { clock, limits, tls } = options;
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  return new Promise((resolve, reject) => {
    const socket = socketTo(endpoint, tls);
    const session = connectSession(`${tls ? 'https' : 'http'}://${host}:${endpoint.port}`, {
      createConnection: () => socket,
      maxSessionMemory: limits.http2SessionMemoryMaxMb,
      settings: { enablePush: false, initialWindowSize: limits.http2WindowBytes },
    });
    let settled = false;
    const isProven = provenTo(socket, tls);
    const fail = (error: ConnectionError) => {
      if (settled) return;
      settled = true;
      timer.cancel();
      session.destroy();
      reject(error);
    };
    const timer = clock.setTimer(limits.connectTimeoutMs, () =>
      fail(new ConnectionError(`no connection within ${limits.connectTimeoutMs} ms`, false)),
    );
    const failed = (cause: Error) => {
      const isReset = (cause as NodeJS.ErrnoException).code === 'ECONNRESET';
      const hasHungUp = isReset && isProven();
      fail(
        hasHungUp
          ? new HungUpAfterHandshake({ cause })
          : new ConnectionError(reasonOf(cause), false, { cause }),
      );
    };
    session.on('error', failed);
    // In TLS 1.3 a server refuses our certificate after the handshake; the session says nothing about that (Node 20).
    socket.on('error', failed);
    session.once('close', () =>
      fail(isProven() ? new HungUpAfterHandshake() : new ConnectionError('closed while connecting', false)),
    );
    // Only an HTTP/2 server sends settings; a TCP connection alone proves nothing.
    session.once('remoteSettings', () => {
      if (settled) return;
      settled = true;
      timer.cancel();
      session.setLocalWindowSize(limits.http2WindowBytes * 4);
      resolve(new Http2Connection(session, options));
    });
  });
}

function socketTo({ host, port }: Endpoint, tls: ClientTls | undefined): Socket {
  if (!tls) return connectTcp({ host, port, noDelay: true });
  return connectTls({
    host,
    port,
    ALPNProtocols: ['h2'],
    ...(isIP(host) === 0 && { servername: host }),
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...(tls.certificate !== undefined && { cert: tls.certificate }),
    ...(tls.key !== undefined && { key: tls.key }),
  });
}

/** Whether the handshake has ended in which we showed a certificate. */
function provenTo(socket: Socket, tls: ClientTls | undefined): () => boolean {
  let isOver = false;
  if (tls?.certificate !== undefined) socket.once('secureConnect', () => (isOver = true));
  return () => isOver;
}

function reasonOf(error: Error): string {
  // A name with several addresses gives an error of errors, without a text of its own.
  const inner = (error as AggregateError).errors?.[0] as Error | undefined;
  // OpenSSL's own text is its call stack.
  const { reason } = error as { readonly reason?: unknown };
  if (typeof reason === 'string' && error.message.includes('SSL routines')) return `TLS: ${reason}`;
  return error.message === '' && inner ? inner.message : error.message;
}

interface CallOptions {
  readonly timeoutMs?: number;
  readonly token?: string | undefined;
}

class Http2Connection implements Connection {
  readonly #session: ClientHttp2Session;
  readonly #clock: Clock;
  readonly #limits: EtcdClientLimits;
  #calls = 0;
  #pinging: Timer | undefined;
  #why = 'the connection was closed';

  constructor(session: ClientHttp2Session, { clock, limits }: Http2Options) {
    this.#session = session;
    this.#clock = clock;
    this.#limits = limits;
    session.on('error', (error: Error) => (this.#why = error.message));
    session.on('close', () => this.#pinging?.cancel());
  }

  get isOpen(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  onClose(listener: (why: string) => void): void {
    let told = false;
    const tell = () => {
      if (told) return;
      told = true;
      listener(this.#why);
    };
    this.#session.once('close', tell);
    // It lets its last calls end, but takes no more.
    this.#session.once('goaway', tell);
  }

  close(): void {
    this.#session.destroy();
  }

  unary(path: string, frame: Buffer, timeoutMs: number, token?: string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      let answer: Buffer | undefined;
      const timer = this.#clock.setTimer(timeoutMs, () => {
        call?.cancel();
        reject(new GrpcError(code.deadlineExceeded, `no answer within ${Math.round(timeoutMs)} ms`));
      });
      const call = this.#start(
        path,
        { timeoutMs, token },
        {
          message: (bytes) => {
            answer ??= bytes;
          },
          ended: (error) => {
            timer.cancel();
            if (!isOk(error)) reject(error);
            else if (answer) resolve(answer);
            else reject(new GrpcError(code.internal, `${path} ended well without an answer`));
          },
        },
      );
      call?.send(frame);
      call?.finish();
    });
  }

  stream(path: string, handler: StreamHandler, token?: string): CallStream {
    const call = this.#start(path, { token }, handler);
    return call ?? { send: () => {}, cancel: () => {} };
  }

  /** Undefined when the call could not begin; `ended` was told then. */
  #start(path: string, { timeoutMs, token }: CallOptions, handler: StreamHandler): Call | undefined {
    let stream: ClientHttp2Stream;
    try {
      stream = this.#session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        'user-agent': 'kabuki',
        hasleader: 'true',
        ...(token !== undefined && { token }),
        ...(timeoutMs !== undefined && { 'grpc-timeout': `${Math.max(1, Math.ceil(timeoutMs))}m` }),
      });
    } catch (cause) {
      handler.ended(new ConnectionError(this.#why, false, { cause }));
      return undefined;
    }
    this.#calls += 1;
    if (this.#calls === 1) this.#pingLater();
    return new Call(stream, this.#limits.answerBytesMax, {
      message: (bytes) => handler.message(bytes),
      ended: (error) => handler.ended(error),
      closed: () => {
        this.#calls -= 1;
        if (this.#calls === 0) this.#pinging?.cancel();
      },
      why: () => this.#why,
    });
  }

  #pingLater(): void {
    this.#pinging?.cancel();
    this.#pinging = this.#clock.setTimer(this.#limits.pingIntervalMs, () => this.#ping());
  }

  #ping(): void {
    if (!this.isOpen) return;
    const { pingTimeoutMs } = this.#limits;
    this.#pinging = this.#clock.setTimer(pingTimeoutMs, () => {
      this.#why = `no answer to a ping within ${pingTimeoutMs} ms`;
      this.#session.destroy();
    });
    this.#session.ping((error) => {
      if (!error && this.#calls > 0) this.#pingLater();
    });
  }
}

interface CallParts extends StreamHandler {
  closed(): void;
  /** Of the connection, if it is what ended the call. */
  why(): string;
}

class Call implements CallStream {
  readonly #stream: ClientHttp2Stream;
  readonly #parts: CallParts;
  readonly #frames: FrameReader;
  #status: GrpcError | undefined;
  #isOver = false;

  constructor(stream: ClientHttp2Stream, answerBytesMax: number, parts: CallParts) {
    this.#stream = stream;
    this.#parts = parts;
    this.#frames = new FrameReader(answerBytesMax);
    stream.on('response', (headers) => this.#head(headers));
    stream.on('trailers', (trailers) => this.#note(trailers));
    stream.on('data', (chunk: Buffer) => this.#data(chunk));
    // What went wrong is told by `close` and the code of the reset.
    stream.on('error', () => {});
    stream.on('close', () => this.#closed());
  }

  send(frame: Buffer): void {
    if (!this.#stream.destroyed && !this.#stream.closed) this.#stream.write(frame);
  }

  finish(): void {
    if (!this.#stream.destroyed && !this.#stream.closed) this.#stream.end();
  }

  cancel(): void {
    this.#isOver = true;
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #head(headers: IncomingHttpHeaders): void {
    const status = (headers as { ':status'?: number })[':status'];
    if (status === 200) return this.#note(headers);
    this.#fail(new GrpcError(code.unknown, `HTTP status ${status}: no gRPC server`));
  }

  #note(headers: IncomingHttpHeaders): void {
    const status = headers['grpc-status'];
    if (status === undefined || this.#status) return;
    this.#status = new GrpcError(
      Number(status) as GrpcCode,
      decodedText(String(headers['grpc-message'] ?? '')),
    );
  }

  #data(chunk: Buffer): void {
    if (this.#isOver) return;
    try {
      this.#frames.push(chunk);
      for (let next = this.#frames.next(); next !== undefined; next = this.#frames.next()) {
        this.#parts.message(next);
        if (this.#isOver) return;
      }
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      // Not a refusal by the server: what was asked may have been done.
      this.#fail(new ConnectionError(error.message, true, { cause: error }));
    }
  }

  /** What the other side says cannot be understood: nothing more is read of it. */
  #fail(error: Error): void {
    if (this.#isOver) return;
    this.cancel();
    this.#parts.ended(error);
  }

  #closed(): void {
    this.#parts.closed();
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#status) return this.#parts.ended(this.#status);
    // Never left, or refused before anybody looked at it (RFC 9113 §8.7): GOAWAY does that to those it does not serve.
    const sent = this.#stream.id !== undefined && this.#stream.rstCode !== constants.NGHTTP2_REFUSED_STREAM;
    this.#parts.ended(new ConnectionError(this.#parts.why(), sent));
  }
}

function isOk(error: Error): boolean {
  return error instanceof GrpcError && error.code === code.ok;
}

/** `%XX` of UTF-8, as `grpc-message` has it; as it stands when it is not that. */
function decodedText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
