/**
 * The server's side of a SPDY/3.1 connection, as Kubernetes clients open them for port-forward and, before
 * WebSockets, exec: the client opens streams, both sides write and end them. Those clients (moby/spdystream) keep no
 * flow-control windows, so there are none here: the owner pauses what carries the connection.
 */
import {
  dataFrame,
  goAwayFrame,
  pingFrame,
  readFrame,
  rstStatus,
  rstStreamFrame,
  type SpdyFrame,
  SpdyError,
  synReplyFrame,
} from './frames.js';
import { HeaderReader, type SpdyHeaders, HeaderWriter } from './header-blocks.js';

/** What carries the frames: a WebSocket or a socket. */
export interface ByteCarrier {
  send(bytes: Uint8Array): void;
  end(): void;
}

export interface SpdyLimits {
  readonly spdyFrameBytesMax: number;
  readonly spdyHeaderBytesMax: number;
  readonly spdyStreamsMax: number;
}

export interface SpdyEvents {
  /** False refuses the stream. Listeners must be set before this returns. */
  opened(stream: SpdyStream): boolean;
  /** The peer broke the protocol; the connection is ended. */
  failed(error: Error): void;
}

const serverPingId = 2;

export class SpdyConnection {
  readonly #carrier: ByteCarrier;
  readonly #limits: SpdyLimits;
  readonly #events: SpdyEvents;
  readonly #headersIn: HeaderReader;
  readonly #headersOut = new HeaderWriter();
  readonly #streams = new Map<number, SpdyStream>();
  #received: Buffer[] = [];
  #reading = false;
  #lastStreamId = 0;
  #closed = false;

  constructor(carrier: ByteCarrier, limits: SpdyLimits, events: SpdyEvents) {
    this.#carrier = carrier;
    this.#limits = limits;
    this.#events = events;
    this.#headersIn = new HeaderReader(limits.spdyHeaderBytesMax);
  }

  receive(bytes: Buffer): void {
    if (this.#closed) return;
    this.#received.push(bytes);
    if (!this.#reading) void this.#read();
  }

  /** Shows whether the peer is still there: a broken connection fails on it. */
  ping(): void {
    this.#send(pingFrame(serverPingId));
  }

  /** Says GOAWAY; streams hear nothing more. */
  close(): void {
    if (this.#closed) return;
    this.#carrier.send(goAwayFrame(this.#lastStreamId));
    this.#carrier.end();
    this.#finish();
  }

  /** What carried the frames is gone: every stream is told. */
  lost(): void {
    if (this.#closed) return;
    const streams = [...this.#streams.values()];
    this.#finish();
    for (const stream of streams) stream.onReset();
  }

  /** Headers inflate asynchronously and in order, so frames are taken one after the other. */
  async #read(): Promise<void> {
    this.#reading = true;
    try {
      let rest = Buffer.alloc(0);
      while (!this.#closed && this.#received.length > 0) {
        rest = Buffer.concat([rest, ...this.#received]);
        this.#received = [];
        for (;;) {
          const next = readFrame(rest, this.#limits.spdyFrameBytesMax);
          if (!next || this.#closed) break;
          rest = rest.subarray(next.length);
          if ('headerBlock' in next.frame) await this.#headed(next.frame);
          else this.#plain(next.frame);
        }
      }
      if (rest.length > 0) this.#received.unshift(rest);
    } catch (error) {
      if (this.#closed) return;
      this.#events.failed(error instanceof SpdyError ? error : new SpdyError('broken', { cause: error }));
      this.#carrier.end();
      this.lost();
    } finally {
      this.#reading = false;
    }
  }

  async #headed(frame: Extract<SpdyFrame, { headerBlock: Buffer }>): Promise<void> {
    // Read whatever the frame is: the blocks are one zlib stream.
    const headers = await this.#headersIn.read(frame.headerBlock);
    if (frame.type !== 'SynStream') {
      if (frame.fin) this.#streams.get(frame.streamId)?.ended();
      return;
    }
    const { streamId, fin } = frame;
    const full = this.#streams.size >= this.#limits.spdyStreamsMax;
    // Clients number their streams with rising odd numbers (§2.3.2).
    if (full || streamId <= this.#lastStreamId || streamId % 2 === 0) {
      this.#send(rstStreamFrame(streamId, full ? rstStatus.refusedStream : rstStatus.protocolError));
      return;
    }
    this.#lastStreamId = streamId;
    const stream = new SpdyStream(streamId, headers, {
      send: (bytes) => this.#send(bytes),
      done: () => this.#streams.delete(streamId),
    });
    this.#streams.set(streamId, stream);
    if (!this.#events.opened(stream)) {
      stream.reset(rstStatus.refusedStream);
      return;
    }
    this.#send(synReplyFrame(streamId, this.#headersOut.write(new Map())));
    if (fin) stream.ended();
  }

  #plain(frame: Exclude<SpdyFrame, { headerBlock: Buffer }>): void {
    switch (frame.type) {
      case 'Data': {
        const stream = this.#streams.get(frame.streamId);
        if (frame.bytes.length > 0) stream?.onData(frame.bytes);
        if (frame.fin) stream?.ended();
        break;
      }
      case 'RstStream': {
        const stream = this.#streams.get(frame.streamId);
        this.#streams.delete(frame.streamId);
        stream?.onReset();
        break;
      }
      case 'Ping':
        // Even numbers are answers to ours (§2.6.5).
        if (frame.id % 2 === 1) this.#send(pingFrame(frame.id));
        break;
      case 'GoAway':
      case 'Other':
        // The carrier's end follows a GOAWAY.
        break;
      default:
        frame satisfies never;
    }
  }

  #send(bytes: Uint8Array): void {
    if (!this.#closed) this.#carrier.send(bytes);
  }

  #finish(): void {
    this.#closed = true;
    this.#streams.clear();
    this.#received = [];
    this.#headersIn.close();
  }
}

interface StreamOwner {
  send(bytes: Uint8Array): void;
  /** Both directions have ended. */
  done(): void;
}

export class SpdyStream {
  readonly id: number;
  readonly headers: SpdyHeaders;
  onData: (bytes: Buffer) => void = () => {};
  onEnd: () => void = () => {};
  /** Broken off by the peer or with the connection; nothing follows. */
  onReset: () => void = () => {};
  readonly #owner: StreamOwner;
  #writable = true;
  #readable = true;

  constructor(id: number, headers: SpdyHeaders, owner: StreamOwner) {
    this.id = id;
    this.headers = headers;
    this.#owner = owner;
  }

  write(bytes: Uint8Array): void {
    if (this.#writable && bytes.length > 0) this.#owner.send(dataFrame(this.id, bytes));
  }

  end(): void {
    if (!this.#writable) return;
    this.#writable = false;
    this.#owner.send(dataFrame(this.id, Buffer.alloc(0), true));
    if (!this.#readable) this.#owner.done();
  }

  reset(status: number): void {
    this.#writable = false;
    this.#readable = false;
    this.#owner.send(rstStreamFrame(this.id, status));
    this.#owner.done();
  }

  /** For the connection: the peer has ended its direction. */
  ended(): void {
    if (!this.#readable) return;
    this.#readable = false;
    this.onEnd();
    if (!this.#writable) this.#owner.done();
  }
}
