/**
 * The protobuf wire format, as much as Kubernetes messages need: varints, 64-bit and 32-bit values,
 * length-delimited bytes; groups are refused (protobuf.dev/programming-guides/encoding).
 */
import { ObjectError } from './errors.js';

export type WireType = 0 | 1 | 2 | 5;

export class WireReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#position >= this.#bytes.length;
  }

  tag(): { number: number; wire: WireType } {
    const tag = this.uint();
    const wire = tag & 7;
    const number = Math.floor(tag / 8);
    if (number === 0 || number > 0x1fffffff) throw malformed('illegal field number');
    if (wire !== 0 && wire !== 1 && wire !== 2 && wire !== 5) throw malformed(`illegal wire type ${wire}`);
    return { number, wire };
  }

  /** A varint as an unsigned number; one beyond 2^53 is malformed here. */
  uint(): number {
    const value = BigInt.asUintN(64, this.#varint());
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('integer overflow');
    return Number(value);
  }

  /** A varint as a signed 64-bit number. */
  int64(): number {
    const byte = this.#bytes[this.#position];
    if (byte !== undefined && byte < 0x80) {
      this.#position++;
      return byte;
    }
    const value = BigInt.asIntN(64, this.#varint());
    const number = Number(value);
    if (!Number.isSafeInteger(number)) {
      throw malformed(`${value} is beyond the integers that are kept exactly (2^53 - 1)`);
    }
    return number;
  }

  int32(): number {
    return Number(BigInt.asIntN(32, this.#varint()));
  }

  double(): number {
    this.#need(8);
    const value = this.#view.getFloat64(this.#position, true);
    this.#position += 8;
    return value;
  }

  bytes(): Uint8Array {
    const length = this.uint();
    this.#need(length);
    const slice = this.#bytes.subarray(this.#position, this.#position + length);
    this.#position += length;
    return slice;
  }

  skip(wire: WireType): void {
    switch (wire) {
      case 0:
        this.#varint();
        break;
      case 1:
        this.#need(8);
        this.#position += 8;
        break;
      case 2:
        this.bytes();
        break;
      case 5:
        this.#need(4);
        this.#position += 4;
        break;
      default:
        throw malformed(`illegal wire type ${String(wire satisfies never)}`);
    }
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#position++];
      if (byte === undefined) throw malformed('unexpected EOF');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw malformed('varint is longer than 10 bytes');
  }

  #need(bytes: number): void {
    if (this.#position + bytes > this.#bytes.length) throw malformed('unexpected EOF');
  }
}

export function malformed(detail: string): ObjectError {
  return new ObjectError('MALFORMED', `proto: ${detail}`);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws MALFORMED when the bytes are no UTF-8. */
export function textOf(bytes: Uint8Array | undefined): string {
  if (!bytes) return '';
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new ObjectError('MALFORMED', 'proto: a string is not valid UTF-8', { cause });
  }
}
