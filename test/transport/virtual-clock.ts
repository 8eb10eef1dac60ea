/** Virtual time and seeded chance for the transport's own tests; the product's simulator has its own in `actors/`. */
import type { Clock, Random, Timer } from '../../transport/index.js';

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
  cancelled: boolean;
}

export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  #queue: Due[] = [];
  static readonly epochMs = 1_700_000_000_000;

  nowMs(): number {
    return VirtualClock.epochMs + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const due: Due = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#order++,
      callback,
      cancelled: false,
    };
    this.#queue.push(due);
    this.#queue.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
    return { cancel: () => (due.cancelled = true) };
  }

  defer(callback: () => void): void {
    this.setTimer(0, callback);
  }

  /** Runs what is due within `ms`, in order, and lets promises settle in between. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      await Promise.resolve();
      const next = this.#queue[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#queue.shift();
      this.#nowMs = next.atMs;
      if (!next.cancelled) next.callback();
    }
    this.#nowMs = endMs;
  }
}

/** xorshift128, enough to spread choices in a test. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0 || 1;
    for (let i = 0; i < 8; i++) this.next();
  }

  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state / 0x1_0000_0000;
  }

  integer(below: number): number {
    return Math.floor(this.next() * below);
  }

  hex(length: number): string {
    let digits = '';
    while (digits.length < length * 2) digits += this.integer(256).toString(16).padStart(2, '0');
    return digits;
  }
}
