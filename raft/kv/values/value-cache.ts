/** Values read back from files, the latest used ones, within a budget of bytes. */
import type { Slab } from './slab.js';

/** An offset in a file stays below it. */
const FILE_STRIDE = 2 ** 28;

export class ValueCache {
  /** In the order of their last use. */
  readonly #values = new Map<number, Uint8Array>();
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(slab: Slab, offset: number): Uint8Array | undefined {
    const at = addressOf(slab, offset);
    const value = this.#values.get(at);
    if (value === undefined) return undefined;
    this.#values.delete(at);
    this.#values.set(at, value);
    return value;
  }

  add(slab: Slab, offset: number, value: Uint8Array): void {
    const at = addressOf(slab, offset);
    if (value.length > this.#bytesMax || this.#values.has(at)) return;
    this.#values.set(at, value);
    this.#bytes += value.length;
    for (const [oldest, { length }] of this.#values) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#values.delete(oldest);
      this.#bytes -= length;
    }
  }
}

/** Numbers of files are never used again, so what lay in one that is gone is not found, and goes in its turn. */
function addressOf({ file }: Slab, offset: number): number {
  return file!.number * FILE_STRIDE + offset;
}
