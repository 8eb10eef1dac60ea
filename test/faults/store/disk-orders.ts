/**
 * What a test wants of the disk of one member, as a file beside it: the member's process reads it before each sync, so no
 * other way into that process is needed. Both sides are here.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StorageError } from 'raft-consensus';
import type { PlantedName } from './planted.js';

export interface Orders {
  readonly seed: number;
  /** Every sync waits until this is gone. */
  readonly stalled?: boolean;
  /** Every sync fails. */
  readonly broken?: boolean;
  readonly bugs: readonly PlantedName[];
}

const pollMs = 20;

export class DiskOrders {
  readonly #path: string;

  /** `machine`: the folder of the member's machine. */
  constructor(machine: string) {
    this.#path = join(machine, 'disk-orders.json');
  }

  read(): Orders {
    return JSON.parse(readFileSync(this.#path, 'utf8')) as Orders;
  }

  give(orders: Orders): void {
    writeFileSync(`${this.#path}.tmp`, JSON.stringify(orders));
    renameSync(`${this.#path}.tmp`, this.#path);
  }

  async beforeSync(): Promise<void> {
    for (;;) {
      const { stalled, broken } = this.read();
      if (broken) {
        throw new StorageError('DiskFailed', 'the test broke this disk', {
          file: this.#path,
          definite: false,
        });
      }
      if (!stalled) return;
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }
}
