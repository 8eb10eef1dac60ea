/**
 * Connections on which nobody has called yet. They cost memory and a descriptor, and ask for no rights: each has a time for its
 * first call, counted from when it was accepted, and is closed then. One that was used once may be idle for as long as it
 * likes; clients of gRPC hold theirs for days.
 */
import type { Clock, Timer } from '../../../transport/index.js';

/** As much of a socket as this needs. */
export interface Closable {
  once(event: 'close', listener: () => void): unknown;
  destroy(): unknown;
}

export class UnusedConnections {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #timers = new WeakMap<Closable, Timer>();

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  accepted(socket: Closable): void {
    const timer = this.#clock.setTimer(this.#timeoutMs, () => socket.destroy());
    this.#timers.set(socket, timer);
    socket.once('close', () => timer.cancel());
  }

  used(socket: Closable): void {
    this.#timers.get(socket)?.cancel();
  }
}
