/** The key-value store as the state machine of a Raft group: entries are encoded commands. */
import type { Entry } from '../core/types.js';
import type { Fsm, FsmSnapshot } from '../fsm.js';
import { decodeCommand } from './command-codec.js';
import { KvError } from './errors.js';
import { type Applied, KvStore } from './kv-store.js';
import { KV_LIMITS } from './limits.js';
import { KvSnapshotReader } from './snapshot-reader.js';

/** The result is null for entries that carry no command (a leader's no-op, a configuration). */
export class KvFsm implements Fsm<Applied | null> {
  readonly store: KvStore;
  readonly #snapshotChunkBytes: number;

  /** `snapshotChunkBytes`: what is encoded in one turn, about. */
  constructor(store: KvStore = new KvStore(), snapshotChunkBytes: number = KV_LIMITS.snapshotChunkBytes) {
    this.store = store;
    this.#snapshotChunkBytes = snapshotChunkBytes;
  }

  apply(entries: readonly Entry[]): readonly (Applied | null)[] {
    return entries.map((entry) => this.#applyOne(entry));
  }

  snapshot(): FsmSnapshot {
    return this.store.snapshot(this.#snapshotChunkBytes);
  }

  async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const reader = new KvSnapshotReader();
    for await (const chunk of chunks) reader.add(chunk);
    this.store.adopt(reader);
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
