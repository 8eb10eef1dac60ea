/**
 * What the core wants done, and in which order. The host may ask for a `Ready` at any time, also while it
 * saves the last one's `persist`: then the new one holds only work that does not depend on the disk. The
 * order:
 *
 *   1. `softState`, `readStates`, `droppedReads`: tell whoever waits.
 *   2. `messages`: send. A leader's appends are here, so they travel while its own fsync runs.
 *   3. `persist`: save, then call `core.persisted()`, then send its `messages`. Nothing in them is true
 *      before.
 *   4. `committed`: apply in order, then call `core.applied(index)`. They are durable on this member already.
 *
 * At most one `persist` is outstanding; what the core decides meanwhile makes up the next one (group commit).
 */
import type { Message } from './messages.js';
import type { Entry, HardState, LogIndex, MemberId, SnapshotMeta, Term } from './types.js';

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader';

/** Needs no disk. */
export interface SoftState {
  readonly role: Role;
  readonly leader: MemberId | null;
  readonly term: Term;
}

/** The read with this context may be served once `index` is applied. */
export interface ReadState {
  readonly context: number;
  readonly index: LogIndex;
}

export interface InstalledSnapshot {
  readonly meta: SnapshotMeta;
  readonly data: Uint8Array;
}

export interface Persist {
  /** Null: unchanged. */
  readonly hardState: HardState | null;
  /**
   * Save it, drop the whole log, and after `persisted` restore the state machine from it, then
   * `applied(meta.index)`.
   */
  readonly snapshot: InstalledSnapshot | null;
  /** Drop entries from here on before `entries` are appended; null: they continue the log. */
  readonly truncateFrom: LogIndex | null;
  readonly entries: readonly Entry[];
  /** False when only the commit index moved: losing that does no harm. */
  readonly mustSync: boolean;
  /** Votes and acknowledgements: only after this batch is durable. */
  readonly messages: readonly Message[];
}

export interface Ready {
  /** Null: unchanged since the last `Ready`. */
  readonly softState: SoftState | null;
  readonly messages: readonly Message[];
  readonly persist: Persist | null;
  readonly committed: readonly Entry[];
  readonly readStates: readonly ReadState[];
  /** Reads that will not be answered: leadership was lost, no leader is known, or too many wait. */
  readonly droppedReads: readonly number[];
}
