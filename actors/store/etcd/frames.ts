/**
 * gRPC's length-prefixed messages (grpc.io, "gRPC over HTTP2"): one byte that says whether the message is compressed, four
 * bytes of length, the message. Compression is refused: clients of etcd do not use it unless told to.
 */
import { code, GrpcError } from './status.js';

export const framePrefixBytes = 5;

/** Writes the prefix into the first bytes of a frame whose message is in place. */
export function sealFrame(frame: Buffer): Buffer {
  frame[0] = 0;
  frame.writeUInt32BE(frame.length - framePrefixBytes, 1);
  return frame;
}

const nothing = Buffer.alloc(0);

/** Cuts what arrives into messages. */
export class FrameReader {
  readonly #bytesMax: number;
  #pending: Buffer = nothing;
  #position = 0;

  /** `bytesMax`: of one message. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Buffer): void {
    if (this.#position >= this.#pending.length) this.#pending = chunk;
    else this.#pending = Buffer.concat([this.#pending.subarray(this.#position), chunk]);
    this.#position = 0;
  }

  /** Undefined until the rest of a message arrives. Throws GrpcError for what cannot be read. */
  next(): Buffer | undefined {
    const pending = this.#pending;
    const at = this.#position;
    if (pending.length - at < framePrefixBytes) return undefined;
    if (pending[at] !== 0) {
      throw new GrpcError(code.unimplemented, 'grpc: compressed messages are not supported by this server');
    }
    const length = pending.readUInt32BE(at + 1);
    if (length > this.#bytesMax) {
      const text = `grpc: received message larger than max (${length} vs. ${this.#bytesMax})`;
      throw new GrpcError(code.resourceExhausted, text);
    }
    const from = at + framePrefixBytes;
    if (pending.length - from < length) return undefined;
    this.#position = from + length;
    return pending.subarray(from, from + length);
  }

  /** Whether a message has begun to arrive. */
  get hasRest(): boolean {
    return this.#position < this.#pending.length;
  }
}
