/**
 * Reads a bbolt file that somebody gives us: the buckets of its root, and the entries of a bucket in the order of their keys,
 * a leaf page at a time. Nothing that it says is believed: pages must lie in the file, be what their parents take them for,
 * and be met once; whatever is not so is a BackupError that names the byte. Pages that bbolt has freed are not looked at.
 */
import type { DiskFile } from 'raft-consensus';
import {
  type BoltMeta,
  BOLT_PAGE_BYTES,
  BUCKET_FLAG,
  BUCKET_HEADER_BYTES,
  ELEMENT_BYTES,
  META_BYTES,
  PAGE_FLAGS,
  PAGE_HEADER_BYTES,
  readMeta,
} from './bolt-page.js';
import { BackupError } from './errors.js';
import { backupLimits } from './limits.js';

export interface BoltEntry {
  readonly key: Buffer;
  readonly value: Buffer;
  /** Where it stands in the file. */
  readonly at: number;
}

export interface BoltBucket {
  readonly name: string;
  readonly entries: () => AsyncGenerator<readonly BoltEntry[]>;
}

export class BoltReader {
  readonly #window: WindowedFile;
  readonly #meta: BoltMeta;
  /** Bytes of the file that are bbolt's. */
  readonly bytes: number;

  /** `bytes`: of the file, without what follows the database. */
  static async open(file: DiskFile, bytes: number): Promise<BoltReader> {
    const window = new WindowedFile(file, bytes);
    const meta = await newestMeta(window);
    const { pageBytes } = meta;
    if (pageBytes < 1024 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0) {
      throw new BackupError('Damaged', `its pages would have ${pageBytes} bytes`, 0);
    }
    return new BoltReader(window, meta, bytes);
  }

  private constructor(window: WindowedFile, meta: BoltMeta, bytes: number) {
    this.#window = window;
    this.#meta = meta;
    this.bytes = bytes;
  }

  /** Throws BackupError `Truncated` when pages are missing at the end. */
  checkLength(): void {
    const { pages, pageBytes } = this.#meta;
    if (pages * pageBytes <= this.bytes) return;
    const what = `it ends there, and its database has ${pages * pageBytes} bytes`;
    throw new BackupError('Truncated', what, this.bytes);
  }

  /** By name. Buckets within buckets are refused: etcd has none. */
  async buckets(): Promise<BoltBucket[]> {
    const found: BoltBucket[] = [];
    for await (const leaf of this.#leaves(this.#meta.root, new Walk())) {
      for (const element of leaf.elements) found.push(this.#bucket(element));
    }
    return found;
  }

  #bucket({ key, value, at, flags }: LeafElement): BoltBucket {
    if (flags !== BUCKET_FLAG || value.length < BUCKET_HEADER_BYTES) {
      throw new BackupError('Damaged', 'an entry stands where only buckets do', at);
    }
    const root = pageNumber(value, 0);
    const entries =
      root === 0 ? () => this.#inline(value.subarray(BUCKET_HEADER_BYTES), at) : () => this.#entries(root);
    return { name: key.toString('latin1'), entries };
  }

  async *#inline(page: Buffer, at: number): AsyncGenerator<readonly BoltEntry[]> {
    yield plainEntries(readLeaf(page, at));
  }

  async *#entries(root: number): AsyncGenerator<readonly BoltEntry[]> {
    let last: Buffer | undefined;
    for await (const { elements } of this.#leaves(root, new Walk())) {
      for (const { key, at } of elements) {
        if (last !== undefined && Buffer.compare(last, key) >= 0) {
          throw new BackupError('Damaged', 'its keys are not in order', at);
        }
        last = key;
      }
      yield plainEntries(elements);
    }
  }

  /** From left to right. */
  async *#leaves(
    number: number,
    walk: Walk,
    depth = 0,
  ): AsyncGenerator<{ readonly elements: LeafElement[] }> {
    const at = number * this.#meta.pageBytes;
    const page = await this.#page(number, walk, depth);
    const flags = page.readUInt16LE(8);
    if (flags === PAGE_FLAGS.leaf) {
      yield { elements: readLeaf(page, at) };
      return;
    }
    if (flags !== PAGE_FLAGS.branch) {
      throw new BackupError('Damaged', `page ${number} is of kind ${flags}, not a leaf or a branch`, at);
    }
    const count = page.readUInt16LE(10);
    if (count === 0 || PAGE_HEADER_BYTES + count * ELEMENT_BYTES > page.length) {
      throw new BackupError('Damaged', `page ${number} cannot hold ${count} branches`, at);
    }
    for (let i = 0; i < count; i++) {
      yield* this.#leaves(pageNumber(page, PAGE_HEADER_BYTES + i * ELEMENT_BYTES + 8), walk, depth + 1);
    }
  }

  /** With those that it overflows into. */
  async #page(number: number, walk: Walk, depth: number): Promise<Buffer> {
    const { pageBytes, pages } = this.#meta;
    const at = number * pageBytes;
    if (number < 2 || number >= pages || at + pageBytes > this.bytes) {
      const isBeyond = number < pages && number >= 2;
      throw isBeyond
        ? new BackupError('Truncated', `it ends before its page ${number}, at byte ${at}`, this.bytes)
        : new BackupError('Damaged', `it names a page ${number} of ${pages}`);
    }
    if (depth > backupLimits.treeDepthMax || ++walk.pages > pages) {
      throw new BackupError('Damaged', `page ${number} is met again: the tree has a loop`, at);
    }
    const head = await this.#window.read(at, PAGE_HEADER_BYTES);
    const id = pageNumber(head, 0);
    if (id !== number) throw new BackupError('Damaged', `page ${number} says that it is page ${id}`, at);
    const overflow = head.readUInt32LE(12);
    const length = (overflow + 1) * pageBytes;
    if (length > backupLimits.recordBytesMax || number + overflow >= pages) {
      throw new BackupError('Damaged', `page ${number} would take ${length} bytes`, at);
    }
    if (at + length > this.bytes) {
      throw new BackupError('Truncated', `it ends within its page ${number}`, this.bytes);
    }
    return await this.#window.read(at, length);
  }
}

