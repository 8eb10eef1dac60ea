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
  /** Of a leader, by peer: from a heartbeat to its answer. */
  readonly roundTrips: Readonly<Record<string, DurationHistogram>>;
}

/** etcd's for round trips between peers: from 0.1 ms on, twice as long each. */
const roundTripBoundsMs = Array.from({ length: 16 }, (_, i) => 0.1 * 2 ** i);

const parts = 8;
const beyond = [2, 4];

export class HeartbeatWatch {
  #sendGapMaxMs: number;
  readonly #silences: Durations;
  /** Of a leader: by peer, when the last one left. */
  readonly #sentMs = new Map<MemberId, number>();
  /** Of those, that nobody has answered yet. */
  readonly #unanswered = new Set<MemberId>();
  readonly #roundTrips = new Map<MemberId, Durations>();
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
    this.#unanswered.clear();
    this.#heard = null;
  }

  sent(to: MemberId, nowMs: number): void {
    const lastMs = this.#sentMs.get(to);
    if (lastMs !== undefined && nowMs - lastMs > this.#sendGapMaxMs) this.#lateSends += 1;
    this.#sentMs.set(to, nowMs);
    this.#unanswered.add(to);
  }

  /** A peer has answered: the newest heartbeat, since they are far apart. */
  answered(from: MemberId, nowMs: number): void {
    if (!this.#unanswered.delete(from)) return;
    let trips = this.#roundTrips.get(from);
    if (trips === undefined) this.#roundTrips.set(from, (trips = new Durations(roundTripBoundsMs)));
    trips.add(nowMs - this.#sentMs.get(from)!);
  }

  /** Of members that are gone nothing is kept. */
  forget(members: ReadonlySet<MemberId>): void {
    for (const all of [this.#sentMs, this.#unanswered, this.#roundTrips]) {
      for (const peer of all.keys()) if (!members.has(peer)) all.delete(peer);
    }
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
    const roundTrips = Object.fromEntries(
      [...this.#roundTrips].map(([peer, trips]) => [peer, trips.histogram]),
    );
    return { lateSends: this.#lateSends, silences: this.#silences.histogram, roundTrips };
  }
}
