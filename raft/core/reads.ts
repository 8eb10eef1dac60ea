/**
 * Reads that wait for a leader to learn that it still is one (ReadIndex, dissertation §6.4). All reads
 * that wait when a round starts share it: one heartbeat exchange, however many reads. Rounds of a term
 * count upwards and replies carry term and round, and no term has two leaders: so no late or doubled reply
 * can pass for an answer to a newer round (etcd #20418).
 */
import type { LogIndex, MemberId } from './types.js';

export interface PendingRead {
  readonly context: number;
  /** Who asked: this member or a follower. */
  readonly from: MemberId;
}

export interface ReadRound {
  readonly number: number;
  /** The commit index when the round began: what its reads must see applied. */
  readonly index: LogIndex;
  readonly reads: readonly PendingRead[];
}

export class ReadQueue {
  #waiting: PendingRead[] = [];
  #round: ReadRound | null = null;
  #rounds = 0;
  readonly #readsMax: number;

  constructor(readsMax: number) {
    this.#readsMax = readsMax;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** The round in progress; at most one, reads that come meanwhile share the next. */
  get round(): ReadRound | null {
    return this.#round;
  }

  /** Rounds begun. */
  get rounds(): number {
    return this.#rounds;
  }

  /** False: full, the read is refused. */
  add(read: PendingRead): boolean {
    if (this.#waiting.length + (this.#round?.reads.length ?? 0) >= this.#readsMax) return false;
    this.#waiting.push(read);
    return true;
  }

  start(commit: LogIndex): ReadRound {
    this.#round = { number: ++this.#rounds, index: commit, reads: this.#waiting };
    this.#waiting = [];
    return this.#round;
  }

  finish(): ReadRound {
    const round = this.#round!;
    this.#round = null;
    return round;
  }

  /** Contexts of `self`'s own reads, which a leader that steps down must answer; followers ask again. */
  contextsOf(self: MemberId): number[] {
    const all = [...(this.#round?.reads ?? []), ...this.#waiting];
    return all.filter((read) => read.from === self).map((read) => read.context);
  }
}
