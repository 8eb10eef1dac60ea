/** The journal of a run: the last events as they were, or, for a replay, all of them as text. */
import type { Journal, JournalEvent } from '../../../transport/index.js';

export class FlightRecorder implements Journal {
  readonly #kept: JournalEvent[] = [];
  readonly #keptMax: number;
  readonly #onEvent: (event: JournalEvent) => void;
  recorded = 0;

  constructor(keptMax: number, onEvent: (event: JournalEvent) => void = () => {}) {
    this.#keptMax = keptMax;
    this.#onEvent = onEvent;
  }

  record(event: JournalEvent): void {
    if (this.#kept.length < this.#keptMax) this.#kept.push(event);
    else this.#kept[this.recorded % this.#keptMax] = event;
    this.recorded++;
    this.#onEvent(event);
  }

  /** Oldest first, at most `count` of them, one line each. */
  last(count: number): string[] {
    const from = this.recorded % this.#keptMax;
    const ordered =
      this.recorded <= this.#keptMax ? this.#kept : [...this.#kept.slice(from), ...this.#kept.slice(0, from)];
    return ordered.slice(-count).map((event) => JSON.stringify(event));
  }

  flush = async () => {};
  close = async () => {};
}
