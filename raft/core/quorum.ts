/**
 * Majorities over a fixed set of voters: pure maths. Joint consensus will need two such sets at once (Raft
 * §6).
 */
import type { MemberId } from './types.js';

export class Quorum {
  readonly voters: readonly MemberId[];
  readonly size: number;
  readonly #scratch: number[];

  constructor(voters: readonly MemberId[]) {
    this.voters = voters;
    this.size = Math.floor(voters.length / 2) + 1;
    this.#scratch = voters.map(() => 0);
  }

  /** The highest value that a majority of voters has reached. */
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
    return values[this.size - 1]!;
  }

  count(holds: (voter: MemberId) => boolean): number {
    let count = 0;
    for (const voter of this.voters) if (holds(voter)) count++;
    return count;
  }

  result(votes: ReadonlyMap<MemberId, boolean>): 'won' | 'lost' | 'pending' {
    if (this.count((voter) => votes.get(voter) === true) >= this.size) return 'won';
    const open = this.count((voter) => votes.get(voter) !== false);
    return open < this.size ? 'lost' : 'pending';
  }
}
