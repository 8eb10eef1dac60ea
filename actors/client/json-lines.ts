/**
 * Cuts a watch stream into JSON values: one object per line, chunks cut anywhere, also inside a UTF-8
 * character (Kubernetes API concepts: efficient detection of changes).
 */
const newline = 0x0a;

export class JsonLines {
  readonly #lineBytesMax: number;
  #parts: Uint8Array[] = [];
  #length = 0;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** The values of all lines that `chunk` completes. Throws on a line that is too long or not JSON. */
  push(chunk: Uint8Array): unknown[] {
    const values: unknown[] = [];
    let from = 0;
    for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
      this.#keep(chunk.subarray(from, at));
      const value = this.#take();
      if (value !== undefined) values.push(value);
      from = at + 1;
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from));
    return values;
  }

  /** Bytes of a line that has not ended yet. */
  get pendingBytes(): number {
    return this.#length;
  }

  #keep(part: Uint8Array): void {
    this.#length += part.length;
    if (this.#length > this.#lineBytesMax) {
      throw new RangeError(`a line of the stream exceeds ${this.#lineBytesMax} bytes`);
    }
    this.#parts.push(part);
  }

  #take(): unknown {
    const line = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#length = 0;
    const text = Buffer.from(line.buffer, line.byteOffset, line.length).toString('utf8').trim();
    return text === '' ? undefined : JSON.parse(text);
  }
}
