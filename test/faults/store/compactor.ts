/** A client that compacts history again and again, far enough behind that nobody's watch is overtaken. */
import { revision } from 'raft-consensus';
import { StoreError } from '../../../actors/store/index.js';
import type { Clock } from '../../../transport/index.js';
import type { EtcdStoreClient } from './etcd-store-client.js';

const everyMs = 2_000;
const keptRevisions = 250;

export class Compactor {
  readonly #client: EtcdStoreClient;
  readonly #clock: Clock;
  #stopped = false;

  constructor(client: EtcdStoreClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  stop(): void {
    this.#stopped = true;
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      await new Promise<void>((resolve) => void this.#clock.setTimer(everyMs, resolve));
      try {
        const to = (await this.#client.currentRevision()) - keptRevisions;
        if (to > 0) await this.#client.compact(revision(to));
      } catch (error) {
        // Compacted already, or the store has no leader now.
        if (!(error instanceof StoreError)) throw error;
      }
    }
  }
}
