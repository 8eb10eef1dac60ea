/**
 * Notices that this member has forgotten entries that it had acknowledged, as one does whose folder was replaced by an older
 * copy. A leader never names a commit index beyond what it knows this member to have (core/leader.ts), so a log that ends
 * before it, or has an entry of another term there, is short of what was promised (etcd: "tocommit is out of range"). Votes are
 * forgotten then as well: such a member must not go on. Only a leader that lived through it can tell; after an election nobody
 * can.
 */
import type { Heartbeat } from './core/messages.js';
import type { MemoryLog } from './core/log.js';
import type { MemberId } from './core/types.js';
import { RaftError } from './errors.js';
import * as limits from './limits.js';

export class ForgottenEntries {
  readonly #id: MemberId;
  #leader: MemberId | null = null;
  #term = 0;
  #heard = 0;

  constructor(id: MemberId) {
    this.#id = id;
  }

  /** Throws RaftError `Corrupt` once it is certain: one letter may be a late one to an earlier member of this name. */
  hear(
    { from, term, commit, commitTerm }: Heartbeat,
    own: { readonly term: number; readonly log: Pick<MemoryLog, 'lastIndex' | 'term'> },
  ): void {
    const { lastIndex } = own.log;
    const found = own.log.term(commit);
    const isOther = found !== null && commitTerm > 0 && found !== commitTerm;
    if (term !== own.term || (commit <= lastIndex && !isOther)) {
      this.#heard = 0;
      return;
    }
    if (from !== this.#leader || term !== this.#term) this.#heard = 0;
    this.#leader = from;
    this.#term = term;
    this.#heard += 1;
    if (this.#heard < limits.forgottenHeartbeatsMin) return;
    throw new RaftError(
      'Corrupt',
      `${this.#id}: its log ${found === null ? `ends at entry ${lastIndex}` : `has an entry ${commit} of term ${found}`}, and ` +
        `it has acknowledged all up to ${commit}${found === null ? '' : `, of term ${commitTerm},`} to ${from}: its data are ` +
        'an older copy. Remove the member and add it anew; to go back in time, restore a backup into a new store',
      { definite: true, leader: from },
    );
  }
}
