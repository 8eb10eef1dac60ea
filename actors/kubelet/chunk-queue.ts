/**
 * A bounded queue between one producer that can be paused (a pipe) and one consumer that iterates. It holds
 * what was produced before the producer noticed; `onPressure` tells the producer to stop and to go on.
 */
export class ChunkQueue<T> implements AsyncIterable<T> {
  readonly #sizeMax: number;
  readonly #sizeOf: (item: T) => number;
  readonly #onPressure: (paused: boolean) => void;
  readonly #items: T[] = [];
  #size = 0;
  #ended = false;
  #abandoned = false;
  #paused = false;
  #wake: (() => void) | undefined;

  constructor(sizeMax: number, sizeOf: (item: T) => number, onPressure: (paused: boolean) => void) {
    this.#sizeMax = sizeMax;
    this.#sizeOf = sizeOf;
    this.#onPressure = onPressure;
  }

  push(item: T): void {
    if (this.#ended || this.#abandoned) return;
    this.#items.push(item);
    this.#size += this.#sizeOf(item);
    this.#pressure();
    this.#wake?.();
  }

  /** No more items; what is queued is still delivered. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) {
          this.#size -= this.#sizeOf(item);
          this.#pressure();
          yield item;
        } else if (this.#ended) {
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = undefined;
        }
      }
    } finally {
      // The consumer has left: let the producer run freely, into nothing.
      this.#abandoned = true;
      this.#items.length = 0;
      this.#size = 0;
      this.#pressure();
    }
  }

  #pressure(): void {
    const paused = this.#size > this.#sizeMax;
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.#onPressure(paused);
  }
}
