/**
 * The saved log as its records tell it: folds `LogChange`s into hard state, entries and newest snapshot.
 * The same rules check a batch before it is written (`Wal.save`) and after it was read (`Wal.load`).
 */
import type { Entry, HardState, LogIndex, SnapshotMeta } from '../core/types.js';
import { logIndex } from '../core/types.js';
import type { LogChange } from './wal-record.js';

/** The bounds of the log, without its entries. */
export interface LogBounds {
  /** Entries up to here are gone (or were never there). */
  readonly compactedTo: LogIndex;
  readonly lastIndex: LogIndex;
}

/** The bounds after `change`; a string says why the change does not fit. */
export function boundsAfter(bounds: LogBounds, change: LogChange): LogBounds | string {
  switch (change.type) {
    case 'hard-state':
      return bounds;
    case 'reset':
      return { compactedTo: change.snapshot.index, lastIndex: change.snapshot.index };
    case 'truncate':
      if (change.from <= bounds.compactedTo) {
        return `truncation from ${change.from}, but the log is compacted to ${bounds.compactedTo}`;
      }
      return { ...bounds, lastIndex: logIndex(Math.min(bounds.lastIndex, change.from - 1)) };
    case 'append':
      return boundsAfterAppend(bounds, change.entries);
    case 'compact': {
      if (change.to > change.snapshot.index) {
        return `compaction to ${change.to}, beyond the snapshot at ${change.snapshot.index}`;
      }
      const compactedTo = logIndex(Math.max(bounds.compactedTo, change.to));
      return { compactedTo, lastIndex: logIndex(Math.max(bounds.lastIndex, compactedTo)) };
    }
    default:
      return change satisfies never;
  }
}

/**
 * Entries whose first index is not behind the last replace the tail (Raft figure 2, AppendEntries step 3).
 */
function boundsAfterAppend(bounds: LogBounds, entries: readonly Entry[]): LogBounds | string {
  const first = entries[0];
  if (first === undefined) return bounds;
  if (first.index <= bounds.compactedTo || first.index > bounds.lastIndex + 1) {
    return `entry ${first.index} does not follow the log (${bounds.compactedTo + 1} to ${bounds.lastIndex})`;
  }
  for (const [at, entry] of entries.entries()) {
    if (entry.index !== first.index + at)
      return `entry ${entry.index} stands where ${first.index + at} belongs`;
  }
  return { ...bounds, lastIndex: logIndex(first.index + entries.length - 1) };
}

export class ReplayedLog {
  bounds: LogBounds;
  hardState: HardState | null = null;
  snapshotMeta: SnapshotMeta | null = null;
  /** Consecutive; what lies at or below `bounds.compactedTo` is cut off by `finish`. */
  #entries: Entry[] = [];

  constructor(lastIndex: LogIndex) {
    this.bounds = { compactedTo: logIndex(0), lastIndex };
  }

  /** Undefined, or why the change does not fit. */
  apply(change: LogChange): string | undefined {
    const after = boundsAfter(this.bounds, change);
    if (typeof after === 'string') return after;
    if (change.type === 'hard-state') this.hardState = change.hardState;
    if (change.type === 'reset') {
      this.#entries = [];
      this.snapshotMeta = change.snapshot;
    }
    if (change.type === 'compact') {
      this.snapshotMeta = change.snapshot;
      if (after.lastIndex > this.bounds.lastIndex) this.#entries = [];
    }
    if (change.type === 'truncate') this.#cutFrom(change.from);
    if (change.type === 'append' && change.entries.length > 0) {
      this.#cutFrom(change.entries[0]!.index);
      for (const entry of change.entries) this.#entries.push(entry);
    }
    this.bounds = after;
    return undefined;
  }

  /** The entries behind `bounds.compactedTo`, or null when some of them are missing. */
  finish(): readonly Entry[] | null {
    const { compactedTo, lastIndex } = this.bounds;
    const entries = this.#entries.filter((entry) => entry.index > compactedTo);
    return entries.length === lastIndex - compactedTo ? entries : null;
  }

  #cutFrom(index: LogIndex): void {
    const first = this.#entries[0];
    if (first !== undefined)
      this.#entries.length = Math.min(this.#entries.length, Math.max(0, index - first.index));
  }
}
