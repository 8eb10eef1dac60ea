/**
 * The clock of the group, which lease deadlines are measured by: replicated state that only the leader moves on, by the time
 * that passes on its monotonic clock. No wall clock has a say, so none that jumps can end a lease early or keep it alive. A new
 * leader goes on from what the log says plus the time since it applied that; time that nobody counted (all members down) is
 * given to the leases. What one leader's monotonic clock gains on real time (drift) is all a lease can end early by.
 */
import type { KvStore } from 'raft-consensus';
import type { Clock } from '../../transport/index.js';

export class GroupClock {
  readonly #store: KvStore;
  readonly #clock: Clock;
  /** The group's time `#anchoredAtMs` by this member's monotonic clock. */
  #anchorMs: number;
  #anchoredAtMs: number;
  #leads = false;

  constructor(store: KvStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#anchorMs = store.clockMs;
    this.#anchoredAtMs = clock.monotonicMs();
    store.listen({
      clockMoved: () => this.#moved(),
      restored: () => this.#moved(),
    });
  }

  /** Never behind the replicated clock. What a leader stamps its commands with; of others, a good guess. */
  nowMs(): number {
    return this.#anchorMs + this.#clock.monotonicMs() - this.#anchoredAtMs;
  }

  /** How far the replicated clock lags behind: what a restart of the whole group would lose. */
  unrecordedMs(): number {
    return this.nowMs() - this.#store.clockMs;
  }

  /** While this member leads, its own clock counts; otherwise every command that arrives corrects it. */
  lead(leads: boolean): void {
    this.#leads = leads;
  }

  #moved(): void {
    const { clockMs } = this.#store;
    // A leader's own stamps come back later than they were made.
    if (this.#leads && this.nowMs() >= clockMs) return;
    this.#anchorMs = clockMs;
    this.#anchoredAtMs = this.#clock.monotonicMs();
  }
}
