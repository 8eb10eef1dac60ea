/**
 * Writes a bbolt file from beginning to end: pages of a bucket as its entries come, in the order of their keys, branches as
 * soon as enough pages lie below them, and the first pages, which name the root, last. Nothing but one page of each level is
 * in memory. A file like this has no free pages and is as good to bbolt as one that it wrote itself.
 */
import { strict as assert } from 'node:assert';
import type { DiskFile } from 'raft-consensus';
import {
  BOLT_PAGE_BYTES,
  BUCKET_FLAG,
  BUCKET_HEADER_BYTES,
  ELEMENT_BYTES,
  ELEMENTS_MAX,
  emptyFreelist,
  metaPage,
  PAGE_FLAGS,
  PAGE_HEADER_BYTES,
  writePageHeader,
} from './bolt-page.js';
import { backupLimits } from './limits.js';

const FREELIST_PAGE = 2;
const FIRST_PAGE = 3;

interface Item {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly flags: number;
  /** In a branch. */
  readonly child: number;
}

export class BoltWriter {
  readonly #file: DiskFile;
  readonly #buckets: { readonly name: string; readonly value: Buffer }[] = [];
  #open: { readonly name: string; readonly tree: Tree } | undefined;
  #nextPage = FIRST_PAGE;
  #pages: Buffer[] = [];
  #pagesBytes = 0;
  #writtenTo = FIRST_PAGE * BOLT_PAGE_BYTES;

  /** Of an empty file. */
  constructor(file: DiskFile) {
    this.#file = file;
  }

  /** Of all that is written or waits to be. */
  get bytes(): number {
    return this.#nextPage * BOLT_PAGE_BYTES;
  }

  /** What follows goes into this bucket. In any order of names; each once. */
  async bucket(name: string): Promise<void> {
    await this.#closeBucket();
    assert(!this.#buckets.some((bucket) => bucket.name === name), `bucket ${name} is written twice`);
    this.#open = { name, tree: new Tree((flags, items) => this.#addPage(flags, items)) };
  }

  /** Keys only go up. Resolves when there is room for more; neither `key` nor `value` may be changed afterwards. */
  async put(key: Uint8Array, value: Uint8Array): Promise<void> {
    assert(this.#open !== undefined, 'a bucket comes first');
    this.#open.tree.add({ key, value, flags: 0, child: 0 });
    if (this.#pagesBytes >= backupLimits.writeBytes) await this.#flush();
  }

  /** Resolves when everything is written, with how many bytes that is; syncing is the caller's business. */
  async finish(): Promise<number> {
    await this.#closeBucket();
    const root = new Tree((flags, items) => this.#addPage(flags, items));
    this.#buckets.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
    for (const { name, value } of this.#buckets) {
      root.add({ key: Buffer.from(name), value, flags: BUCKET_FLAG, child: 0 });
    }
    const rootPage = root.close() ?? this.#addPage(PAGE_FLAGS.leaf, []);
    await this.#flush();
    const meta = {
      pageBytes: BOLT_PAGE_BYTES,
      root: rootPage,
      freelist: FREELIST_PAGE,
      pages: this.#nextPage,
    };
    await this.#file.write(0, [
      metaPage({ ...meta, transaction: 0 }),
      metaPage({ ...meta, transaction: 1 }),
      emptyFreelist(FREELIST_PAGE),
    ]);
    return this.bytes;
  }

  async #closeBucket(): Promise<void> {
    if (!this.#open) return;
    const { name, tree } = this.#open;
    this.#open = undefined;
    const root = tree.close();
    this.#buckets.push({ name, value: bucketValue(root) });
    await this.#flush();
  }

  #addPage(flags: number, items: readonly Item[]): number {
    const id = this.#nextPage;
    const page = encodePage(id, flags, items);
    this.#nextPage += page.length / BOLT_PAGE_BYTES;
    this.#pages.push(page);
    this.#pagesBytes += page.length;
    return id;
  }

  async #flush(): Promise<void> {
    const pages = this.#pages;
    if (pages.length === 0) return;
    const at = this.#writtenTo;
    this.#writtenTo += this.#pagesBytes;
    this.#pages = [];
    this.#pagesBytes = 0;
    await this.#file.write(at, pages);
  }
}

