/**
 * The two sources of nondeterminism that the transport itself needs: time and chance.
 * The real implementations live in `actors/runtime/env-real.ts`, the seeded ones in `actors/runtime/env-sim.ts`;
 * nobody else may call `Date.now`, `setTimeout` or `Math.random` (test/tidy bans them).
 */
export interface Clock {
  /** Wall clock, milliseconds since the epoch. May jump; use it only for what people read. */
  nowMs(): number;
  /** Monotonic, milliseconds with fractions, origin arbitrary. Use it to measure and for deadlines kept locally. */
  monotonicMs(): number;
  /** Runs `callback` once after `delayMs`; the returned timer is cancelled with `cancel`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` in a later turn of the event loop, in the order of the calls. */
  defer(callback: () => void): void;
}

export interface Timer {
  cancel(): void;
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, below). */
  integer(below: number): number;
  /** `length` random bytes as lower-case hex. Not for secrets: keys and tokens come from `deploy/` through node:crypto. */
  hex(length: number): string;
}
