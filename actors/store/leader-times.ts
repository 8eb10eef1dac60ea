/**
 * For how long a member has had the leader and the connections that it has: what is asked when a write was not answered in
 * time (etcd server.go: leadElectedTime; rafthttp: ActiveSince). Told as durations: no clock is another machine's.
 */
import { isMember, type MemberId, type Raft } from 'raft-consensus';
import type { Clock } from '../../transport/index.js';

type Seen = Pick<Raft<unknown>, 'id' | 'leader' | 'configuration'>;

export class LeaderTimes {
  readonly #raft: Seen;
  readonly #clock: Clock;
  readonly #beganMs: number;
  #ledSinceMs: number;
  /** When the link last lost which peer. */
  readonly #lostMs = new Map<MemberId, number>();

  constructor(raft: Seen, clock: Clock) {
    this.#raft = raft;
    this.#clock = clock;
    this.#beganMs = clock.monotonicMs();
    this.#ledSinceMs = this.#beganMs;
  }

  /** The member has another leader from now on, or none. */
  leaderChanged(): void {
    this.#ledSinceMs = this.#clock.monotonicMs();
  }

  peerLost(peer: MemberId): void {
    const configuration = this.#raft.configuration();
    for (const known of this.#lostMs.keys()) if (!isMember(configuration, known)) this.#lostMs.delete(known);
    this.#lostMs.set(peer, this.#clock.monotonicMs());
  }

  /** 0: it has none. */
  leaderForMs(): number {
    return this.#raft.leader() === null ? 0 : this.#clock.monotonicMs() - this.#ledSinceMs;
  }

  /** Of a leader: for how long no connection to a majority was lost; of others: none to the leader. 0: there is no leader. */
  connectedForMs(): number {
    const leader = this.#raft.leader();
    if (leader === null) return 0;
    const sinceMs = leader === this.#raft.id ? this.#majoritySinceMs() : this.#sinceMs(leader);
    return this.#clock.monotonicMs() - sinceMs;
  }

  /** In a joint configuration a majority of both. */
  #majoritySinceMs(): number {
    const { voters, votersOutgoing = voters } = this.#raft.configuration();
    const ofEach = [voters, votersOutgoing].map((all) => {
      const since = all.map((voter) => this.#sinceMs(voter)).toSorted((a, b) => a - b);
      return since[Math.floor(all.length / 2)] ?? this.#beganMs;
    });
    return Math.max(...ofEach);
  }

  #sinceMs(peer: MemberId): number {
    return this.#lostMs.get(peer) ?? this.#beganMs;
  }
}
