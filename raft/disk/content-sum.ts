/**
 * The checksum of a snapshot's content, the same however it was cut up for writing: the content in blocks of
 * fixed size, the CRC-32C of each, and over these again a CRC-32C. So each block can be checked by itself, and
 * the whole costs no second pass over the bytes.
 */
import { crc32c } from './crc32c.js';

/** Part of the format: files on disk and members of other versions rely on it. */
export const CONTENT_BLOCK_BYTES = 256 * 1024;

/** Of one block; its number is part of it, so that a block in the wrong place is found out. */
export function blockSum(block: Uint8Array, number: number): number {
  return crc32c(block, number);
}

export class ContentSum {
  #sum = 0;
  #blocks = 0;

  get blocks(): number {
    return this.#blocks;
  }

  /** Over the blocks so far. */
  get value(): number {
    return this.#sum;
  }

  /** The checksum of the next block, which is full unless it is the last. */
  add(ofBlock: number): void {
    this.#sum = this.with(ofBlock);
    this.#blocks++;
  }

  /** What `value` would be with one more block. */
  with(ofBlock: number): number {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, ofBlock, true);
    return crc32c(bytes, this.#sum);
  }
}

export interface SummedBlock {
  readonly block: Uint8Array;
  readonly sum: number;
}

/** Cuts a stream of chunks into blocks, and sums them up. */
export class BlockCutter {
  /** Of the blocks that were handed out. */
  readonly sum = new ContentSum();
  #block = new Uint8Array(0);
  #filled = 0;

  /** Of all so far, with what is not a full block yet. */
  get checksum(): number {
    const { sum } = this;
    return this.#filled === 0 ? sum.value : sum.with(blockSum(this.#rest(), sum.blocks));
  }

  /** Full blocks, each to be used up before the next is asked for. */
  *add(chunk: Uint8Array): Generator<SummedBlock> {
    let at = 0;
    while (at < chunk.length) {
      const part = chunk.subarray(at, at + CONTENT_BLOCK_BYTES - this.#filled);
      this.#room(this.#filled + part.length);
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < CONTENT_BLOCK_BYTES) return;
      this.#filled = 0;
      yield this.#summed(this.#block);
    }
  }

  /** As `add`, where nobody wants the blocks. */
  sumUp(chunk: Uint8Array): void {
    const blocks = this.add(chunk);
    while (!blocks.next().done) continue;
  }

  /** The last block, if it is not empty. */
  *end(): Generator<SummedBlock> {
    if (this.#filled === 0) return;
    const last = this.#summed(this.#rest());
    this.#filled = 0;
    yield last;
  }

  #summed(block: Uint8Array): SummedBlock {
    const sum = blockSum(block, this.sum.blocks);
    this.sum.add(sum);
    return { block, sum };
  }

  /** Most snapshots of a simulation are small. */
  #room(needed: number): void {
    if (needed <= this.#block.length) return;
    const grown = new Uint8Array(Math.min(CONTENT_BLOCK_BYTES, Math.max(4096, 4 * needed)));
    grown.set(this.#block.subarray(0, this.#filled));
    this.#block = grown;
  }

  #rest(): Uint8Array {
    return this.#block.subarray(0, this.#filled);
  }
}
