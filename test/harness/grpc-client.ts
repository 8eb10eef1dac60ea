/** A small client of gRPC over plaintext HTTP/2, with the message tables of the front: says what the server said, to the letter. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type SecureClientSessionOptions,
} from 'node:http2';
import { FrameReader, framePrefixBytes, sealFrame } from '../../actors/store/etcd/frames.js';
import type { Schema } from '../../actors/store/etcd/message.js';
import { waitFor } from '../../deploy/wait.js';

const answerBytesMax = 64 * 1024 * 1024;

export class GrpcFailure extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'GrpcFailure';
    this.code = code;
  }
}

export class GrpcClient {
  readonly #session: ClientHttp2Session;

  /** `http://host:port`, or `https:` with certificates. */
  constructor(endpoint: string, tls: SecureClientSessionOptions = {}) {
    this.#session = connect(endpoint, { ...tls, settings: { initialWindowSize: 1 << 20 } });
    this.#session.on('error', () => {});
  }

  /** Its connection broke, or could not be made. */
  get isClosed(): boolean {
    return this.#session.closed || this.#session.destroyed;
  }

  async unary<Q extends object, R extends object>(
    path: string,
    schemas: readonly [Schema<Q>, Schema<R>],
    request: Partial<Q>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<R> {
    const call = this.stream(path, schemas, headers);
    call.send(request);
    call.finish();
    const status = await call.status;
    if (status.code !== 0) throw new GrpcFailure(status.code, status.message);
    const [answer] = call.received;
    if (!answer || call.received.length > 1) throw new Error(`${path} gave ${call.received.length} answers`);
    return answer;
  }

  stream<Q extends object, R extends object>(
    path: string,
    schemas: readonly [Schema<Q>, Schema<R>],
    headers: Readonly<Record<string, string>> = {},
  ): GrpcStream<Q, R> {
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    return new GrpcStream(stream, schemas);
  }

  /** Bytes as they are, for what a proper client never sends. */
  raw(path: string, body: Buffer, headers: Readonly<Record<string, string>> = {}): Promise<GrpcStatus> {
    const empty = { decode: () => ({}) } as unknown as Schema<object>;
    const call = this.stream(path, [empty, empty], headers);
    call.stream.end(body);
    return call.status;
  }

  close(): void {
    this.#session.destroy();
  }
}

export interface GrpcStatus {
  readonly code: number;
  readonly message: string;
}

export class GrpcStream<Q extends object, R extends object> {
  readonly stream: ClientHttp2Stream;
  readonly received: R[] = [];
  onMessage: (message: R) => void = () => {};
  readonly status: Promise<GrpcStatus>;
  readonly #request: Schema<Q>;

  constructor(stream: ClientHttp2Stream, [request, response]: readonly [Schema<Q>, Schema<R>]) {
    this.stream = stream;
    this.#request = request;
    const frames = new FrameReader(answerBytesMax);
    let status: GrpcStatus = { code: -1, message: 'the call ended without a status' };
    const note = (headers: Readonly<Record<string, unknown>>) => {
      if (headers['grpc-status'] === undefined) return;
      const message = decodeURIComponent(String(headers['grpc-message'] ?? ''));
      status = { code: Number(headers['grpc-status']), message };
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('data', (chunk: Buffer) => {
      frames.push(chunk);
      for (let next = frames.next(); next !== undefined; next = frames.next()) {
        const message = response.decode(Buffer.from(next));
        this.received.push(message);
        this.onMessage(message);
      }
    });
    stream.on('error', () => {});
    this.status = new Promise((resolve) => stream.on('close', () => resolve(status)));
  }

  send(request: Partial<Q>): void {
    this.stream.write(sealFrame(this.#request.encode(request, framePrefixBytes)));
  }

  finish(): void {
    this.stream.end();
  }

  cancel(): void {
    this.stream.close(8);
  }

  /** The messages so far, once they are as wanted. */
  async until(
    what: string,
    holds: (received: readonly R[]) => boolean,
    timeoutMs = 10_000,
  ): Promise<readonly R[]> {
    await waitFor(what, timeoutMs, async () => holds(this.received), 10);
    return this.received;
  }
}
