/** What is said between a member and whoever takes a backup of it. */
import type { Revision } from 'raft-consensus';

export interface BackupOpened {
  readonly id: string;
  /** Of the state that it holds. */
  readonly revision: Revision;
  readonly compactRevision: Revision;
  readonly appliedIndex: number;
  /** Live keys. */
  readonly keys: number;
  /** Keys and values in the store then: about what is to come. */
  readonly sizeBytes: number;
}

/** A part of a snapshot of the key-value state (raft: KvSnapshotDecoder). */
export interface BackupPiece {
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}
