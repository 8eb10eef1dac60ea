/**
 * The key-value store as the state machine of a Raft group: entries are encoded commands. With files for values (values/), the
 * snapshots that stay with the member refer to them; what goes to another member is rewritten to hold everything.
 */
import type { Entry } from '../core/types.js';
import type { Fsm, FsmSnapshot, SnapshotRewrite } from '../fsm.js';
import { decodeCommand } from './command-codec.js';
import { KvError } from './errors.js';
import { type Applied, KvStore } from './kv-store.js';
import { KV_LIMITS } from './limits.js';
import { holdsAllValues, withAllValues } from './snapshot-rewrite.js';
import type { ValueFiles } from './values/index.js';

export interface KvFsmOptions {
  /** What is encoded in one turn, about. */
  readonly snapshotChunkBytes?: number;
  /** Absent: all values stay in memory. */
  readonly files?: ValueFiles;
  /** Of values in memory alone before the oldest are in files, too, and of values in memory before these are there alone. */
  readonly valuesUnfiledBytesMax?: number;
  readonly valuesResidentBytesMax?: number;
  readonly valueCacheBytesMax?: number;
  readonly valueSlabBytesMin?: number;
}

/** The result is null for entries that carry no command (a leader's no-op, a configuration). */
export class KvFsm implements Fsm<Applied | null> {
  readonly store: KvStore;
  readonly #snapshotChunkBytes: number;
  readonly #files: ValueFiles | null;
  #isFresh = true;

  constructor(options: KvFsmOptions = {}) {
    const {
      snapshotChunkBytes = KV_LIMITS.snapshotChunkBytes,
      files = null,
      valuesUnfiledBytesMax: unfiledBytesMax = KV_LIMITS.valuesUnfiledBytesMax,
      valuesResidentBytesMax: residentBytesMax = KV_LIMITS.valuesResidentBytesMax,
      valueCacheBytesMax: cacheBytesMax = KV_LIMITS.valueCacheBytesMax,
      valueSlabBytesMin: slabBytesMin = KV_LIMITS.slabBytesMin,
    } = options;
    this.#snapshotChunkBytes = snapshotChunkBytes;
    this.#files = files;
    this.store = new KvStore({ files, unfiledBytesMax, residentBytesMax, cacheBytesMax, slabBytesMin });
  }

  apply(entries: readonly Entry[]): readonly (Applied | null)[] {
    if (this.#isFresh) this.#started(new Set());
    return entries.map((entry) => this.#applyOne(entry));
  }

  snapshot(): FsmSnapshot {
    const files = this.#files;
    if (files === null) return this.store.snapshot(this.#snapshotChunkBytes);
    const kept = files.snapshotBegins();
    const captured = this.store.snapshotReferring(files.owner, this.#snapshotChunkBytes);
    return { chunks: () => captured.chunks(), release: () => captured.release(), kept };
  }

  async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const reader = this.store.reader();
    const kept = this.#files?.snapshotBegins();
    try {
      for await (const chunk of chunks) {
        reader.add(chunk);
        // What is read must not pile up in memory.
        await reader.versions.values.settled();
      }
      this.store.adopt(reader);
    } catch (error) {
      reader.abandon();
      throw error;
    }
    // One that the leader sent stands on the disk already, and refers to nothing.
    if (this.#isFresh) this.#started(reader.files);
    else kept?.();
  }

  rewrite(beginning: Uint8Array): SnapshotRewrite | null {
    const files = this.#files;
    if (files === null || holdsAllValues(beginning)) return null;
    return (chunks) => withAllValues(chunks, files, this.#snapshotChunkBytes);
  }

  /** The state is what the member had on its disk. */
  #started(used: Parameters<ValueFiles['started']>[0]): void {
    this.#isFresh = false;
    this.#files?.started(used);
  }

  /** Bytes that are no command are refused alike on every member. */
  #applyOne(entry: Entry): Applied | null {
    if (entry.type !== 'normal') {
      this.store.skip(entry.index);
      return null;
    }
    try {
      return this.store.apply(decodeCommand(entry.data), entry.index);
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      this.store.skip(entry.index);
      return error;
    }
  }
}
