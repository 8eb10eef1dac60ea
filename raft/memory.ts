/**
 * Storage that lives as long as the object (hashicorp/raft: InmemStore): for tests, demos and members that
 * may forget. It keeps to the contract of `LogStorage` and asserts that its caller does.
 */
import { strict as assert } from 'node:assert';
import type { Entry, HardState, LogIndex, SnapshotMeta } from './core/types.js';
import type { LogStorage, SaveBatch, SavedLog, SnapshotStore, StoredSnapshot } from './storage.js';

export class MemoryStorage implements LogStorage {
  #hardState: HardState | null = null;
  #entries: Entry[] = [];
  #snapshotMeta: SnapshotMeta | null = null;

  async load(): Promise<SavedLog> {
    return { hardState: this.#hardState, entries: [...this.#entries], snapshotMeta: this.#snapshotMeta };
  }

  async save(batch: SaveBatch): Promise<void> {
    if (batch.hardState !== undefined) this.#hardState = batch.hardState;
    if (batch.snapshot !== undefined) {
      this.#snapshotMeta = batch.snapshot;
      this.#entries = [];
    }
    const { truncateFrom } = batch;
    if (truncateFrom !== undefined) {
      while (this.#entries.length > 0 && this.#entries.at(-1)!.index >= truncateFrom) this.#entries.pop();
    }
    for (const entry of batch.entries) {
      assert.equal(entry.index, this.#lastIndex() + 1, 'a saved entry must follow the last one');
      this.#entries.push(entry);
    }
  }

  async compact(toIndex: LogIndex, snapshot: SnapshotMeta): Promise<void> {
    assert(toIndex <= snapshot.index, 'only what a snapshot covers may be dropped');
    this.#snapshotMeta = snapshot;
    const first = this.#entries[0]?.index ?? 0;
    if (toIndex >= first) this.#entries.splice(0, toIndex - first + 1);
  }

  #lastIndex(): number {
    return this.#entries.at(-1)?.index ?? this.#snapshotMeta?.index ?? 0;
  }
}

export class MemorySnapshots implements SnapshotStore {
  #newest: StoredSnapshot | null = null;

  async save(meta: SnapshotMeta, data: Uint8Array): Promise<void> {
    this.#newest = { meta, data };
  }

  async latest(): Promise<SnapshotMeta | null> {
    return this.#newest?.meta ?? null;
  }

  async load(): Promise<StoredSnapshot | null> {
    return this.#newest;
  }
}
