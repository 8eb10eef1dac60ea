/** A disk as one life of a member sees it: after its end nothing of that life reaches the disk any more. */
import { type Disk, type DiskFile, StorageError } from 'raft-consensus';

export class PoweredDisk implements Disk {
  readonly #disk: Disk;
  #isOff = false;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  off(): void {
    this.#isOff = true;
  }

  open(name: string, mode: 'existing' | 'create'): Promise<DiskFile> {
    return this.#alive(name, () => this.#disk.open(name, mode));
  }

  list(): Promise<readonly string[]> {
    return this.#alive('.', () => this.#disk.list());
  }

  remove(name: string): Promise<void> {
    return this.#alive(name, () => this.#disk.remove(name));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#alive(from, () => this.#disk.rename(from, to));
  }

  syncDirectory(): Promise<void> {
    return this.#alive('.', () => this.#disk.syncDirectory());
  }

  async #alive<T>(file: string, run: () => Promise<T>): Promise<T> {
    if (this.#isOff) throw new StorageError('DiskFailed', 'the machine crashed', { file });
    return await run();
  }
}
