/**
 * Storage that lives as long as the object (hashicorp/raft: InmemStore): for tests, demos and members that
 * may forget. It keeps to the contract of `LogStorage` and asserts that its caller does.
 */
import { strict as assert } from 'node:assert';
import type { Entry, HardState, LogIndex, SnapshotMeta } from './core/types.js';
import { BlockCutter } from './disk/content-sum.js';
import type {
  LogStorage,
  SaveBatch,
  SavedLog,
  SnapshotInfo,
  SnapshotSink,
  SnapshotSource,
  SnapshotStore,
} from './storage.js';

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

/** Keeps the newest. */
export class MemorySnapshots implements SnapshotStore {
  #newest: MemorySource | null = null;

  async create(meta: SnapshotMeta): Promise<SnapshotSink> {
    return new MemorySink(meta, (source) => (this.#newest = source));
  }

  async open(): Promise<SnapshotSource | null> {
    return this.#newest;
  }
}

class MemorySink implements SnapshotSink {
  readonly #meta: SnapshotMeta;
  readonly #keep: (source: MemorySource) => void;
  readonly #chunks: Uint8Array[] = [];
  readonly #cutter = new BlockCutter();
  #bytes = 0;

  constructor(meta: SnapshotMeta, keep: (source: MemorySource) => void) {
    this.#meta = meta;
    this.#keep = keep;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get checksum(): number {
    return this.#cutter.checksum;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#chunks.push(new Uint8Array(chunk));
    this.#bytes += chunk.length;
    this.#cutter.sumUp(chunk);
  }

  async commit(): Promise<SnapshotInfo> {
    const source = new MemorySource(this.#meta, this.checksum, new Uint8Array(Buffer.concat(this.#chunks)));
    this.#keep(source);
    return source;
  }

  async abort(): Promise<void> {
    this.#chunks.length = 0;
  }

  async scratch(): Promise<SnapshotSource> {
    return new MemorySource(this.#meta, this.checksum, new Uint8Array(Buffer.concat(this.#chunks)));
  }
}

class MemorySource implements SnapshotSource {
  readonly meta: SnapshotMeta;
  readonly checksum: number;
  readonly #data: Uint8Array;

  constructor(meta: SnapshotMeta, checksum: number, data: Uint8Array) {
    this.meta = meta;
    this.checksum = checksum;
    this.#data = data;
  }

  get bytes(): number {
    return this.#data.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.#data.slice(offset, offset + length);
  }

  async close(): Promise<void> {}
}
