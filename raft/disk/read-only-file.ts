/** A file of a real disk that can be read and not changed, wherever it lies: backups, and what a check looks at. */
import { open } from 'node:fs/promises';
import { RealFile } from './real-disk.js';

export class ReadOnlyFile extends RealFile {
  /** `name`: what it is called in messages. Rejects as node:fs does when there is no such file. */
  static async open(path: string, name = path): Promise<ReadOnlyFile> {
    return new ReadOnlyFile(name, path, await open(path, 'r'));
  }

  override write(): Promise<void> {
    return this.#refuse();
  }

  override writeSynced(): Promise<void> {
    return this.#refuse();
  }

  override truncate(): Promise<void> {
    return this.#refuse();
  }

  override sync(): Promise<void> {
    return this.#refuse();
  }

  #refuse(): Promise<never> {
    return Promise.reject(new Error(`${this.name} is opened for reading only`));
  }
}
