/**
 * A stored snapshot as another member can restore it. Where the state machine's refer to what it keeps elsewhere (Fsm.rewrite),
 * the whole is written once more, to a file that nobody else knows and that is gone when it was sent: so its length and its
 * checksum are known before the first piece leaves, and pieces can be read again.
 */
import type { LogIndex } from './core/types.js';
import type { Fsm } from './fsm.js';
import type { SnapshotSink, SnapshotSource, SnapshotStore } from './storage.js';
import type { Clock } from './transport.js';

export interface SnapshotTravelParts {
  readonly fsm: Pick<Fsm<unknown>, 'rewrite'>;
  readonly store: SnapshotStore;
  readonly clock: Pick<Clock, 'defer'>;
  /** Of one chunk read. */
  readonly readBytes: number;
}

export class SnapshotTravel {
  readonly #parts: SnapshotTravelParts;
  readonly #indexes = new Set<{ readonly index: LogIndex }>();
  #stopped = false;

  constructor(parts: SnapshotTravelParts) {
    this.#parts = parts;
  }

  /** Of the oldest snapshot that is being written for a peer; null: none is. */
  get oldestIndex(): LogIndex | null {
    let oldest: LogIndex | null = null;
    for (const { index } of this.#indexes) if (oldest === null || index < oldest) oldest = index;
    return oldest;
  }

  /** Closes `source` unless it returns it; null: `stop` came in between. */
  async formOf(source: SnapshotSource): Promise<SnapshotSource | null> {
    const { fsm, store, clock, readBytes } = this.#parts;
    const rewrite = fsm.rewrite?.(await source.read(0, readBytes)) ?? null;
    if (rewrite === null) return source;
    const { meta } = source;
    this.#indexes.add(meta);
    let sink: SnapshotSink | null = null;
    try {
      sink = await store.create(meta);
      for await (const chunk of rewrite(chunksOf(source, readBytes, clock))) {
        if (this.#stopped) break;
        await sink.write(chunk);
        await new Promise<void>((resolve) => clock.defer(resolve));
      }
      if (!this.#stopped) return await sink.scratch();
      await sink.abort();
      return null;
    } catch (error) {
      await sink?.abort();
      throw error;
    } finally {
      this.#indexes.delete(meta);
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}

/** The content from beginning to end, a turn of the event loop between any two chunks; closes `source`. */
export async function* chunksOf(
  source: SnapshotSource,
  chunkBytes: number,
  clock: Pick<Clock, 'defer'>,
): AsyncGenerator<Uint8Array> {
  try {
    for (let at = 0; at < source.bytes; at += chunkBytes) {
      if (at > 0) await new Promise<void>((resolve) => clock.defer(resolve));
      yield await source.read(at, chunkBytes);
    }
  } finally {
    await source.close();
  }
}
