/**
 * What a member's disk has confirmed is there when the member starts again: its term, its vote, every entry that was not
 * compacted. A batch that was under way when it ended may have come through or not. Lies between the member and its storage.
 */
import type { Entry, HardState, SaveBatch, SavedLog } from 'raft-consensus';
import type { MemberStorage } from '../../../actors/store/index.js';

interface Kept {
  readonly hardState: HardState | null;
  /** Term by index. */
  readonly terms: ReadonlyMap<number, number>;
  readonly lastIndex: number;
}

const nothing: Kept = { hardState: null, terms: new Map(), lastIndex: 0 };

export class DurabilityCheck {
  readonly #member: string;
  readonly #fail: (message: string) => never;
  #confirmed: Kept = nothing;
  #underWay: Kept | undefined;

  constructor(member: string, fail: (message: string) => never) {
    this.#member = member;
    this.#fail = fail;
  }

  /** Its disk is one of before: what that has, the next start says. */
  forget(): void {
    this.#confirmed = nothing;
    this.#underWay = undefined;
  }

  follow(storage: MemberStorage): MemberStorage {
    const { log } = storage;
    return {
      ...storage,
      log: {
        load: async () => {
          const saved = await log.load();
          this.#check(saved);
          this.#begin(saved);
          return saved;
        },
        save: async (batch) => {
          const after = afterBatch(this.#confirmed, batch);
          this.#underWay = after;
          await log.save(batch);
          this.#confirmed = after;
          this.#underWay = undefined;
        },
        compact: async (toIndex, snapshot) => {
          await log.compact(toIndex, snapshot);
          const terms = new Map([...this.#confirmed.terms].filter(([index]) => index > toIndex));
          this.#confirmed = { ...this.#confirmed, terms };
        },
      },
    };
  }

  #begin({ hardState, entries, snapshotMeta }: SavedLog): void {
    const terms = new Map(entries.map(({ index, term }) => [index as number, term as number]));
    const lastIndex = entries.at(-1)?.index ?? snapshotMeta?.index ?? 0;
    this.#confirmed = { hardState, terms, lastIndex };
    this.#underWay = undefined;
  }

  #check(saved: SavedLog): void {
    const before = lacking(this.#confirmed, saved);
    if (before === null || (this.#underWay && lacking(this.#underWay, saved) === null)) return;
    this.#fail(`durability: ${this.#member} starts ${before}, which its disk had confirmed`);
  }
}

function afterBatch(kept: Kept, { hardState, snapshot, truncateFrom, entries }: SaveBatch): Kept {
  const terms = snapshot ? new Map<number, number>() : new Map(kept.terms);
  const cutFrom = truncateFrom ?? entries[0]?.index ?? Infinity;
  for (const index of terms.keys()) if (index >= cutFrom) terms.delete(index);
  for (const { index, term } of entries as readonly Entry[]) terms.set(index, term);
  const before = snapshot?.index ?? Math.min(kept.lastIndex, cutFrom - 1);
  return { hardState: hardState ?? kept.hardState, terms, lastIndex: entries.at(-1)?.index ?? before };
}

/** What of `kept` is not in `saved`, in words; null: it is all there. */
function lacking({ hardState, terms, lastIndex }: Kept, saved: SavedLog): string | null {
  const { entries, snapshotMeta } = saved;
  const term = saved.hardState?.term ?? 0;
  if (hardState && term < hardState.term) return `in term ${term} without term ${hardState.term}`;
  if (hardState?.votedFor && term === hardState.term && saved.hardState?.votedFor !== hardState.votedFor) {
    return `without its vote for ${hardState.votedFor} in term ${term}`;
  }
  const first = entries[0]?.index ?? (snapshotMeta?.index ?? 0) + 1;
  const last = entries.at(-1)?.index ?? snapshotMeta?.index ?? 0;
  if (last < lastIndex) return `without the entries ${last + 1} to ${lastIndex}`;
  for (const [index, of] of terms) {
    if (index < first) continue;
    const found = entries[index - first]?.term;
    if (found !== of) return `with entry ${index} of term ${found ?? 'none'}, not ${of}`;
  }
  return null;
}
