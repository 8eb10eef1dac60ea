/** A client that now and then writes long values, one after the other, reads them all at once, and deletes most of them. */
import type { StoreGroup } from './store-group.js';
import type { Writer } from './writer.js';

export class LargeValues {
  readonly #group: StoreGroup;
  readonly #writer: Writer;
  #isBusy = false;
  /** What it has written stays in the history of the store for a while: all of it together is bounded. */
  #bytesLeft = 400_000;

  constructor(group: StoreGroup, writer: Writer) {
    this.#group = group;
    this.#writer = writer;
    group.writeLarge = (count, bytes) => {
      if (!this.#isBusy) void this.#write(count, bytes);
    };
  }

  /** It has its last answer. */
  get isIdle(): boolean {
    return !this.#isBusy;
  }

  async #write(count: number, bytes: number): Promise<void> {
    if (this.#bytesLeft < count * bytes) return;
    this.#bytesLeft -= count * bytes;
    this.#isBusy = true;
    const keys = Array.from({ length: count }, (_, at) => `/large/${at}`);
    const steps = [
      ...keys.map((key) => () => this.#writer.putLong(key, bytes)),
      () => this.#writer.read(keys),
      ...keys.slice(1).map((key) => () => this.#writer.delete(key)),
    ];
    for (const step of steps) if (!this.#group.isHealed) await step();
    this.#isBusy = false;
  }
}
