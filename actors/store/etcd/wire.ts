/**
 * Protocol buffers on the wire: varints, tags and lengths (protobuf.dev, "Encoding"). The writer goes backwards, from the end
 * of its buffer to the start, so that the length of what is nested is known when it is written and nothing is measured twice.
 * 64-bit integers are JavaScript numbers: the ones beyond 2^53 are read as the nearest number. No revision gets there; ids of
 * leases do, and are read and written exactly.
 */
export type WireType = 0 | 1 | 2 | 5;

/** What was sent is not the message that it should be. */
export class WireError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'WireError';
  }
}

const two32 = 4_294_967_296;

export class WireReader {
  readonly bytes: Buffer;
  position: number;
  end: number;

  constructor(bytes: Buffer, position = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = position;
    this.end = end;
  }

  /** An unsigned 32-bit varint: tags, lengths. */
  uint32(): number {
    const { bytes } = this;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.position >= this.end) throw truncated();
      const byte = bytes[this.position++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new WireError('a varint of more than five bytes where a 32-bit one belongs');
  }

  int64(): number {
    const { low, high } = this.#words();
    return number64(low, high | 0);
  }

  /** To the last bit: a bigint where a number does not hold it. */
  exactInt64(): number | bigint {
    const { low, high } = this.#words();
    // 32 bits above, 21 of them in a number.
    if (high < 0x20_0000) return high * two32 + low;
    const whole = BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
    const short = Number(whole);
    return Number.isSafeInteger(short) ? short : whole;
  }

  uint64(): number {
    const { low, high } = this.#words();
    return high * two32 + low;
  }

  /** Where a length-delimited field ends; `position` stands at its start. */
  lengthEnd(): number {
    const end = this.uint32() + this.position;
    if (end > this.end) throw truncated();
    return end;
  }

  skip(wireType: number): void {
    if (wireType === 0) this.#words();
    else if (wireType === 2) this.position = this.lengthEnd();
    else if (wireType === 1 || wireType === 5) {
      this.position += wireType === 1 ? 8 : 4;
      if (this.position > this.end) throw truncated();
    } else throw new WireError(`wire type ${wireType} is not in use`);
  }

  #words(): { low: number; high: number } {
    const { bytes } = this;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.position >= this.end) throw truncated();
      const byte = bytes[this.position++]!;
      const seven = byte & 0x7f;
      if (shift < 28) low |= seven << shift;
      else if (shift === 28) {
        low |= seven << 28;
        high = seven >>> 4;
      } else if (shift < 63) high |= seven << (shift - 32);
      else high |= (seven & 1) << 31;
      if (byte < 0x80) return { low: low >>> 0, high: high >>> 0 };
    }
    throw new WireError('a varint of more than ten bytes');
  }
}

function truncated(): WireError {
  return new WireError('the message ends in the middle of a field');
}

function number64(low: number, high: number): number {
  return high * two32 + low;
}

/** Fill it from the last field to the first, then take what was written with `take`. */
export class WireWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #position = this.#buffer.length;

  /** Bytes written since `take`. */
  get length(): number {
    return this.#buffer.length - this.#position;
  }

  /** A copy of what was written, behind `prefixBytes` bytes for the caller; the writer is empty afterwards. */
  take(prefixBytes: number): Buffer {
    const taken = Buffer.allocUnsafe(prefixBytes + this.length);
    this.#buffer.copy(taken, prefixBytes, this.#position);
    if (this.#buffer.length > keptBytesMax) this.#buffer = Buffer.allocUnsafeSlow(64 * 1024);
    this.#position = this.#buffer.length;
    return taken;
  }

  /** Forgets what was written. */
  clear(): void {
    this.#position = this.#buffer.length;
  }

  varint(value: number): void {
    if (value >= 0 && value < 0x80) {
      this.#reserve(1);
      this.#buffer[--this.#position] = value;
      return;
    }
    if (value < 0) return this.#wide(BigInt(value));
    let length = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length += 1;
    this.#reserve(length);
    this.#position -= length;
    let at = this.#position;
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[at] = rest;
  }

  /** As `varint`, of what `exactInt64` reads. */
  exactInt64(value: number | bigint): void {
    if (typeof value === 'number') this.varint(value);
    else this.#wide(value);
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#position -= value.length;
    this.#buffer.set(value, this.#position);
  }

  /** Of a byte string: one UTF-16 code unit per byte. */
  latin1(value: string): void {
    this.#reserve(value.length);
    this.#position -= value.length;
    this.#buffer.write(value, this.#position, 'latin1');
  }

  utf8(value: string): void {
    const length = Buffer.byteLength(value);
    this.#reserve(length);
    this.#position -= length;
    this.#buffer.write(value, this.#position, 'utf8');
  }

  /** Two's complement in 64 bits: ten bytes for what is negative. */
  #wide(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    const digits: number[] = [];
    for (; rest > 0x7fn; rest >>= 7n) digits.push(Number(rest & 0x7fn) | 0x80);
    digits.push(Number(rest));
    this.bytes(Uint8Array.from(digits));
  }

  #reserve(length: number): void {
    if (length <= this.#position) return;
    const written = this.length;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, written + length + 1024));
    this.#buffer.copy(grown, grown.length - written, this.#position);
    this.#position = grown.length - written;
    this.#buffer = grown;
  }
}

const keptBytesMax = 4 * 1024 * 1024;
