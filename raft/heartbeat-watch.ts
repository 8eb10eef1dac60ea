/**
 * Whether heartbeats come as they should, measured where it counts: a leader notes when one really left, a follower when a
 * word of its leader was really taken in. What holds up either one's event loop, the link between them or the machine shows
 * here long before anybody campaigns. As etcd has it (etcdserver/raft.go: contention detector) and hashicorp/raft (lastContact).
 */
import { type DurationHistogram, Durations } from './durations.js';
import type { MemberId, Term } from './core/types.js';

export interface HeartbeatStats {
  /** Of a leader: heartbeats that left more than two intervals after the one before (etcd: send failures). */
  readonly lateSends: number;
  /** Of a follower: times between two words of the same leader. Bounds are eighths of the election timeout, and some beyond. */
  readonly silences: DurationHistogram;
}

const parts = 8;
const beyond = [2, 4];

export class HeartbeatWatch {
  #sendGapMaxMs: number;
  readonly #silences: Durations;
  /** Of a leader: by peer, when the last one left. */
  readonly #sentMs = new Map<MemberId, number>();
  #lateSends = 0;
  #heard: { readonly leader: MemberId; readonly term: Term; atMs: number } | null = null;

  constructor(heartbeatMs: number, electionTimeoutMs: number) {
    this.#sendGapMaxMs = 2 * heartbeatMs;
    const eighths = Array.from({ length: parts }, (_, i) => ((i + 1) * electionTimeoutMs) / parts);
    this.#silences = new Durations([...eighths, ...beyond.map((times) => times * electionTimeoutMs)]);
  }

  /** Another interval from now on. The bounds of silences stay, or they could not be added up. */
  reload(heartbeatMs: number): void {
    this.#sendGapMaxMs = 2 * heartbeatMs;
  }

  /** A leadership begins. */
  reset(): void {
    this.#sentMs.clear();
    this.#heard = null;
  }

  sent(to: MemberId, nowMs: number): void {
    const lastMs = this.#sentMs.get(to);
    if (lastMs !== undefined && nowMs - lastMs > this.#sendGapMaxMs) this.#lateSends += 1;
    this.#sentMs.set(to, nowMs);
  }

  /** The member has taken in a letter of the one that it follows. */
  heard(leader: MemberId, term: Term, nowMs: number): void {
    if (this.#heard?.leader !== leader || this.#heard.term !== term) {
      this.#heard = { leader, term, atMs: nowMs };
      return;
    }
    this.#silences.add(nowMs - this.#heard.atMs);
    this.#heard.atMs = nowMs;
  }

  get stats(): HeartbeatStats {
    return { lateSends: this.#lateSends, silences: this.#silences.histogram };
  }
}
