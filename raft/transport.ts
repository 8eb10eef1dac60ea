/**
 * How a member reaches the others: one way, without promises about delivery. The host hands what arrives to
 * `raft.receive`. `send` must not block or throw for an absent peer: it drops. `Clock` is the part of a
 * clock that Raft needs; monotonic only, so a jump of the wall clock moves nothing.
 */
import type { MemberId } from './core/types.js';
import type { Letter } from './snapshot-pieces.js';

export interface Transport {
  send(to: MemberId, letter: Letter): void;
}

export interface Clock {
  /** Milliseconds, origin arbitrary, never backwards. */
  monotonicMs(): number;
  setTimer(delayMs: number, callback: () => void): { cancel(): void };
  /** Runs `callback` in a later turn of the event loop, in the order of the calls. */
  defer(callback: () => void): void;
}
