/**
 * The disk of a real machine: node:fs on one folder. An edge (ARCHITECTURE rule 2): with read-only-file.ts the only file of
 * raft/ that touches the outside. Writes are pwritev, durability is fdatasync or O_DSYNC for a file and fsync for the
 * folder (fsync(2), NOTES; open(2)).
 */
import { constants, readSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Disk, DiskFile } from './disk.js';
import { StorageError } from './errors.js';
import { checkFileName } from './file-name.js';

export class RealDisk implements Disk {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the folder when it is absent. */
  static async open(folder: string): Promise<RealDisk> {
    await attempt('create the folder', folder, () => mkdir(folder, { recursive: true, mode: 0o700 }));
    return new RealDisk(folder);
  }

  async open(name: string, mode: 'existing' | 'create'): Promise<DiskFile> {
    checkFileName(name);
    const flags = constants.O_RDWR | (mode === 'create' ? constants.O_CREAT : 0);
    const path = join(this.#folder, name);
    const handle = await attempt('open', name, () => open(path, flags, 0o600));
    return new RealFile(name, path, handle);
  }

  async list(): Promise<readonly string[]> {
    return await attempt('list', this.#folder, () => filesIn(this.#folder));
  }

  async remove(name: string): Promise<void> {
    checkFileName(name);
    await attempt('remove', name, () => rm(join(this.#folder, name)));
  }

  async rename(from: string, to: string): Promise<void> {
    checkFileName(from);
    checkFileName(to);
    await attempt('rename', from, () => rename(join(this.#folder, from), join(this.#folder, to)));
  }

  async syncDirectory(): Promise<void> {
    await attempt('sync the folder', this.#folder, async () => {
      const handle = await open(this.#folder, constants.O_RDONLY);
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    });
  }
}

export class RealFile implements DiskFile {
  readonly name: string;
  readonly #path: string;
  readonly #handle: FileHandle;
  /** The same file once more, of which every write is durable when it returns (open(2), O_DSYNC). */
  #synced: FileHandle | undefined;

  constructor(name: string, path: string, handle: FileHandle) {
    this.name = name;
    this.#path = path;
    this.#handle = handle;
  }

  async write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    await attempt('write', this.name, () => writeAll(this.#handle, offset, chunks));
  }

  /** One call of the system where `write` and `sync` are two, each with a way to a thread and back. */
  async writeSynced(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    await attempt('write', this.name, async () => {
      this.#synced ??= await open(this.#path, constants.O_WRONLY | constants.O_DSYNC);
      await writeAll(this.#synced, offset, chunks);
    });
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return await attempt('read', this.name, async () => {
      const bytes = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await this.#handle.read(bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    });
  }

  readNow(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let filled = 0;
    try {
      while (filled < length) {
        const more = readSync(this.#handle.fd, bytes, filled, length - filled, offset + filled);
        if (more === 0) break;
        filled += more;
      }
    } catch (cause) {
      throw diskFailed('read', this.name, cause);
    }
    return bytes.subarray(0, filled);
  }

  async size(): Promise<number> {
    return await attempt('stat', this.name, async () => (await this.#handle.stat()).size);
  }

  async truncate(length: number): Promise<void> {
    await attempt('truncate', this.name, () => this.#handle.truncate(length));
  }

  async sync(): Promise<void> {
    await attempt('fdatasync', this.name, () => this.#handle.datasync());
  }

  async close(): Promise<void> {
    await attempt('close', this.name, async () => {
      await this.#synced?.close();
      await this.#handle.close();
    });
  }
}

async function writeAll(handle: FileHandle, offset: number, chunks: readonly Uint8Array[]): Promise<void> {
  let at = offset;
  let rest = chunks.filter((chunk) => chunk.length > 0);
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, at);
    if (bytesWritten === 0) throw new Error('pwritev wrote nothing');
    at += bytesWritten;
    rest = after(rest, bytesWritten);
  }
}

/** Their names, in order; folders and the like are left out. */
export async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();
}

/** What is left of `chunks` after a short write. */
function after(chunks: readonly Uint8Array[], written: number): Uint8Array[] {
  let skip = written;
  const rest: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (skip >= chunk.length) skip -= chunk.length;
    else {
      rest.push(chunk.subarray(skip));
      skip = 0;
    }
  }
  return rest;
}

async function attempt<T>(operation: string, file: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw diskFailed(operation, file, cause);
  }
}

function diskFailed(operation: string, file: string, cause: unknown): StorageError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StorageError(
    'DiskFailed',
    `cannot ${operation}: ${reason}`,
    { file, definite: false },
    { cause },
  );
}
