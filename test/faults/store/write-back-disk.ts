/**
 * A disk that keeps in the memory of its process what nobody has synced yet, in front of the real one: SIGKILL alone loses
 * nothing, since the kernel has it, but what is only here is gone with the process, as after a power failure. Creations,
 * renames and removals wait for `syncDirectory`. Some writes reach the real disk early and in part, as a kernel may have it.
 * Orders of the test make syncs stand still or fail.
 */
import type { Disk, DiskFile } from 'raft-consensus';
import type { Random } from '../../../transport/index.js';
import type { DiskOrders } from './disk-orders.js';

type Write =
  | { readonly type: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly type: 'truncate'; readonly length: number };

type DirectoryChange =
  | { readonly type: 'create'; readonly name: string; readonly inode: Inode }
  | { readonly type: 'rename'; readonly from: string; readonly to: string }
  | { readonly type: 'remove'; readonly name: string };

const sectorBytes = 512;
/** Of the writes to files that have a name on the disk. */
const earlyWrites = 0.2;

export interface WriteBackOptions {
  readonly orders: DiskOrders;
  readonly random: Random;
}

export class WriteBackDisk implements Disk {
  readonly #real: Disk;
  readonly #options: WriteBackOptions;
  readonly #names = new Map<string, Inode>();
  readonly #changes: DirectoryChange[] = [];
  /** The real disk does one thing at a time. */
  #tail: Promise<unknown> = Promise.resolve();

  private constructor(real: Disk, options: WriteBackOptions) {
    this.#real = real;
    this.#options = options;
  }

  static async over(real: Disk, options: WriteBackOptions): Promise<WriteBackDisk> {
    const disk = new WriteBackDisk(real, options);
    for (const name of await real.list()) {
      const inode = new Inode();
      inode.load(await real.open(name, 'existing'));
      disk.#names.set(name, inode);
    }
    return disk;
  }

  async open(name: string, mode: 'existing' | 'create'): Promise<DiskFile> {
    let inode = this.#names.get(name);
    // Without one, the real disk says why it cannot be opened.
    if (!inode && mode === 'existing') return this.#real.open(name, 'existing');
    if (!inode) {
      inode = new Inode();
      this.#names.set(name, inode);
      this.#changes.push({ type: 'create', name, inode });
    }
    await inode.loaded;
    return new WriteBackFile(this, name, inode);
  }

  async list(): Promise<readonly string[]> {
    return [...this.#names.keys()].toSorted();
  }

  async remove(name: string): Promise<void> {
    if (!this.#names.delete(name)) return this.#real.remove(name);
    this.#changes.push({ type: 'remove', name });
  }

  async rename(from: string, to: string): Promise<void> {
    const inode = this.#names.get(from);
    if (!inode) return this.#real.rename(from, to);
    this.#names.delete(from);
    this.#names.set(to, inode);
    this.#changes.push({ type: 'rename', from, to });
  }

  async syncDirectory(): Promise<void> {
    const last = this.#changes.at(-1);
    await this.#options.orders.beforeSync();
    await this.run(async () => {
      for (const change of takenUpTo(this.#changes, last)) await this.#carryOut(change);
      await this.#real.syncDirectory();
    });
  }

  /** What was written before the call. */
  async sync(inode: Inode): Promise<void> {
    const last = inode.pending.at(-1);
    await this.#options.orders.beforeSync();
    await this.run(async () => {
      const writes = takenUpTo(inode.pending, last);
      if (inode.file) await toDisk(inode.file, writes);
      else inode.nameless.push(...writes);
    });
  }

  /** A whole number of sectors of it reaches the disk before anybody asked for it. */
  early(inode: Inode, offset: number, bytes: Uint8Array): void {
    const { random } = this.#options;
    const { file, pending } = inode;
    if (!file || random.next() >= earlyWrites || pending.some(({ type }) => type === 'truncate')) return;
    const part = bytes.subarray(0, sectorBytes * random.integer(2 + Math.floor(bytes.length / sectorBytes)));
    // If the disk refuses, the sync that is to come will say so.
    this.run(() => file.write(offset, [part])).catch(() => undefined);
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(work);
    this.#tail = done.catch(() => undefined);
    return done;
  }

  async #carryOut(change: DirectoryChange): Promise<void> {
    switch (change.type) {
      case 'create': {
        const { inode } = change;
        inode.file = await this.#real.open(change.name, 'create');
        await toDisk(inode.file, inode.nameless);
        inode.nameless = [];
        return;
      }
      case 'rename':
        return this.#real.rename(change.from, change.to);
      case 'remove':
        return this.#real.remove(change.name);
      default:
        change satisfies never;
    }
  }
}

/** Takes out everything up to `last`; nothing when another sync has had it. */
function takenUpTo<T>(items: T[], last: T | undefined): T[] {
  return last === undefined ? [] : items.splice(0, items.indexOf(last) + 1);
}

async function toDisk(file: DiskFile, writes: readonly Write[]): Promise<void> {
  for (const write of writes) {
    if (write.type === 'write') await file.write(write.offset, [write.bytes]);
    else await file.truncate(write.length);
  }
  await file.sync();
}

class Inode {
  /** As the process sees it. */
  bytes = Buffer.alloc(0);
  size = 0;
  loaded: Promise<void> = Promise.resolve();
  readonly pending: Write[] = [];
  /** Synced, but of a file whose name is not on the disk. */
  nameless: Write[] = [];
  /** Absent as long as its name is not on the disk. */
  file: DiskFile | undefined;

  load(file: DiskFile): void {
    this.file = file;
    this.loaded = (async () => {
      this.size = await file.size();
      this.bytes = Buffer.from(await file.read(0, this.size));
    })();
  }

  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    if (end > this.bytes.length) {
      const grown = Buffer.alloc(Math.max(end, 2 * this.bytes.length));
      this.bytes.copy(grown);
      this.bytes = grown;
    }
    this.bytes.set(bytes, offset);
    this.size = Math.max(this.size, end);
    this.pending.push({ type: 'write', offset, bytes });
  }

  truncate(length: number): void {
    this.bytes.fill(0, Math.min(length, this.size), this.size);
    if (length > this.bytes.length) this.bytes = Buffer.concat([this.bytes], length);
    this.size = length;
    this.pending.push({ type: 'truncate', length });
  }
}

class WriteBackFile implements DiskFile {
  readonly name: string;
  readonly #disk: WriteBackDisk;
  readonly #inode: Inode;

  constructor(disk: WriteBackDisk, name: string, inode: Inode) {
    this.name = name;
    this.#disk = disk;
    this.#inode = inode;
  }

  async write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    // A copy: the caller may use its buffers again.
    const bytes = Buffer.concat(chunks);
    this.#disk.early(this.#inode, offset, bytes);
    this.#inode.write(offset, bytes);
  }

  async writeSynced(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    await this.write(offset, chunks);
    await this.sync();
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.readNow(offset, length);
  }

  readNow(offset: number, length: number): Uint8Array {
    const { bytes, size } = this.#inode;
    return Uint8Array.prototype.slice.call(bytes, offset, Math.min(size, offset + length));
  }

  async size(): Promise<number> {
    return this.#inode.size;
  }

  async truncate(length: number): Promise<void> {
    this.#inode.truncate(length);
  }

  sync(): Promise<void> {
    return this.#disk.sync(this.#inode);
  }

  /** The real file stays open as long as the process lives: others may have the same one open. */
  async close(): Promise<void> {}
}
