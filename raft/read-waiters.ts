/**
 * Reads of this member that wait to be linearizable. All that come while a round is on its way share the
 * next one; a round that has an index waits until the state machine has got there.
 */
import { RaftError } from './errors.js';
import type { LogIndex, MemberId } from './core/types.js';

interface Waiter {
  readonly deadlineMs: number;
  resolve(index: LogIndex): void;
  reject(error: RaftError): void;
}

interface Round {
  readonly waiters: Waiter[];
  /** Null until the leader has answered. */
  index: LogIndex | null;
  ticks: number;
}

/** Linearizable reads of this member that came to nothing, since it started. */
export interface ReadStats {
  readonly timedOut: number;
  /** No leader took them up. */
  readonly refused: number;
}

export class ReadWaiters {
  #joining: Waiter[] = [];
  /** By context: the one that is asked for, and those that wait for the state machine. */
  readonly #rounds = new Map<number, Round>();
  #asking: number | null = null;
  #timedOut = 0;
  #refused = 0;

  get size(): number {
    let size = this.#joining.length;
    for (const round of this.#rounds.values()) size += round.waiters.length;
    return size;
  }

  get stats(): ReadStats {
    return { timedOut: this.#timedOut, refused: this.#refused };
  }

  add(waiter: Waiter): void {
    this.#joining.push(waiter);
  }

  /** Null: nothing new to ask for now. Otherwise ask the core with this context. */
  start(newContext: () => number): number | null {
    if (this.#asking !== null || this.#joining.length === 0) return null;
    this.#asking = newContext();
    this.#rounds.set(this.#asking, { waiters: this.#joining, index: null, ticks: 0 });
    this.#joining = [];
    return this.#asking;
  }

  /**
   * The context to ask for once more, since its question or answer was lost; at most once per `everyTicks`.
   */
  tick(everyTicks: number): number | null {
    if (this.#asking === null) return null;
    const round = this.#rounds.get(this.#asking)!;
    round.ticks++;
    return round.ticks % everyTicks === 0 ? this.#asking : null;
  }

  answered(context: number, index: LogIndex, applied: LogIndex): void {
    const round = this.#rounds.get(context);
    if (round === undefined || round.index !== null) return;
    round.index = index;
    if (this.#asking === context) this.#asking = null;
    this.applied(applied);
  }

  applied(applied: LogIndex): void {
    for (const [context, round] of this.#rounds) {
      if (round.index === null || round.index > applied) continue;
      this.#rounds.delete(context);
      for (const waiter of round.waiters) waiter.resolve(applied);
    }
  }

  dropped(context: number, leader: MemberId | null): void {
    const round = this.#rounds.get(context);
    if (round === undefined || round.index !== null) return;
    this.#rounds.delete(context);
    if (this.#asking === context) this.#asking = null;
    this.#refused += round.waiters.length;
    for (const waiter of round.waiters) {
      waiter.reject(new RaftError('NotLeader', 'no leader confirmed the read', { definite: true, leader }));
    }
  }

  expire(nowMs: number): void {
    const keep = (waiter: Waiter): boolean => {
      if (waiter.deadlineMs > nowMs) return true;
      this.#timedOut += 1;
      waiter.reject(new RaftError('Timeout', 'the read was not confirmed in time', { definite: true }));
      return false;
    };
    this.#joining = this.#joining.filter(keep);
    for (const [context, round] of this.#rounds) {
      const kept = round.waiters.filter(keep);
      round.waiters.length = 0;
      round.waiters.push(...kept);
      if (kept.length > 0) continue;
      this.#rounds.delete(context);
      if (this.#asking === context) this.#asking = null;
    }
  }

  rejectAll(error: () => RaftError): void {
    const waiters = [...this.#joining, ...[...this.#rounds.values()].flatMap((round) => round.waiters)];
    this.#joining = [];
    this.#rounds.clear();
    this.#asking = null;
    for (const waiter of waiters) waiter.reject(error());
  }
}
