/**
 * A stretch of memory in which the values of many versions lie one after another, and later a file of the same bytes. Written
 * once from front to back, then never changed; when no version refers to it any more, it goes as a whole.
 */
import type { SlabFile } from './value-files.js';

export class Slab {
  /** Null: the bytes are in the file alone. */
  bytes: Uint8Array | null;
  /** Durable. Null: the bytes are in memory alone. */
  file: SlabFile | null;
  /** Filled up to here. */
  used: number;
  /** Of these, what versions refer to. */
  liveBytes = 0;
  /** No more is added. */
  isSealed: boolean;
  /** On its way to a file. */
  isFiling = false;
  /** What is left of it is being moved elsewhere. */
  isSparse = false;

  private constructor(bytes: Uint8Array | null, file: SlabFile | null) {
    this.bytes = bytes;
    this.file = file;
    this.used = file?.length ?? 0;
    this.isSealed = bytes === null;
  }

  static empty(lengthMax: number): Slab {
    return new Slab(new Uint8Array(lengthMax), null);
  }

  static of(file: SlabFile): Slab {
    return new Slab(null, file);
  }

  /** Of versions without a value. */
  static readonly none = new Slab(null, null);

  /** Of the memory that it takes. */
  get residentBytes(): number {
    return this.bytes?.length ?? 0;
  }

  get deadBytes(): number {
    return this.used - this.liveBytes;
  }

  hasRoom(length: number): boolean {
    return !this.isSealed && this.used + length <= this.residentBytes;
  }

  /** Returns where `value` begins. */
  append(value: Uint8Array): number {
    const at = this.used;
    this.bytes!.set(value, at);
    this.used += value.length;
    this.liveBytes += value.length;
    return at;
  }
}
