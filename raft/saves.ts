/**
 * What a member's core wants on its disk, one batch at a time: the log, before it what a snapshot makes superfluous, or, of an
 * installed snapshot, the snapshot itself. Watches how long each takes.
 */
import type { Persist } from './core/ready.js';
import { DiskWatch } from './disk-watch.js';
import type { Snapshotter } from './snapshotter.js';
import type { LogStorage, SaveBatch } from './storage.js';
import type { Clock } from './transport.js';

export interface SavesOptions {
  readonly storage: LogStorage;
  readonly snapshotter: Pick<Snapshotter<unknown>, 'takeCompaction' | 'install'>;
  readonly clock: Clock;
  readonly electionTimeoutMs: number;
}

export class Saves {
  readonly #options: SavesOptions;
  readonly #watch: DiskWatch;
  #running: Promise<void> | null = null;

  constructor(options: SavesOptions) {
    this.#options = options;
    this.#watch = new DiskWatch(options.electionTimeoutMs);
  }

  /** The save that is under way, and what follows from it; null: none is. */
  get running(): Promise<void> | null {
    return this.#running;
  }

  begin(persist: Persist, durable: () => void, failed: (error: unknown) => void): void {
    this.#watch.begin(this.#options.clock.monotonicMs());
    this.#running = this.#write(persist).then(
      () => {
        this.#ended();
        durable();
      },
      (error: unknown) => {
        this.#ended();
        failed(error);
      },
    );
  }

  reload(electionTimeoutMs: number): void {
    this.#watch.reload(electionTimeoutMs);
  }

  /** Null: the disk does not keep anybody waiting. */
  stall(nowMs: number): ReturnType<DiskWatch['check']> {
    return this.#watch.check(nowMs);
  }

  #ended(): void {
    this.#running = null;
    this.#watch.end();
  }

  #write(persist: Persist): Promise<void> {
    const { storage, snapshotter } = this.#options;
    const batch: SaveBatch = {
      entries: persist.entries,
      mustSync: persist.mustSync,
      ...(persist.hardState !== null && { hardState: persist.hardState }),
      ...(persist.truncateFrom !== null && { truncateFrom: persist.truncateFrom }),
      ...(persist.snapshot !== null && { snapshot: persist.snapshot.meta }),
    };
    const due = snapshotter.takeCompaction();
    // The log begins anew behind an installed snapshot: nothing is left to compact.
    if (persist.snapshot !== null) {
      return snapshotter.install(persist.snapshot).then(() => storage.save(batch));
    }
    if (due === null) return storage.save(batch);
    return storage.compact(due.toIndex, due.snapshot).then(() => storage.save(batch));
  }
}
