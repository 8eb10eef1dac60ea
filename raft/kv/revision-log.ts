/**
 * Every change since the last compaction in the order it happened: what watchers replay and what compaction
 * walks. A queue in chunks: appended at the tail, dropped from the head. Positions only grow and name a
 * record for good.
 */
import { strict as assert } from 'node:assert';
import type { Revision } from './types.js';
import type { Version } from './values/index.js';

const CHUNK_LENGTH = 4096;

export class RevisionLog {
  #chunks: Version[][] = [];
  /** Position of the first record of the first chunk. */
  #base = 0;
  #head = 0;
  #tail = 0;

  /** Position of the oldest record. */
  get head(): number {
    return this.#head;
  }

  /** Position after the newest record. */
  get tail(): number {
    return this.#tail;
  }

  at(position: number): Version {
    assert(position >= this.#head && position < this.#tail);
    const offset = position - this.#base;
    return this.#chunks[Math.floor(offset / CHUNK_LENGTH)]![offset % CHUNK_LENGTH]!;
  }

  push(kv: Version): void {
    const chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.length === CHUNK_LENGTH) this.#chunks.push([kv]);
    else chunk.push(kv);
    this.#tail++;
  }

  dropFirst(): void {
    assert(this.#head < this.#tail);
    this.#head++;
    if (this.#head - this.#base >= CHUNK_LENGTH) {
      this.#chunks.shift();
      this.#base += CHUNK_LENGTH;
    }
  }

  /** The records in [from, to) as they are now, whatever is pushed or dropped later. Costs a pointer per 4096. */
  view(from: number, to: number): RevisionLogView {
    assert(from >= this.#head && to <= this.#tail);
    const first = Math.floor((from - this.#base) / CHUNK_LENGTH);
    const chunks = this.#chunks.slice(first, Math.ceil((to - this.#base) / CHUNK_LENGTH));
    return new RevisionLogView(chunks, (from - this.#base) % CHUNK_LENGTH, to - from);
  }

  /** The position of the first record at or after `revision`; `tail` when there is none. */
  seek(revision: Revision): number {
    let low = this.#head;
    let high = this.#tail;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.at(middle).modRevision < revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Chunks are only ever appended to, so that sharing them is safe. */
export class RevisionLogView implements Iterable<Version> {
  readonly length: number;
  readonly #chunks: readonly (readonly Version[])[];
  readonly #offset: number;

  constructor(chunks: readonly (readonly Version[])[], offset: number, length: number) {
    this.#chunks = chunks;
    this.#offset = offset;
    this.length = length;
  }

  *[Symbol.iterator](): Generator<Version> {
    for (let at = this.#offset; at < this.#offset + this.length; at++) {
      yield this.#chunks[Math.floor(at / CHUNK_LENGTH)]![at % CHUNK_LENGTH]!;
    }
  }
}
