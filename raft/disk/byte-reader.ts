/**
 * The reading half of `ByteWriter`: every read is checked, a short or malformed input throws
 * `MalformedBytes`.
 */

/**
 * The input ended early or holds an impossible value; whoever knows what was being read says so in its own
 * error.
 */
export class MalformedBytes extends Error {
  readonly code = 'MalformedBytes';
  readonly definite = true;
  readonly offset: number;

  constructor(what: string, offset: number) {
    super(`byte ${offset}: ${what}`);
    this.name = 'MalformedBytes';
    this.offset = offset;
  }
}

export class ByteReader {
  readonly #buffer: Buffer;
  #at: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = offset;
  }

  get offset(): number {
    return this.#at;
  }

  get done(): boolean {
    return this.#at >= this.#buffer.length;
  }

  /** Whether a zero byte comes next, which stays to be read. */
  peekIsZero(): boolean {
    return this.#buffer[this.#at] === 0;
  }

  u8(): number {
    return this.#buffer[this.#take(1)]!;
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  f64(): number {
    return this.#buffer.readDoubleLE(this.#take(8));
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let length = 0; length < 8; length++) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (!Number.isSafeInteger(value)) this.fail('an integer above 2^53');
        return value;
      }
      scale *= 128;
    }
    return this.fail('an integer longer than 8 bytes');
  }

  /** As `ByteWriter.int64` wrote it: a number up to 2^49, a bigint beyond that. */
  int64(): number | bigint {
    let value = 0;
    let scale = 1;
    for (let length = 0; length < 7; length++) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    let wide = BigInt(value);
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.u8();
      wide |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asIntN(64, wide);
    }
    return this.fail('an integer longer than 64 bits');
  }

  /** A view of the next `length` bytes, not a copy. */
  raw(length: number): Uint8Array {
    const from = this.#take(length);
    return this.#buffer.subarray(from, from + length);
  }

  /** A copy of its own, so that the input can be let go; a plain `Uint8Array`. */
  bytes(): Uint8Array {
    return new Uint8Array(this.raw(this.varint()));
  }

  /** As `bytes`, but a view that keeps the input alive: ten times as fast. */
  view(): Uint8Array {
    const length = this.varint();
    const from = this.#take(length);
    return new Uint8Array(this.#buffer.buffer, this.#buffer.byteOffset + from, length);
  }

  latin1(): string {
    const length = this.varint();
    const from = this.#take(length);
    return this.#buffer.toString('latin1', from, from + length);
  }

  utf8(): string {
    const length = this.varint();
    const from = this.#take(length);
    return this.#buffer.toString('utf8', from, from + length);
  }

  expectEnd(): void {
    if (!this.done) this.fail(`${this.#buffer.length - this.#at} bytes too many`);
  }

  fail(what: string): never {
    throw new MalformedBytes(what, this.#at);
  }

  #take(length: number): number {
    const from = this.#at;
    if (length > this.#buffer.length - from) {
      this.fail(`${length} bytes expected, ${this.#buffer.length - from} left`);
    }
    this.#at = from + length;
    return from;
  }
}
