/**
 * How long the disk has held the batch that is being saved. A leader whose disk hangs would keep its followers quiet with
 * heartbeats for ever (a zombie leader).
 */
import * as limits from './limits.js';

export class DiskWatch {
  #electionTimeoutMs: number;
  #sinceMs: number | null = null;
  #reported = false;

  constructor(electionTimeoutMs: number) {
    this.#electionTimeoutMs = electionTimeoutMs;
  }

  reload(electionTimeoutMs: number): void {
    this.#electionTimeoutMs = electionTimeoutMs;
  }

  begin(nowMs: number): void {
    this.#sinceMs = nowMs;
    this.#reported = false;
  }

  end(): void {
    this.#sinceMs = null;
  }

  /** Null: all is well. `isNews` once for each batch that hangs; `isLong`: a hand-over has had its time, too. */
  check(
    nowMs: number,
  ): { readonly sinceMs: number; readonly isNews: boolean; readonly isLong: boolean } | null {
    if (this.#sinceMs === null) return null;
    const sinceMs = nowMs - this.#sinceMs;
    if (sinceMs < this.#electionTimeoutMs) return null;
    const isNews = !this.#reported;
    this.#reported = true;
    return { sinceMs, isNews, isLong: sinceMs >= limits.diskStallElectionTimeouts * this.#electionTimeoutMs };
  }
}
