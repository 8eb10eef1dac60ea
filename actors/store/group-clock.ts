/**
 * The clock of the group, which lease deadlines are measured by: replicated state that only the leader moves on, by the time
 * that passes on its monotonic clock. No wall clock has a say, so none that jumps can end a lease early or keep it alive. A new
 * leader goes on from what the log says plus the time since it applied that. If leaders before it have said more than it has
 * applied, its time stands still until it has: their clocks may be slower than what it believed. Time that nobody counted (all
 * members down) is given to the leases. What one leader's monotonic clock gains on real time (drift) is all a lease can end
 * early by.
 */
import { type KvStore, logIndex, type Raft } from 'raft-consensus';
import type { Clock } from '../../transport/index.js';

type Leader = Pick<Raft<unknown>, 'core'>;

export class GroupClock {
  readonly #store: KvStore;
  readonly #clock: Clock;
  /** The group's time `#anchoredAtMs` by this member's monotonic clock. */
  #anchorMs: number;
  #anchoredAtMs: number;
  /** Set while this member leads. */
  #leader: Leader | null = null;
  /** It leads, and may have to correct what it believes. */
  #standsStill = false;

  constructor(store: KvStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#anchorMs = store.clockMs;
    this.#anchoredAtMs = clock.monotonicMs();
    store.listen({
      stamped: () => this.#hear(),
      restored: () => this.#hear(),
    });
  }

  /** Never behind the replicated clock. What a leader stamps its commands with; of others, a good guess. */
  nowMs(): number {
    if (this.#standsStill) this.#goOn();
    if (this.#standsStill) return this.#store.clockMs;
    return this.#anchorMs + this.#clock.monotonicMs() - this.#anchoredAtMs;
  }

  /** How far the replicated clock lags behind: what a restart of the whole group would lose. */
  unrecordedMs(): number {
    return this.nowMs() - this.#store.clockMs;
  }

  /** While this member leads, its own clock counts; otherwise every command that arrives corrects it. */
  lead(leader: Leader | null): void {
    this.#leader = leader;
    this.#standsStill = leader !== null && !hasAppliedEarlierTerms(leader);
  }

  #goOn(): void {
    if (this.#leader && !hasAppliedEarlierTerms(this.#leader)) return;
    this.#standsStill = false;
    this.#anchor();
  }

  /**
   * Also when the clock did not move: a leader whose time stands still grants leases from there, and whoever goes on from what it
   * believed meanwhile would end them early.
   */
  #hear(): void {
    // A leader's own stamps come back later than they were made.
    if (this.#leader && !this.#standsStill && this.nowMs() >= this.#store.clockMs) return;
    this.#anchor();
  }

  #anchor(): void {
    this.#anchorMs = this.#store.clockMs;
    this.#anchoredAtMs = this.#clock.monotonicMs();
  }
}

/** What is left to apply is of its own term. */
function hasAppliedEarlierTerms({ core: { log, appliedIndex, term } }: Leader): boolean {
  return appliedIndex >= log.lastIndex || log.term(logIndex(appliedIndex + 1)) === term;
}
