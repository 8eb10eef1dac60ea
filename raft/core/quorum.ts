/**
 * Majorities, as pure maths: of one set of voters, and of the two sets of a joint configuration, where only
 * what holds in both holds (Raft §6).
 */
import type { Configuration, MemberId } from './types.js';

export type VoteResult = 'won' | 'lost' | 'pending';

export class Majority {
  readonly voters: readonly MemberId[];
  readonly size: number;
  readonly #scratch: number[];

  constructor(voters: readonly MemberId[]) {
    this.voters = voters;
    this.size = Math.floor(voters.length / 2) + 1;
    this.#scratch = voters.map(() => 0);
  }

  /** The highest value that a majority of voters has reached; of no voters: 0. */
  reached(valueOf: (voter: MemberId) => number): number {
    const values = this.#scratch;
    for (let i = 0; i < this.voters.length; i++) {
      // Insertion sort, descending: three or five values, and no allocation on the commit path.
      const value = valueOf(this.voters[i]!);
      let at = i;
      while (at > 0 && values[at - 1]! < value) {
        values[at] = values[at - 1]!;
        at--;
      }
      values[at] = value;
    }
    return values[this.size - 1] ?? 0;
  }

  count(holds: (voter: MemberId) => boolean): number {
    let count = 0;
    for (const voter of this.voters) if (holds(voter)) count++;
    return count;
  }

  holds(predicate: (voter: MemberId) => boolean): boolean {
    return this.count(predicate) >= this.size;
  }

  result(votes: ReadonlyMap<MemberId, boolean>): VoteResult {
    if (this.holds((voter) => votes.get(voter) === true)) return 'won';
    const open = this.count((voter) => votes.get(voter) !== false);
    return open < this.size ? 'lost' : 'pending';
  }
}

export class Quorum {
  /** Of both sets, each once. */
  readonly voters: readonly MemberId[];
  readonly incoming: Majority;
  /** Null: the configuration is not joint. */
  readonly outgoing: Majority | null;
  readonly #set: ReadonlySet<MemberId>;

  constructor({ voters, votersOutgoing = [] }: Configuration) {
    this.incoming = new Majority(voters);
    this.outgoing = votersOutgoing.length > 0 ? new Majority(votersOutgoing) : null;
    this.#set = new Set([...voters, ...votersOutgoing]);
    this.voters = [...this.#set];
  }

  isVoter(id: MemberId): boolean {
    return this.#set.has(id);
  }

  /** The highest value that majorities have reached. */
  reached(valueOf: (voter: MemberId) => number): number {
    const incoming = this.incoming.reached(valueOf);
    return this.outgoing === null ? incoming : Math.min(incoming, this.outgoing.reached(valueOf));
  }

  holds(predicate: (voter: MemberId) => boolean): boolean {
    return this.incoming.holds(predicate) && (this.outgoing?.holds(predicate) ?? true);
  }

  /** Votes of others than voters count for nothing. */
  result(votes: ReadonlyMap<MemberId, boolean>): VoteResult {
    const incoming = this.incoming.result(votes);
    const outgoing = this.outgoing?.result(votes) ?? incoming;
    if (incoming === outgoing) return incoming;
    return incoming === 'lost' || outgoing === 'lost' ? 'lost' : 'pending';
  }
}
