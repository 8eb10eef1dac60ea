/**
 * The five properties of figure 3 of the Raft paper, looked at after every event of the simulator on the members' real cores,
 * and that no member takes back a term, a commit or what it applied. Incremental: only what changed since the last look is
 * compared. Log matching is held as two facts of every entry ever seen (its data and the term before it), from which the
 * paper's statement follows by induction.
 */
import type { CoreView, Entry, MemberId, Term } from 'raft-consensus';

interface Seen {
  readonly core: CoreView;
  term: number;
  role: CoreView['role'];
  commit: number;
  applied: number;
  first: number;
  configuration: CoreView['configuration'] | undefined;
  /** Of the log, from `first` on. */
  readonly entries: (Entry | undefined)[];
}

interface Committed {
  readonly term: Term;
  /** The earliest term in which it is known to be committed. */
  readonly inTerm: number;
}

export class RaftInvariants {
  readonly #fail: (message: string) => never;
  readonly #members = new Map<string, Seen>();
  readonly #leaders = new Map<number, MemberId>();
  /** By `index/term`. */
  readonly #entries = new Map<string, { readonly data: Uint8Array; readonly prevTerm: number | null }>();
  readonly #committed: (Committed | undefined)[] = [];
  /** The group's members, by the index of the entry that made them so. */
  readonly #configurations = new Map<number, string>();
  #configurationMax = 0;
  /** How many leaders there were. */
  leaderships = 0;

  constructor(fail: (message: string) => never) {
    this.#fail = fail;
  }

  get commitMax(): number {
    return this.#committed.length - 1;
  }

  /** A member begins, or begins again with what its disk kept. */
  started(core: CoreView): void {
    const seen: Seen = {
      core,
      term: core.term,
      role: 'follower',
      commit: 0,
      applied: 0,
      first: core.log.firstIndex,
      configuration: undefined,
      entries: [],
    };
    this.#members.set(core.id, seen);
    this.#look(seen);
  }

  ended(member: string): void {
    this.#members.delete(member);
  }

  check(): void {
    for (const seen of this.#members.values()) {
      const { core } = seen;
      const isSame =
        core.term === seen.term &&
        core.role === seen.role &&
        core.commit === seen.commit &&
        core.appliedIndex === seen.applied &&
        core.log.firstIndex === seen.first &&
        core.log.lastIndex === seen.first + seen.entries.length - 1 &&
        core.log.at(core.log.lastIndex) === seen.entries.at(-1);
      if (!isSame) this.#look(seen);
    }
  }

  #look(seen: Seen): void {
    const { core } = seen;
    if (core.term < seen.term) this.#fail(`${core.id} went back from term ${seen.term} to ${core.term}`);
    if (core.commit < seen.commit) this.#fail(`${core.id} took back its commit index ${seen.commit}`);
    if (core.appliedIndex < seen.applied) this.#fail(`${core.id} applied less than before`);
    if (core.appliedIndex > core.commit) this.#fail(`${core.id} applied what is not committed`);
    this.#log(seen);
    this.#commits(seen);
    this.#configuration(seen);
    if (core.role === 'leader') this.#leadership(seen);
    seen.term = core.term;
    seen.role = core.role;
    seen.commit = core.commit;
    seen.applied = core.appliedIndex;
  }

  /** Log matching, and that a leader only appends. */
  #log(seen: Seen): void {
    const { core, first, entries } = seen;
    const { log } = core;
    const stillLeads = core.role === 'leader' && seen.role === 'leader' && core.term === seen.term;
    if (stillLeads && log.lastIndex < first + entries.length - 1) {
      this.#fail(`leader append-only: ${core.id} cut its log to ${log.lastIndex} in term ${core.term}`);
    }
    // What compaction took from the front; behind an installed snapshot nothing is left.
    entries.splice(0, Math.max(0, log.firstIndex - first));
    seen.first = log.firstIndex;
    entries.length = Math.min(entries.length, log.lastIndex - log.firstIndex + 1);
    for (let index = log.lastIndex as number; index >= log.firstIndex; index--) {
      const entry = log.at(index)!;
      const before = entries[index - log.firstIndex];
      // The same entry as at the last look: so is everything before it.
      if (before === entry) break;
      if (stillLeads && before !== undefined) {
        this.#fail(`leader append-only: ${core.id} replaced entry ${index} in term ${core.term}`);
      }
      entries[index - log.firstIndex] = entry;
      this.#matches(core, entry);
    }
  }

  #matches({ id, log }: CoreView, entry: Entry): void {
    const key = `${entry.index}/${entry.term}`;
    const prevTerm = log.term(entry.index - 1);
    const known = this.#entries.get(key);
    if (known === undefined) {
      this.#entries.set(key, { data: entry.data, prevTerm });
      return;
    }
    if (known.data !== entry.data && Buffer.compare(known.data, entry.data) !== 0) {
      this.#fail(`log matching: ${id} has another entry ${key}`);
    }
    if (known.prevTerm !== null && prevTerm !== null && known.prevTerm !== prevTerm) {
      this.#fail(
        `log matching: before entry ${key}, ${id} has one of term ${prevTerm}, not ${known.prevTerm}`,
      );
    }
  }

  /** State machine safety: what one member holds for committed at an index, all do. */
  #commits(seen: Seen): void {
    const { core } = seen;
    for (let index = seen.commit + 1; index <= core.commit; index++) {
      const term = core.log.term(index);
      if (term === null) continue;
      const known = this.#committed[index];
      if (known === undefined) this.#committed[index] = { term, inTerm: core.term };
      else if (known.term !== term) {
        this.#fail(
          `state machine safety: ${core.id} commits ${index}/${term}, where ${index}/${known.term} was committed`,
        );
      }
    }
  }

  /** Of the same applied index all members know the same configuration. */
  #configuration(seen: Seen): void {
    const { configuration, appliedIndex, id } = seen.core;
    const { index = 0 } = configuration;
    if (index > 0 && configuration !== seen.configuration) {
      seen.configuration = configuration;
      const text = JSON.stringify(configuration);
      const known = this.#configurations.get(index) ?? text;
      if (known !== text) this.#fail(`membership: ${id} makes ${text} of entry ${index}, not ${known}`);
      this.#configurations.set(index, text);
      this.#configurationMax = Math.max(this.#configurationMax, index);
    }
    if (index === this.#configurationMax) return;
    for (const later of this.#configurations.keys()) {
      if (later <= index || later > appliedIndex) continue;
      this.#fail(
        `membership: ${id} has applied ${appliedIndex}, but knows nothing of the change at ${later}`,
      );
    }
  }

  /** Election safety, and leader completeness when a leadership begins. */
  #leadership({ core }: Seen): void {
    const { id, term, log } = core;
    const known = this.#leaders.get(term);
    if (known !== undefined && known !== id) {
      this.#fail(`election safety: ${known} and ${id} both lead term ${term}`);
    }
    if (known !== undefined) return;
    this.#leaders.set(term, id);
    this.leaderships++;
    for (let index = log.firstIndex - 1; index <= this.commitMax; index++) {
      const committed = this.#committed[index];
      if (committed === undefined || committed.inTerm >= term || log.term(index) === committed.term) continue;
      this.#fail(
        `leader completeness: ${id} leads term ${term} without entry ${index}/${committed.term}, ` +
          `committed in term ${committed.inTerm}`,
      );
    }
  }
}
