/** How often something took how long, in buckets with fixed bounds. */

/** Cumulative, as Prometheus has them: `counts[i]` is how many took no longer than `boundsMs[i]`. */
export interface DurationHistogram {
  readonly boundsMs: readonly number[];
  readonly counts: readonly number[];
  readonly count: number;
  readonly sumMs: number;
}

export class Durations {
  readonly #boundsMs: readonly number[];
  /** The last is of those that took longer than any bound. */
  readonly #counts: number[];
  #sumMs = 0;

  /** Ascending. */
  constructor(boundsMs: readonly number[]) {
    this.#boundsMs = boundsMs;
    this.#counts = Array.from({ length: boundsMs.length + 1 }, () => 0);
  }

  add(tookMs: number): void {
    this.#sumMs += tookMs;
    let bucket = 0;
    while (bucket < this.#boundsMs.length && tookMs > this.#boundsMs[bucket]!) bucket += 1;
    this.#counts[bucket]! += 1;
  }

  get histogram(): DurationHistogram {
    const counts: number[] = [];
    let count = 0;
    for (const more of this.#counts) counts.push((count += more));
    return { boundsMs: this.#boundsMs, counts: counts.slice(0, -1), count, sumMs: this.#sumMs };
  }
}
