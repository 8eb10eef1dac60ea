/**
 * How a member reaches the others: one way, without promises about delivery. The host hands what arrives to
 * `raft.receive`. `send` must not block or throw for an absent peer: it drops. `Clock` is the part of a
 * clock that Raft needs; monotonic only, so a jump of the wall clock moves nothing.
 */
import type { Message } from './core/messages.js';
import type { MemberId } from './core/types.js';

export interface Transport {
  send(to: MemberId, message: Message): void;
}

export interface Clock {
  /** Milliseconds, origin arbitrary, never backwards. */
  monotonicMs(): number;
  setTimer(delayMs: number, callback: () => void): { cancel(): void };
  /** Runs `callback` in a later turn of the event loop, in the order of the calls. */
  defer(callback: () => void): void;
}
