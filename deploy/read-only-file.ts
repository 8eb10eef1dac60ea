/** A file that the user named, for reading, as the store's own code reads files. */
import { readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { DiskFile } from 'raft-consensus';

export class ReadOnlyFile implements DiskFile {
  readonly name: string;
  readonly #handle: FileHandle;

  /** `name`: what it is called in messages. */
  static async open(path: string, name = path): Promise<ReadOnlyFile> {
    return new ReadOnlyFile(name, await open(path, 'r'));
  }

  private constructor(name: string, handle: FileHandle) {
    this.name = name;
    this.#handle = handle;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#handle.read(bytes, filled, length - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  }

  readNow(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    return bytes.subarray(0, readSync(this.#handle.fd, bytes, 0, length, offset));
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  write(): Promise<void> {
    return this.#refuse();
  }

  truncate(): Promise<void> {
    return this.#refuse();
  }

  sync(): Promise<void> {
    return this.#refuse();
  }

  #refuse(): Promise<never> {
    return Promise.reject(new Error(`${this.name} is opened for reading only`));
  }
}
