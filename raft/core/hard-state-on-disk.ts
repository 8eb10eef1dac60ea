/** What the disk is known to hold of a member's hard state, and what it is working on. One save at a time. */
import { strict as assert } from 'node:assert';
import type { HardState, LogIndex } from './types.js';

export class HardStateOnDisk {
  #saved: HardState;
  /** In the batch that the disk works on; null: that batch leaves it as it is. */
  #saving: HardState | null = null;
  #isSaving = false;
  /** A commit index that nothing else carries to disk goes there on a tick, not at once. */
  #isCommitDue = false;

  constructor(saved: HardState) {
    this.#saved = saved;
  }

  get saved(): HardState {
    return this.#saved;
  }

  get isSaving(): boolean {
    return this.#isSaving;
  }

  tick(commit: LogIndex): void {
    if (commit !== this.#saved.commit) this.#isCommitDue = true;
  }

  /** A term or a vote that nobody may hear of before it is durable. */
  lacksVote({ term, votedFor }: HardState): boolean {
    return this.#saved.term !== term || this.#saved.votedFor !== votedFor;
  }

  isCommitDue({ commit }: HardState): boolean {
    return this.#isCommitDue && this.#saved.commit !== commit;
  }

  /** A batch goes to disk; returns what it has to hold of `now`, null when that is there already. */
  save(now: HardState): HardState | null {
    this.#isSaving = true;
    this.#isCommitDue = false;
    this.#saving = this.lacksVote(now) || this.#saved.commit !== now.commit ? now : null;
    return this.#saving;
  }

  /** The batch is durable. */
  confirm(): void {
    assert(this.#isSaving, 'nothing was being persisted');
    this.#isSaving = false;
    if (this.#saving !== null) this.#saved = this.#saving;
    this.#saving = null;
  }
}
