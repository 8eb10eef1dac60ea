/**
 * What a member keeps on disk, as `Raft` sees it: one log (entries and hard state, saved together) and a
 * store of snapshots. hashicorp/raft has LogStore and StableStore apart; here both are one, because an
 * entry and the term it was taken in must become durable in the same write. `raft/disk` implements both on
 * files.
 */
import type { Entry, HardState, LogIndex, SnapshotMeta } from './core/types.js';

export interface SaveBatch {
  /** Replaces the saved hard state; absent: unchanged. */
  readonly hardState?: HardState;
  /**
   * The log restarts behind this snapshot (already in the snapshot store): all earlier entries are
   * forgotten first.
   */
  readonly snapshot?: SnapshotMeta;
  /** Entries from here on are forgotten before `entries` is appended; absent: `entries` continues the log. */
  readonly truncateFrom?: LogIndex;
  /** Consecutive; the first follows the last one kept. May be empty. */
  readonly entries: readonly Entry[];
  /** False: nobody relies on this batch (only the commit index moved), the fsync may be left out. */
  readonly mustSync: boolean;
}

export interface SavedLog {
  /** Null: a fresh member. */
  readonly hardState: HardState | null;
  /**
   * Consecutive. May begin at or before `snapshotMeta.index` (trailing entries), never behind its successor.
   */
  readonly entries: readonly Entry[];
  /**
   * The newest snapshot that the log was told of, by `save` or `compact`; null: the log begins at index 1.
   */
  readonly snapshotMeta: SnapshotMeta | null;
}

export interface LogStorage {
  /** Called once, before anything else. A torn tail is repaired; damage elsewhere rejects. */
  load(): Promise<SavedLog>;
  /**
   * Resolves when the batch is durable, whole. One call at a time. A rejection ends the member: an fsync
   * is never tried again, since the kernel may have dropped the pages.
   */
  save(batch: SaveBatch): Promise<void>;
  /**
   * Entries up to and with `toIndex` may be dropped; `snapshot` (index >= toIndex) is durable in the
   * snapshot store. Never called while a `save` runs.
   */
  compact(toIndex: LogIndex, snapshot: SnapshotMeta): Promise<void>;
}

export interface SnapshotInfo {
  readonly meta: SnapshotMeta;
  /** Of the content. */
  readonly bytes: number;
  /** Of the content, the same wherever the same bytes are stored: `ContentSum`. */
  readonly checksum: number;
}

/** A snapshot that is being written. One call at a time; after `commit` or `abort` none. */
export interface SnapshotSink {
  /** Bytes of content so far. */
  readonly bytes: number;
  /** Of the content so far, as `SnapshotInfo.checksum`. */
  readonly checksum: number;
  /** The chunk may be used again as soon as this resolves. Not durable before `commit`. */
  write(chunk: Uint8Array): Promise<void>;
  /** Resolves when the snapshot is durable under its final name; older ones may go then. */
  commit(): Promise<SnapshotInfo>;
  /** Leaves nothing behind. */
  abort(): Promise<void>;
  /** Instead of `commit`: to be read until it is closed, and then gone. It is never durable. */
  scratch(): Promise<SnapshotSource>;
}

/** A stored snapshot, open for reading; it stays readable when newer ones replace it, until `close`. */
export interface SnapshotSource extends SnapshotInfo {
  /** Content from `offset` on, `length` bytes or what there is; rejects when it does not match its checksum. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface SnapshotStore {
  create(meta: SnapshotMeta): Promise<SnapshotSink>;
  /** The newest intact one; null when there is none. Rejects when there are some and all are damaged. */
  open(): Promise<SnapshotSource | null>;
}
