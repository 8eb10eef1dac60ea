/** A folder whose files can be read and not changed, as the store's own code sees folders. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Disk, DiskFile } from 'raft-consensus';
import { ReadOnlyFile } from './read-only-file.js';

export class ReadOnlyDisk implements Disk {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async open(name: string, mode: 'existing' | 'create'): Promise<DiskFile> {
    return mode === 'create' ? await this.#refuse() : await ReadOnlyFile.open(join(this.#folder, name), name);
  }

  async list(): Promise<readonly string[]> {
    const entries = await readdir(this.#folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort();
  }

  remove(): Promise<void> {
    return this.#refuse();
  }

  rename(): Promise<void> {
    return this.#refuse();
  }

  syncDirectory(): Promise<void> {
    return this.#refuse();
  }

  #refuse(): Promise<never> {
    return Promise.reject(new Error(`${this.#folder} is opened for reading only`));
  }
}
