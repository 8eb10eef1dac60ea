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

/** Cuts what arrives into messages. What belongs to one message is joined once, when all of it is there. */
export class FrameReader {
  readonly #bytesMax: number;
  #pending: Buffer = nothing;
  #position = 0;
  /** What arrived behind `pending`. */
  #later: Buffer[] = [];
  #laterBytes = 0;

  /** `bytesMax`: of one message. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Buffer): void {
    if (this.hasRest) {
      this.#later.push(chunk);
      this.#laterBytes += chunk.length;
    } else {
      this.#pending = chunk;
      this.#position = 0;
    }
  }

  /** Undefined until the rest of a message arrives. Throws GrpcError for what cannot be read. */
  next(): Buffer | undefined {
    if (!this.#gather(framePrefixBytes)) return undefined;
    if (this.#pending[this.#position] !== 0) {
      throw new GrpcError(code.unimplemented, 'grpc: compressed messages are not supported by this server');
    }
    const length = this.#pending.readUInt32BE(this.#position + 1);
    if (length > this.#bytesMax) {
      const text = `grpc: received message larger than max (${length} vs. ${this.#bytesMax})`;
      throw new GrpcError(code.resourceExhausted, text);
    }
    if (!this.#gather(framePrefixBytes + length)) return undefined;
    const from = this.#position + framePrefixBytes;
    this.#position = from + length;
    const message = this.#pending.subarray(from, from + length);
    if (this.#position === this.#pending.length && this.#laterBytes > 0) this.#join();
    return message;
  }

  /** Whether a message has begun to arrive. */
  get hasRest(): boolean {
    return this.#position < this.#pending.length;
  }

  /** Whether so many bytes are there; then they lie in `pending`. */
  #gather(length: number): boolean {
    const here = this.#pending.length - this.#position;
    if (here >= length) return true;
    if (here + this.#laterBytes < length) return false;
    this.#join();
    return true;
  }

  #join(): void {
    this.#pending = Buffer.concat([this.#pending.subarray(this.#position), ...this.#later]);
    this.#position = 0;
    this.#later = [];
    this.#laterBytes = 0;
  }
}