type AddPage = (flags: number, items: readonly Item[]) => number;

/** A bucket's tree, from its leaves up. */
class Tree {
  readonly #levels: Level[] = [];
  readonly #addPage: AddPage;
  #lastKey: Uint8Array | undefined;

  constructor(addPage: AddPage) {
    this.#addPage = addPage;
  }

  add(item: Item): void {
    const last = this.#lastKey;
    assert(last === undefined || Buffer.compare(last, item.key) < 0, 'keys come in order, each once');
    assert(item.key.length > 0, 'bbolt has no empty keys');
    this.#lastKey = item.key;
    this.#add(0, item);
  }

  /** The root page; undefined: there is nothing. */
  close(): number | undefined {
    for (let depth = 0; depth < this.#levels.length; depth++) {
      const level = this.#levels[depth]!;
      this.#seal(depth);
      if (level.only !== undefined) return level.only.child;
    }
    return undefined;
  }

  #add(depth: number, item: Item): void {
    const level = (this.#levels[depth] ??= new Level());
    const bytes = ELEMENT_BYTES + item.key.length + item.value.length;
    const isFull = PAGE_HEADER_BYTES + level.bytes + bytes > BOLT_PAGE_BYTES;
    if (level.items.length > 0 && (isFull || level.items.length === ELEMENTS_MAX)) this.#seal(depth);
    level.items.push(item);
    level.bytes += bytes;
  }

  /** What the level holds becomes a page, and an element of the level above, once that is needed. */
  #seal(depth: number): void {
    const level = this.#levels[depth]!;
    const { items } = level;
    if (items.length === 0) return;
    const child = this.#addPage(depth === 0 ? PAGE_FLAGS.leaf : PAGE_FLAGS.branch, items);
    const element = { key: items[0]!.key, value: NOTHING, flags: 0, child };
    level.items = [];
    level.bytes = 0;
    if (level.isFirst) {
      level.isFirst = false;
      level.only = element;
      return;
    }
    if (level.only !== undefined) this.#add(depth + 1, level.only);
    level.only = undefined;
    this.#add(depth + 1, element);
  }
}

const NOTHING = new Uint8Array(0);

class Level {
  items: Item[] = [];
  bytes = 0;
  isFirst = true;
  /** The element of the level's first page, while it has no other. */
  only: Item | undefined;
}

function encodePage(id: number, flags: number, items: readonly Item[]): Buffer {
  let bytes = PAGE_HEADER_BYTES;
  for (const { key, value } of items) bytes += ELEMENT_BYTES + key.length + value.length;
  const pages = Math.ceil(bytes / BOLT_PAGE_BYTES);
  const page = Buffer.alloc(pages * BOLT_PAGE_BYTES);
  writePageHeader(page, id, flags, items.length, pages - 1);
  let element = PAGE_HEADER_BYTES;
  let data = element + items.length * ELEMENT_BYTES;
  for (const { key, value, flags: elementFlags, child } of items) {
    if (flags === PAGE_FLAGS.leaf) {
      page.writeUInt32LE(elementFlags, element);
      page.writeUInt32LE(data - element, element + 4);
      page.writeUInt32LE(key.length, element + 8);
      page.writeUInt32LE(value.length, element + 12);
    } else {
      page.writeUInt32LE(data - element, element);
      page.writeUInt32LE(key.length, element + 4);
      page.writeBigUInt64LE(BigInt(child), element + 8);
    }
    page.set(key, data);
    page.set(value, data + key.length);
    data += key.length + value.length;
    element += ELEMENT_BYTES;
  }
  return page;
}

/** Without a root page: an empty bucket, its only page in the value. */
function bucketValue(root: number | undefined): Buffer {
  if (root === undefined) {
    const value = Buffer.alloc(BUCKET_HEADER_BYTES + PAGE_HEADER_BYTES);
    writePageHeader(value.subarray(BUCKET_HEADER_BYTES), 0, PAGE_FLAGS.leaf, 0, 0);
    return value;
  }
  const value = Buffer.alloc(BUCKET_HEADER_BYTES);
  value.writeBigUInt64LE(BigInt(root), 0);
  return value;
}
