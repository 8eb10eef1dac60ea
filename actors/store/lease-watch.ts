/**
 * What a leader owes the leases: it proposes the end of those whose time is over, and has the log say now and then how late it
 * is. Only the log decides: a proposal to end a lease does nothing where a renewal came before it (etcd #12528, #15247). After
 * an election, and after a pause of its own, it waits a little: the renewals that could not be served come first.
 */
import type { SingleCommand, KvStore, LeaseId } from 'raft-consensus';
import type { Clock } from '../../transport/index.js';
import type { GroupClock } from './group-clock.js';
import type { StoreLimits } from './limits.js';

/** A command as its proposer makes it, before it gets its time. */
export type Unstamped<C = SingleCommand> = C extends SingleCommand ? Omit<C, 'atMs'> : never;

type LeaseCommand = Unstamped<Extract<SingleCommand, { type: 'lease-revoke' | 'clock' }>>;

export class LeaseWatch {
  readonly #store: KvStore;
  readonly #groupClock: GroupClock;
  readonly #clock: Clock;
  readonly #limits: StoreLimits;
  /** Proposed by this leader, without an answer so far. */
  readonly #revoking = new Set<LeaseId>();
  #isRecording = false;
  /** Undefined: did not lead at the last check. */
  #lastCheckMs: number | undefined;
  #graceUntilMs = 0;

  constructor(store: KvStore, groupClock: GroupClock, clock: Clock, limits: StoreLimits) {
    this.#store = store;
    this.#groupClock = groupClock;
    this.#clock = clock;
    this.#limits = limits;
  }

  /** The member does not lead. */
  rest(): void {
    this.#revoking.clear();
    this.#isRecording = false;
    this.#lastCheckMs = undefined;
  }

  /** To be called every `leaseCheckIntervalMs` of a leader. `propose` answers when the outcome is known. */
  check(propose: (command: LeaseCommand) => Promise<void>): void {
    const nowMs = this.#clock.monotonicMs();
    const { leaseCheckIntervalMs, leaseGraceMs, clockRecordIntervalMs, leaseRevokesMax } = this.#limits;
    const sinceMs = nowMs - (this.#lastCheckMs ?? Number.NEGATIVE_INFINITY);
    if (sinceMs > leaseCheckIntervalMs + leaseGraceMs) this.#graceUntilMs = nowMs + leaseGraceMs;
    this.#lastCheckMs = nowMs;
    if (this.#store.leaseCount === 0) return;
    if (nowMs >= this.#graceUntilMs) {
      for (const id of this.#store.leaseExpired(this.#groupClock.nowMs())) {
        if (this.#revoking.size >= leaseRevokesMax) break;
        if (this.#revoking.has(id)) continue;
        this.#revoking.add(id);
        const command = { type: 'lease-revoke', id, reason: 'expired' } as const;
        void propose(command).then(() => this.#revoking.delete(id));
      }
    }
    if (this.#groupClock.unrecordedMs() < clockRecordIntervalMs || this.#isRecording) return;
    this.#isRecording = true;
    void propose({ type: 'clock' }).then(() => (this.#isRecording = false));
  }
}
