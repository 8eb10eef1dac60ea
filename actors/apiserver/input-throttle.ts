/**
 * Stops reading from a client while the kubelet has not taken what came. What is not read does not say that it has
 * ended, so a paused client is pinged: writing to a connection that is gone fails.
 */
import type { Clock } from '../../transport/index.js';
import { limits } from './limits.js';

export interface PausableInput {
  pause(): void;
  resume(): void;
  ping(): void;
}

export class InputThrottle {
  readonly #clock: Clock;
  readonly #input: PausableInput;
  readonly #backlogBytes: () => number;
  #paused = false;

  constructor(clock: Clock, input: PausableInput, backlogBytes: () => number) {
    this.#clock = clock;
    this.#input = input;
    this.#backlogBytes = backlogBytes;
  }

  /** After every input. */
  check(): void {
    if (this.#paused || this.#backlogBytes() < limits.watcherBufferedBytesMax) return;
    this.#paused = true;
    this.#input.pause();
    this.#wait(limits.sessionPingMs);
  }

  #wait(untilPingMs: number): void {
    this.#clock.setTimer(limits.watcherDrainPollMs, () => {
      if (this.#backlogBytes() < limits.watcherBufferedBytesMax / 2) {
        this.#paused = false;
        this.#input.resume();
      } else if (untilPingMs <= 0) {
        this.#input.ping();
        this.#wait(limits.sessionPingMs);
      } else this.#wait(untilPingMs - limits.watcherDrainPollMs);
    });
  }
}
