/** A journal that keeps the last events in memory: for tests, for the simulator and as a flight recorder. */
import type { Journal, JournalEvent } from './journal.js';
import { formatEvent } from './line.js';

export class MemoryJournal implements Journal {
  readonly #eventsMax: number;
  #events: JournalEvent[] = [];
  #start = 0;
  #recorded = 0;

  constructor(eventsMax = 1_000_000) {
    this.#eventsMax = eventsMax;
  }

  record(event: JournalEvent): void {
    this.#recorded += 1;
    if (this.#events.length < this.#eventsMax) {
      this.#events.push(event);
      return;
    }
    this.#events[this.#start] = event;
    this.#start = (this.#start + 1) % this.#eventsMax;
  }

  /** Oldest first. */
  events(): JournalEvent[] {
    return [...this.#events.slice(this.#start), ...this.#events.slice(0, this.#start)];
  }

  /** Events that made room for newer ones. */
  get lost(): number {
    return this.#recorded - this.#events.length;
  }

  /** One line an event; the same events give the same bytes. */
  toNdjson(): string {
    return this.events()
      .map((event) => `${formatEvent(event)}\n`)
      .join('');
  }

  clear(): void {
    this.#events = [];
    this.#start = 0;
    this.#recorded = 0;
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}
