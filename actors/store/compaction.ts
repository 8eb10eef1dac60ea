/** When a leader compacts: some history is kept, less when it is large. */
import { type KvStore, type Revision, revision as asRevision } from 'raft-consensus';
import type { StoreLimits } from './limits.js';

export class Compaction {
  readonly #store: KvStore;
  readonly #limits: StoreLimits;
  #mark: CompactionMark | undefined;
  /** When revisions were last counted, or could have been. */
  #countedAtMs: number | undefined;

  constructor(store: KvStore, limits: StoreLimits) {
    this.#store = store;
    this.#limits = limits;
  }

  /** This member does not lead: whoever does sees to it. */
  rest(): void {
    this.#mark = undefined;
    this.#countedAtMs = undefined;
  }

  /** The revision that is to be compacted now, null: none. */
  due(nowMs: number): Revision | null {
    return this.#limits.compactionRetentionRevisions > 0 ? this.#dueByCount(nowMs) : this.#dueByAge(nowMs);
  }

  /** Keeps so many revisions, which are counted now and then (etcd: each five minutes). */
  #dueByCount(nowMs: number): Revision | null {
    const { compactionRetentionRevisions, compactionCountIntervalMs } = this.#limits;
    this.#mark = undefined;
    this.#countedAtMs ??= nowMs;
    if (nowMs - this.#countedAtMs < compactionCountIntervalMs) return null;
    this.#countedAtMs = nowMs;
    const oldest = this.#store.revision - compactionRetentionRevisions;
    return oldest > this.#store.compactRevision ? asRevision(oldest) : null;
  }

  /** Keeps `compactionRetentionMs` of history, less if it is large: what was the newest then may be compacted now. */
  #dueByAge(nowMs: number): Revision | null {
    const due = this.#mark;
    const { revision, compactRevision, sizeBytes } = this.#store;
    const { compactionRetentionMs, compactionRetentionMinMs, compactionHistoryBytesMax } = this.#limits;
    let hasGrown = false;
    if (due) {
      // An earlier compaction may still be freeing.
      due.bytes = Math.min(due.bytes, sizeBytes);
      hasGrown = sizeBytes - due.bytes > compactionHistoryBytesMax;
      const wantedMs = compactionRetentionMs === 0 ? Infinity : compactionRetentionMs;
      const retentionMs = hasGrown || due.isUrgent ? compactionRetentionMinMs : wantedMs;
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
