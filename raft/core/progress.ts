/**
 * What a leader knows of one peer, and how freely it may send to it:
 *
 *              accepted                      needs entries that are gone
 *     probe ---------------> replicate  ,------------------------------> snapshot
 *       ^  one append at a      |  many appends in flight                   |  no appends
 *       |  time                 |  rejected, unreachable                    |  installed, failed, no effect
 *       '-----------------------'-------------------------------------------'
 */
import { logIndex } from './types.js';
import type { LogIndex } from './types.js';

export type ProgressState = 'probe' | 'replicate' | 'snapshot';

export interface InflightLimits {
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
}

export class Progress {
  state: ProgressState = 'probe';
  /** Known to be durable there and equal to the leader's log. */
  match: LogIndex;
  /** The next entry to send. */
  next: LogIndex;
  /** The highest commit index that was sent. */
  commitSent = 0;
  /** Heard of since the last quorum check. */
  active = false;
  /** The last read round that it confirmed. */
  readRound = 0;
  /** In `probe`: an append is on its way. */
  probing = false;
  /** In `snapshot`: what it was sent, and since how many ticks. */
  snapshotIndex = 0;
  snapshotTicks = 0;
  /** A heartbeat was answered while entries are unconfirmed: send, if only to learn that some were lost. */
  nudged = false;

  /** Last index and bytes of each append in flight, oldest first, from `#head` on. */
  #inflight: { index: number; bytes: number }[] = [];
  #head = 0;
  #bytes = 0;
  readonly #limits: InflightLimits;

  constructor(match: number, next: number, limits: InflightLimits) {
    this.match = logIndex(match);
    this.next = logIndex(next);
    this.#limits = limits;
  }

  get inflightMessages(): number {
    return this.#inflight.length - this.#head;
  }

  canAppend(): boolean {
    if (this.state === 'probe') return !this.probing;
    if (this.state === 'snapshot') return false;
    return (
      this.inflightMessages < this.#limits.inflightMessagesMax && this.#bytes < this.#limits.inflightBytesMax
    );
  }

  becomeProbe(): void {
    const installed = this.state === 'snapshot' ? this.snapshotIndex : 0;
    this.#reset('probe');
    this.next = logIndex(Math.max(this.match, installed) + 1);
  }

  becomeReplicate(): void {
    this.#reset('replicate');
    this.next = logIndex(this.match + 1);
  }

  becomeSnapshot(index: number): void {
    this.#reset('snapshot');
    this.snapshotIndex = index;
  }

  /** A snapshot that had no effect: probe from what is known, not from what was hoped for. */
  abandonSnapshot(): void {
    this.snapshotIndex = 0;
    this.becomeProbe();
  }

  sent(lastIndex: number, bytes: number): void {
    if (this.state === 'probe') {
      this.probing = true;
      return;
    }
    if (bytes === 0) return;
    this.next = logIndex(lastIndex + 1);
    this.#inflight.push({ index: lastIndex, bytes });
    this.#bytes += bytes;
  }

  /** Returns whether anything new was learned. */
  accepted(index: number): boolean {
    const news = index > this.match;
    if (news) this.match = logIndex(index);
    if (index >= this.next) this.next = logIndex(index + 1);
    while (this.#head < this.#inflight.length && this.#inflight[this.#head]!.index <= index) this.#free();
    return news;
  }

  /** Returns false for a rejection that an older append earned and that says nothing any more. */
  rejected(index: number, agreedAt: number): boolean {
    // At or below `match` it is old news, or a peer that lost what it had confirmed: no answer will help
    // that one.
    if (index <= this.match) return false;
    if (this.state === 'replicate') {
      this.becomeProbe();
      return true;
    }
    if (this.state === 'snapshot' || this.next - 1 !== index) return false;
    this.next = logIndex(Math.max(Math.min(index, agreedAt + 1), this.match + 1));
    this.probing = false;
    return true;
  }

  /** The peer lives: let one append through, in case the ones in flight were all lost. */
  nudge(): void {
    this.probing = false;
    this.nudged = true;
    if (this.state === 'replicate' && !this.canAppend()) this.#free();
  }

  #free(): void {
    this.#bytes -= this.#inflight[this.#head]!.bytes;
    this.#head++;
    if (this.#head === this.#inflight.length) {
      this.#inflight.length = 0;
      this.#head = 0;
    } else if (this.#head >= 1024) {
      this.#inflight.splice(0, this.#head);
      this.#head = 0;
    }
  }

  #reset(state: ProgressState): void {
    this.state = state;
    this.probing = false;
    this.nudged = false;
    this.snapshotIndex = 0;
    this.snapshotTicks = 0;
    this.#inflight.length = 0;
    this.#head = 0;
    this.#bytes = 0;
  }
}
