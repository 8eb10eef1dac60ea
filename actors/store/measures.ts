/** What a member counts of its own work, for those who watch it (/metrics of the etcd front). Sums since it started. */
import {
  type Change,
  type DurationHistogram,
  Durations,
  type Fsm,
  type HeartbeatStats,
  type KvStore,
  type LogStorage,
  type ReadStats,
  type SaveBatch,
} from 'raft-consensus';
import type { Clock } from '../../transport/index.js';

export interface MemberMeasures {
  readonly keys: number;
  readonly leases: number;
  /** Of users and roles. */
  readonly authRevision: number;
  readonly watchers: number;
  /** Of them, those who have not taken what was sent to them. */
  readonly slowWatchers: number;
  /** That wait in the queues of watchers. */
  readonly pendingEvents: number;
  readonly proposalsPending: number;
  /** Refused or given up by Raft, not by the state. */
  readonly proposalsFailed: number;
  /** Requests answered here. */
  readonly ranges: number;
  /** Of keys, and of transactions that changed more than one; applied here. */
  readonly puts: number;
  readonly deletes: number;
  readonly txns: number;
  /** From the beginning of a write of the log to the end of its fsync. */
  readonly logSaves: DurationHistogram;
  /** Batches of entries that took the state machine longer than 100 ms. */
  readonly slowApplies: number;
  readonly reads: ReadStats;
  /** Sent late while it led, and how long it heard nothing while it followed. */
  readonly heartbeats: HeartbeatStats;
  /** From a leader, and restored. */
  readonly snapshotsReceived: number;
}

/** etcd's for its log: from 1 ms on, twice as long each. */
const saveBoundsMs: readonly number[] = Array.from({ length: 14 }, (_, i) => 2 ** i);

/** etcd's --warning-apply-duration. */
const slowApplyMs = 100;

export class Measures {
  proposalsFailed = 0;
  ranges = 0;
  puts = 0;
  deletes = 0;
  txns = 0;
  snapshotsReceived = 0;
  slowApplies = 0;
  readonly #clock: Clock;
  readonly #saves = new Durations(saveBoundsMs);

  constructor(store: KvStore, clock: Clock) {
    this.#clock = clock;
    store.listen({ changed: (_at, changes) => this.#changed(changes) });
  }

  /** The log, with every fsync timed. */
  timed(log: LogStorage): LogStorage {
    return {
      load: () => log.load(),
      save: (batch) => this.#save(log, batch),
      compact: (toIndex, snapshot) => log.compact(toIndex, snapshot),
    };
  }

  /** The state machine, with what takes long counted. */
  watched<Result>(fsm: Required<Fsm<Result>>): Fsm<Result> {
    return {
      apply: (entries) => {
        const beganMs = this.#clock.monotonicMs();
        const results = fsm.apply(entries);
        if (this.#clock.monotonicMs() - beganMs > slowApplyMs) this.slowApplies += 1;
        return results;
      },
      snapshot: () => fsm.snapshot(),
      restore: (chunks) => fsm.restore(chunks),
      rewrite: (beginning) => fsm.rewrite(beginning),
    };
  }

  get logSaves(): DurationHistogram {
    return this.#saves.histogram;
  }

  #changed(changes: readonly Change[]): void {
    if (changes.length > 1) this.txns += 1;
    for (const { kv } of changes) {
      if (kv.version > 0) this.puts += 1;
      else this.deletes += 1;
    }
  }

  async #save(log: LogStorage, batch: SaveBatch): Promise<void> {
    if (!batch.mustSync) return log.save(batch);
    const beganMs = this.#clock.monotonicMs();
    await log.save(batch);
    this.#saves.add(this.#clock.monotonicMs() - beganMs);
  }
}
