/**
 * Appends numbers, strings and bytes to a growing buffer: the writing half of every binary format in raft/.
 * Integers are LEB128 varints (as in protocol buffers), fixed-width numbers are little-endian.
 */
import { strict as assert } from 'node:assert';

export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(capacityBytes = 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(capacityBytes);
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  u8(value: number): void {
    this.#room(1);
    this.#buffer[this.#length++] = value;
  }

  u32(value: number): void {
    this.#room(4);
    this.#length = this.#buffer.writeUInt32LE(value >>> 0, this.#length);
  }

  f64(value: number): void {
    this.#room(8);
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
  }

  /** A non-negative safe integer in 1 to 8 bytes. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, `not a non-negative safe integer: ${value}`);
    this.#room(8);
    const buffer = this.#buffer;
    let at = this.#length;
    let rest = value;
    while (rest > 0x7fffffff) {
      buffer[at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      buffer[at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    buffer[at++] = rest;
    this.#length = at;
  }

  /** A 64-bit signed integer, two's complement as in protocol buffers: one that `varint` takes is written as that does it. */
  int64(value: number | bigint): void {
    if (typeof value === 'number' && value >= 0) return this.varint(value);
    this.#room(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 0x7fn; rest >>= 7n) this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80;
    this.#buffer[this.#length++] = Number(rest);
  }

  /** Raw bytes without a length. */
  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Length, then bytes. */
  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** Length, then one byte per UTF-16 code unit: the caller has checked that all are below 256. */
  latin1(text: string): void {
    this.varint(text.length);
    this.#room(text.length);
    this.#length += this.#buffer.write(text, this.#length, 'latin1');
  }

  utf8(text: string): void {
    const length = Buffer.byteLength(text, 'utf8');
    this.varint(length);
    this.#room(length);
    this.#length += this.#buffer.write(text, this.#length, 'utf8');
  }

  /** Overwrites four bytes written earlier (a length or a checksum that was not known yet). */
  patchU32(at: number, value: number): void {
    this.#buffer.writeUInt32LE(value >>> 0, at);
  }

  /** What was written, without a copy: valid until the next call on this writer. */
  view(from = 0): Uint8Array {
    return this.#buffer.subarray(from, this.#length);
  }

  /** A copy of its own, a plain `Uint8Array`. */
  toBytes(): Uint8Array {
    return new Uint8Array(this.#buffer.subarray(0, this.#length));
  }

  #room(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
