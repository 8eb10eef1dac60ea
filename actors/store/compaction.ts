/** When a leader compacts: some history is kept, less when it is large. */
import type { KvStore, Revision } from 'raft-consensus';
import type { StoreLimits } from './limits.js';

export class Compaction {
  readonly #store: KvStore;
  readonly #limits: StoreLimits;
  #mark: CompactionMark | undefined;

  constructor(store: KvStore, limits: StoreLimits) {
    this.#store = store;
    this.#limits = limits;
  }

  /** This member does not lead: whoever does sees to it. */
  rest(): void {
    this.#mark = undefined;
  }

  /**
   * The revision that is to be compacted now, null: none. Keeps `compactionRetentionMs` of history, less if it is large: what was
   * the newest then may be compacted now.
   */
  due(nowMs: number): Revision | null {
    const due = this.#mark;
    const { revision, compactRevision, sizeBytes } = this.#store;
    const { compactionRetentionMs, compactionRetentionMinMs, compactionHistoryBytesMax } = this.#limits;
    let hasGrown = false;
    if (due) {
      // An earlier compaction may still be freeing.
      due.bytes = Math.min(due.bytes, sizeBytes);
      hasGrown = sizeBytes - due.bytes > compactionHistoryBytesMax;
      const retentionMs = hasGrown || due.isUrgent ? compactionRetentionMinMs : compactionRetentionMs;
      if (nowMs - due.atMs < retentionMs) return null;
    }
    this.#mark = { revision, atMs: nowMs, bytes: sizeBytes, isUrgent: hasGrown };
    return due && due.revision > compactRevision ? due.revision : null;
  }
}

/** What was the newest revision at a moment, and how much there was. */
interface CompactionMark {
  readonly revision: Revision;
  readonly atMs: number;
  bytes: number;
  /** History has become large before it: it need not grow old. */
  readonly isUrgent: boolean;
}
