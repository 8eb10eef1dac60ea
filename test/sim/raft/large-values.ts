/** A client that now and then writes long values, one after the other, reads them all at once, and deletes most of them. */
import type { StoreGroup } from './store-group.js';
import type { Writer } from './writer.js';

export class LargeValues {
  readonly #writer: Writer;
  #isBusy = false;
  /** What it has written stays in the history of the store for a while: all of it together is bounded. */
  #bytesLeft = 400_000;

  constructor(group: StoreGroup, writer: Writer) {
    this.#writer = writer;
    group.writeLarge = (count, bytes) => {
      if (!this.#isBusy && !group.isHealed) void this.#write(count, bytes);
    };
  }

  async #write(count: number, bytes: number): Promise<void> {
    if (this.#bytesLeft < count * bytes) return;
    this.#bytesLeft -= count * bytes;
    this.#isBusy = true;
    const keys = Array.from({ length: count }, (_, at) => `/large/${at}`);
    for (const key of keys) await this.#writer.putLong(key, bytes);
    await this.#writer.read(keys);
    for (const key of keys.slice(1)) await this.#writer.delete(key);
    this.#isBusy = false;
  }
}
