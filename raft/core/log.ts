/**
 * The log of a member in memory: everything behind the base, durable or not. Older entries live only in a
 * snapshot. Three marks move along it: `stableIndex` (durable), `handedIndex` (given to the disk, at most
 * one batch ahead) and `lastIndex`. The storage on disk holds the same entries; this class decides, the
 * disk follows.
 */
import { strict as assert } from 'node:assert';
import { logIndex, term as asTerm } from './types.js';
import type { Entry, LogIndex, SnapshotMeta, Term } from './types.js';

/** What the core asks of a log. Synchronous: a leader reads it for every append it sends. */
export interface LogReader {
  /** The first entry that can still be read; `lastIndex + 1` when there is none. */
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** Newest snapshot, from which a peer that needs older entries must start. */
  readonly snapshot: SnapshotMeta | null;
  /** Known for `firstIndex - 1` too; null outside of the log. */
  term(index: number): Term | null;
  /** [from, to), cut to `bytesMax` but never to nothing. */
  entries(from: number, to: number, bytesMax: number): readonly Entry[];
}

/** Bytes an entry counts for against every limit: its data and a share for its frame. */
export const entryBytes = (entry: Entry): number => entry.data.length + 24;

export class MemoryLog implements LogReader {
  /** `#items[i]` has index `#base + 1 + i`. */
  #items: Entry[] = [];
  #base = 0;
  #baseTerm = 0;
  #snapshot: SnapshotMeta | null = null;
  #stable = 0;
  #handed = 0;
  /** The highest index that storage was ever given: an append at or below it replaces entries there. */
  #written = 0;

  /**
   * From storage; everything in it is durable. `entries` may begin before the snapshot's end, never behind
   * it.
   */
  static load(snapshot: SnapshotMeta | null, entries: readonly Entry[]): MemoryLog {
    const log = new MemoryLog();
    const from = snapshot?.index ?? 0;
    const first = entries[0];
    if (first === undefined || first.index === from + 1) {
      log.#base = from;
      log.#baseTerm = snapshot?.term ?? 0;
      log.#items = [...entries];
    } else {
      assert(first.index <= from, `log begins at ${first.index}, behind the snapshot's end at ${from}`);
      // The term before the first trailing entry is not on disk: the entry itself becomes the base.
      log.#base = first.index;
      log.#baseTerm = first.term;
      log.#items = entries.slice(1);
    }
    entries.forEach((entry, i) => assert.equal(entry.index, first!.index + i, 'gap in the saved log'));
    log.#snapshot = snapshot;
    log.#stable = log.#handed = log.#written = log.lastIndex;
    if (snapshot !== null && log.term(snapshot.index) !== snapshot.term) log.restore(snapshot);
    return log;
  }

  get firstIndex(): LogIndex {
    return logIndex(this.#base + 1);
  }

  get lastIndex(): LogIndex {
    return logIndex(this.#base + this.#items.length);
  }

  get lastTerm(): Term {
    return this.#items.at(-1)?.term ?? asTerm(this.#baseTerm);
  }

  get snapshot(): SnapshotMeta | null {
    return this.#snapshot;
  }

  /** Everything up to here is durable on this member. */
  get stableIndex(): LogIndex {
    return logIndex(this.#stable);
  }

  term(index: number): Term | null {
    if (index === this.#base) return asTerm(this.#baseTerm);
    return this.#items[index - this.#base - 1]?.term ?? null;
  }

  entries(from: number, to: number, bytesMax: number): readonly Entry[] {
    assert(from > this.#base && from <= to && to <= this.lastIndex + 1, `no entries [${from}, ${to})`);
    const start = from - this.#base - 1;
    const limit = to - this.#base - 1;
    let bytes = 0;
    let end = start;
    while (end < limit) {
      bytes += entryBytes(this.#items[end]!);
      if (bytes > bytesMax && end > start) break;
      end++;
    }
    return this.#items.slice(start, end);
  }

  at(index: number): Entry | undefined {
    return this.#items[index - this.#base - 1];
  }

  /** Raft §5.3: does the log hold an entry with this index and term? */
  matches(index: number, term: Term): boolean {
    return this.term(index) === term;
  }

  /** Raft §5.4.1: is a log that ends there at least as up to date as this one? */
  isUpToDate(lastIndex: number, lastTerm: Term): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /**
   * The last index <= `index` whose term is <= `term` (0 when none is known): where two logs can agree at the
   * latest, given that the other one has `term` at `index`.
   */
  lastIndexNotAbove(index: number, term: Term): { readonly index: LogIndex; readonly term: Term } {
    let at = Math.min(index, this.lastIndex);
    for (;;) {
      const here = this.term(at);
      if (here === null || here <= term) return { index: logIndex(Math.max(at, 0)), term: here ?? asTerm(0) };
      at--;
    }
  }

  append(entry: Entry): void {
    assert.equal(entry.index, this.lastIndex + 1, 'an entry must follow the last one');
    this.#items.push(entry);
  }

  /** Forgets `index` and everything behind it. */
  truncateFrom(index: number): void {
    assert(index > this.#base && index <= this.lastIndex, `cannot cut the log at ${index}`);
    this.#items.length = index - this.#base - 1;
    this.#stable = Math.min(this.#stable, index - 1);
    this.#handed = Math.min(this.#handed, index - 1);
  }

  /**
   * A snapshot up to `meta.index` is durable: drops what is before it except for trailing entries. Returns
   * the index up to which entries are gone, which storage may drop too.
   */
  compactTo(meta: SnapshotMeta, trailingEntriesMax: number, trailingBytesMax: number): LogIndex {
    assert(this.matches(meta.index, meta.term), `snapshot at ${meta.index} is not in the log`);
    this.#snapshot = meta;
    let keep = meta.index as number;
    let bytes = 0;
    while (keep > this.#base && meta.index - keep < trailingEntriesMax) {
      bytes += entryBytes(this.at(keep)!);
      if (bytes > trailingBytesMax) break;
      keep--;
    }
    if (keep > this.#base) {
      this.#baseTerm = this.term(keep)!;
      this.#items.splice(0, keep - this.#base);
      this.#base = keep;
    }
    return logIndex(keep);
  }

  /** The log starts afresh behind an installed snapshot. */
  restore(meta: SnapshotMeta): void {
    this.#items = [];
    this.#base = this.#stable = this.#handed = this.#written = meta.index;
    this.#baseTerm = meta.term;
    this.#snapshot = meta;
  }

  /**
   * What the disk has not been given yet; marks it as given. `truncateFrom` when it replaces what the disk
   * has.
   */
  hand(): { readonly entries: readonly Entry[]; readonly truncateFrom: LogIndex | null } {
    const from = this.#handed + 1;
    if (from > this.lastIndex) return { entries: [], truncateFrom: null };
    const entries = this.#items.slice(from - this.#base - 1);
    const truncateFrom = from <= this.#written ? logIndex(from) : null;
    this.#handed = this.#written = this.lastIndex;
    return { entries, truncateFrom };
  }

  /** The disk confirmed what it was given. Whatever was cut off meanwhile moved the mark down already. */
  confirm(): void {
    this.#stable = this.#handed;
  }
}