/** Of one tree: no page is met twice. */
class Walk {
  pages = 0;
}

interface LeafElement extends BoltEntry {
  readonly flags: number;
}

function plainEntries(elements: readonly LeafElement[]): readonly BoltEntry[] {
  for (const { flags, at } of elements) {
    if (flags !== 0) throw new BackupError('Damaged', 'a bucket holds what is no entry', at);
  }
  return elements;
}

function readLeaf(page: Buffer, pageAt: number): LeafElement[] {
  const count = page.length < PAGE_HEADER_BYTES ? -1 : page.readUInt16LE(10);
  if (count < 0 || PAGE_HEADER_BYTES + count * ELEMENT_BYTES > page.length) {
    throw new BackupError('Damaged', `a page cannot hold ${count} entries`, pageAt);
  }
  return Array.from({ length: count }, (_, i) => {
    const element = PAGE_HEADER_BYTES + i * ELEMENT_BYTES;
    const from = element + page.readUInt32LE(element + 4);
    const middle = from + page.readUInt32LE(element + 8);
    const end = middle + page.readUInt32LE(element + 12);
    if (end > page.length) throw new BackupError('Damaged', `entry ${i} lies outside of its page`, pageAt);
    const value = page.subarray(middle, end);
    return { key: page.subarray(from, middle), value, at: pageAt + from, flags: page.readUInt32LE(element) };
  });
}

function pageNumber(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}

/** Of the two, the one of the later transaction; a crash of bbolt may leave one of them half written. */
async function newestMeta(window: WindowedFile): Promise<BoltMeta> {
  const first = readMeta(await window.readUpTo(0, PAGE_HEADER_BYTES + META_BYTES));
  const pageBytes = typeof first === 'string' ? BOLT_PAGE_BYTES : first.pageBytes;
  const second = readMeta(await window.readUpTo(pageBytes, PAGE_HEADER_BYTES + META_BYTES));
  if (typeof first === 'string') {
    if (typeof second !== 'string') return second;
    throw new BackupError(/not a bbolt/.test(first) ? 'Foreign' : 'Damaged', first, 0);
  }
  return typeof second === 'string' || second.transaction < first.transaction ? first : second;
}

/** Keeps the last pieces read: neighbours are read together, and branches again and again. */
class WindowedFile {
  readonly #file: DiskFile;
  readonly #bytes: number;
  readonly #windows = new Map<number, Buffer>();

  constructor(file: DiskFile, bytes: number) {
    this.#file = file;
    this.#bytes = bytes;
  }

  async readUpTo(at: number, length: number): Promise<Buffer> {
    return await this.read(at, Math.max(0, Math.min(length, this.#bytes - at)));
  }

  /** A buffer that nobody else changes. */
  async read(at: number, length: number): Promise<Buffer> {
    const { readBytes } = backupLimits;
    if (length > readBytes) return buffer(await this.#file.read(at, length));
    const first = Math.floor(at / readBytes);
    const head = await this.#window(first);
    const from = at - first * readBytes;
    if (from + length <= head.length) return head.subarray(from, from + length);
    const tail = await this.#window(first + 1);
    return Buffer.concat([head.subarray(from), tail]).subarray(0, length);
  }

  async #window(number: number): Promise<Buffer> {
    const known = this.#windows.get(number);
    this.#windows.delete(number);
    const window =
      known ?? buffer(await this.#file.read(number * backupLimits.readBytes, backupLimits.readBytes));
    this.#windows.set(number, window);
    if (this.#windows.size > backupLimits.readsKept) {
      this.#windows.delete(this.#windows.keys().next().value as number);
    }
    return window;
  }
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
