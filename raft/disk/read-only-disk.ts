/** A folder of a real disk whose files can be read and not changed: what a check of a stopped member looks at. */
import { join } from 'node:path';
import type { Disk, DiskFile } from './disk.js';
import { filesIn } from './real-disk.js';
import { ReadOnlyFile } from './read-only-file.js';

export class ReadOnlyDisk implements Disk {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async open(name: string, mode: 'existing' | 'create'): Promise<DiskFile> {
    return mode === 'create' ? await this.#refuse() : await ReadOnlyFile.open(join(this.#folder, name), name);
  }

  list(): Promise<readonly string[]> {
    return filesIn(this.#folder);
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
