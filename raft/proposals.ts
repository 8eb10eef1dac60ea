/**
 * Calls that wait for their entries to be applied. A queue, not a map with a timer each: entries are
 * applied in log order, and a log's terms never decrease, so only the front ever needs a look; deadlines
 * are checked once per tick.
 */
import { RaftError } from './errors.js';
import type { Entry, LogIndex, MemberId, Term } from './core/types.js';

export interface Proposal<Result> {
  readonly first: LogIndex;
  readonly last: LogIndex;
  readonly term: Term;
  readonly deadlineMs: number;
  readonly results: Result[];
  resolve(results: Result[], last: LogIndex): void;
  reject(error: RaftError): void;
}

export class ProposalQueue<Result> {
  #queue: Proposal<Result>[] = [];
  #head = 0;

  get size(): number {
    return this.#queue.length - this.#head;
  }

  add(proposal: Proposal<Result>): void {
    this.#queue.push(proposal);
  }

  /**
   * An entry was applied; `result` is what the state machine gave, undefined for entries that are not for it.
   */
  applied(entry: Entry, result: Result | undefined): void {
    for (;;) {
      const proposal = this.#queue[this.#head];
      if (proposal === undefined) return;
      if (proposal.term < entry.term) {
        // Its place went to an entry of a later term, or lies behind one: it can never be committed.
        this.#shift();
        proposal.reject(
          new RaftError('LeadershipLost', `entry ${proposal.first} was replaced by a later leader's`, {
            definite: proposal.results.length === 0,
          }),
        );
        continue;
      }
      if (proposal.term > entry.term || entry.index < proposal.first) return;
      if (entry.type === 'normal') proposal.results.push(result as Result);
      if (entry.index < proposal.last) return;
      this.#shift();
      proposal.resolve(proposal.results, proposal.last);
      return;
    }
  }

  /** A snapshot jumped over entries: whether they were in it cannot be told. */
  skipped(to: LogIndex): void {
    this.#rejectWhere(
      (proposal) => proposal.first <= to,
      (proposal) =>
        new RaftError('LeadershipLost', `entry ${proposal.first} was passed over by a snapshot`, {
          definite: false,
        }),
    );
  }

  /** Called on ticks. `leader`: who leads now, if this member does not. */
  expire(nowMs: number, leads: boolean, leader: MemberId | null): void {
    this.#rejectWhere(
      (proposal) => proposal.deadlineMs <= nowMs,
      (proposal) =>
        new RaftError(
          leads ? 'Timeout' : 'LeadershipLost',
          `entry ${proposal.first} was not committed in time; it may still be`,
          { definite: false, leader },
        ),
    );
  }

  rejectAll(error: (proposal: Proposal<Result>) => RaftError): void {
    this.#rejectWhere(() => true, error);
  }

  #rejectWhere(
    matches: (proposal: Proposal<Result>) => boolean,
    error: (p: Proposal<Result>) => RaftError,
  ): void {
    let kept = this.#head;
    for (let i = this.#head; i < this.#queue.length; i++) {
      const proposal = this.#queue[i]!;
      if (matches(proposal)) proposal.reject(error(proposal));
      else this.#queue[kept++] = proposal;
    }
    this.#queue.length = kept;
  }

  #shift(): void {
    this.#queue[this.#head++] = undefined as unknown as Proposal<Result>;
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0;
      this.#head = 0;
    } else if (this.#head >= 4096) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
