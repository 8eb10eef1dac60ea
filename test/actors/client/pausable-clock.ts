/**
 * The clock of a node that can be stopped like a process by SIGSTOP: what falls due meanwhile happens at once
 * afterwards.
 */
import type { Clock, Timer } from '../../../transport/index.js';

export class PausableClock implements Clock {
  readonly #clock: Clock;
  #held: (() => void)[] = [];
  #paused = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const held = this.#held;
    this.#held = [];
    for (const run of held) this.#clock.defer(() => this.#run(run));
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    let cancelled = false;
    const timer = this.#clock.setTimer(delayMs, () =>
      this.#run(() => {
        if (!cancelled) callback();
      }),
    );
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  defer(callback: () => void): void {
    this.#clock.defer(() => this.#run(callback));
  }

  #run(callback: () => void): void {
    if (this.#paused) this.#held.push(callback);
    else callback();
  }
}
