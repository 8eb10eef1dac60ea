/**
 * Calls of gRPC for a tenth of what node:http2 takes for them, since on two cores a load takes from what it measures: HTTP/2 in
 * clear text (RFC 9113), frames written and read by hand. Header blocks that come in are not read: a unary call of gRPC that
 * succeeds has a message before its trailers, one that fails has none, and that is what is told apart.
 */
import { connect, type Socket } from 'node:net';
import { type Calls, framePrefixBytes } from './calls.js';
import { FrameReader, frame, frameFlags, frameHeadBytes, frameTypes } from './http2-frames.js';
import { RequestHeaders } from './request-headers.js';

interface Call {
  readonly path: string;
  readonly timer: NodeJS.Timeout | undefined;
  readonly resolve: (message: Buffer) => void;
  readonly reject: (error: Error) => void;
  message: Buffer | undefined;
}

export class LightCalls implements Calls {
  readonly #socket: Socket;
  readonly #headers: RequestHeaders;
  readonly #frames = new FrameReader();
  readonly #calls = new Map<number, Call>();
  #pending: Buffer[] = [];
  /** Frames of data that wait for their turn. */
  readonly #blocked: Buffer[] = [];
  #nextStream = 1;
  #sendWindow = 65_535;
  #receivedSinceUpdate = 0;
  #closedBy: Error | undefined;

  constructor(endpoint: string) {
    const { hostname, port, host } = new URL(endpoint);
    this.#headers = new RequestHeaders(host);
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('the connection ended')));
    this.#socket.write(preface);
  }

  call(path: string, body: Uint8Array, timeoutMs?: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#closedBy) return reject(this.#closedBy);
      const stream = this.#nextStream;
      this.#nextStream += 2;
      const cancel = () => {
        this.#send(frame(frameTypes.rstStream, 0, stream, uint32(cancelCode)));
        this.#end(stream, new Error(`${path} was not answered in ${timeoutMs} ms`));
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(cancel, timeoutMs);
      this.#calls.set(stream, { path, timer, resolve, reject, message: undefined });
      const data = Buffer.alloc(framePrefixBytes + body.length);
      data.writeUInt32BE(body.length, 1);
      data.set(body, framePrefixBytes);
      this.#send(frame(frameTypes.headers, frameFlags.endHeaders, stream, this.#headers.of(path)));
      this.#blocked.push(frame(frameTypes.data, frameFlags.endStream, stream, data));
      this.#sendData();
    });
  }

  close(): void {
    this.#fail(new Error('the client was closed'));
  }

  /** Written at the end of this turn, with all else of this turn. */
  #send(bytes: Buffer): void {
    this.#pending.push(bytes);
    if (this.#pending.length > 1) return;
    process.nextTick(() => {
      const batch = this.#pending;
      this.#pending = [];
      if (!this.#closedBy) this.#socket.write(Buffer.concat(batch));
    });
  }

  /** As far as the window of the connection goes; the window of a stream is wider than any request here. */
  #sendData(): void {
    for (let next = this.#blocked[0]; next; next = this.#blocked[0]) {
      const counted = next.length - frameHeadBytes;
      if (counted > this.#sendWindow) return;
      this.#sendWindow -= counted;
      this.#blocked.shift();
      this.#send(next);
    }
  }

  #receive(chunk: Buffer): void {
    for (const { type, flags, stream, payload } of this.#frames.read(chunk)) {
      if (type === frameTypes.data) {
        this.#receiveData(stream, payload);
        if (flags & frameFlags.endStream) this.#end(stream);
      } else if (type === frameTypes.headers) {
        if (flags & frameFlags.endStream) this.#end(stream);
      } else if (type === frameTypes.windowUpdate) {
        if (stream === 0) this.#sendWindow += payload.readUInt32BE(0);
        this.#sendData();
      } else if (type === frameTypes.rstStream) {
        this.#end(stream, new Error(`the server reset a stream (${payload.readUInt32BE(0)})`));
      } else if (type === frameTypes.goAway) {
        this.#fail(new Error(`the server says goodbye (${payload.readUInt32BE(4)})`));
      } else if (flags & frameFlags.ack) {
        // An answer to our own settings.
      } else if (type === frameTypes.settings) {
        this.#send(frame(frameTypes.settings, frameFlags.ack, 0, nothing));
      } else if (type === frameTypes.ping) {
        this.#send(frame(frameTypes.ping, frameFlags.ack, 0, payload));
      }
    }
  }

  #receiveData(stream: number, payload: Buffer): void {
    const call = this.#calls.get(stream);
    if (call) call.message = call.message ? Buffer.concat([call.message, payload]) : payload;
    this.#receivedSinceUpdate += payload.length;
    if (this.#receivedSinceUpdate < windowMax / 2) return;
    this.#send(frame(frameTypes.windowUpdate, 0, 0, uint32(this.#receivedSinceUpdate)));
    this.#receivedSinceUpdate = 0;
  }

  #end(stream: number, error?: Error): void {
    const call = this.#calls.get(stream);
    if (!call) return;
    this.#calls.delete(stream);
    clearTimeout(call.timer);
    if (error) call.reject(error);
    else if (call.message) call.resolve(call.message.subarray(framePrefixBytes));
    else call.reject(new Error(`${call.path} ended without a message`));
  }

  #fail(error: Error): void {
    this.#closedBy ??= error;
    for (const stream of this.#calls.keys()) this.#end(stream, this.#closedBy);
    this.#socket.destroy();
  }
}

const cancelCode = 8;
const nothing = Buffer.alloc(0);
const windowMax = 2 ** 31 - 1;
const initialWindowSize = 4;

/** Windows as wide as they go: what a server may send is bounded by what was asked. */
const preface = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'),
  frame(frameTypes.settings, 0, 0, Buffer.concat([uint16(initialWindowSize), uint32(windowMax)])),
  frame(frameTypes.windowUpdate, 0, 0, uint32(windowMax - 65_535)),
]);

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
