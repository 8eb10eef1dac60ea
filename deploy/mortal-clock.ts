/**
 * The clock of a node that shares its process with others: it ends with the node, as timers end with a process. What still
 * waits for it then waits for ever, and does not keep the process alive.
 */
import type { Clock, Timer } from '../transport/index.js';

export class MortalClock implements Clock {
  readonly #clock: Clock;
  readonly #timers = new Set<Timer>();
  #ended = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    if (this.#ended) return { cancel: () => {} };
    const inner = this.#clock.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    const timer: Timer = {
      cancel: () => {
        this.#timers.delete(timer);
        inner.cancel();
      },
    };
    this.#timers.add(timer);
    return timer;
  }

  defer(callback: () => void): void {
    this.#clock.defer(() => {
      if (!this.#ended) callback();
    });
  }

  end(): void {
    this.#ended = true;
    for (const timer of this.#timers) timer.cancel();
  }
}
