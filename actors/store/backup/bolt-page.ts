/**
 * Pages of a bbolt file (go.etcd.io/bbolt, page.go, meta.go), the database that etcd keeps its data in and whose file an etcd
 * snapshot is. All numbers are little-endian, as on every machine that etcd is released for:
 *   page header  id u64 | flags u16 | count u16 | overflow u32 (further pages that belong to it)
 *   leaf         count times: flags u32 | position u32 | key bytes u32 | value bytes u32; then keys and values
 *   branch       count times: position u32 | key bytes u32 | child page u64; then keys, each its child's first
 *   meta         magic | version | page size | flags, u32 each; root page, root sequence, freelist page, pages in use,
 *                transaction, FNV-1a of all before, u64 each
 * Positions count from the element that holds them. A bucket is a leaf element with flag 1 whose value is root page u64 and
 * sequence u64; with root page 0 the bucket's only page follows in the value itself.
 */
export const BOLT_PAGE_BYTES = 4096;
export const PAGE_HEADER_BYTES = 16;
export const ELEMENT_BYTES = 16;
export const META_BYTES = 64;
export const BUCKET_HEADER_BYTES = 16;
export const ELEMENTS_MAX = 0xfffe;
export const PAGE_FLAGS = { branch: 1, leaf: 2, meta: 4, freelist: 16 } as const;
export const BUCKET_FLAG = 1;

const MAGIC = 0xed0c_daed;
const VERSION = 2;

export interface BoltMeta {
  readonly pageBytes: number;
  /** Pages by their number. */
  readonly root: number;
  readonly freelist: number;
  /** Pages in use, those freed in between included. */
  readonly pages: number;
  readonly transaction: number;
}

export function writePageHeader(
  page: Buffer,
  id: number,
  flags: number,
  count: number,
  overflow: number,
): void {
  page.writeBigUInt64LE(BigInt(id), 0);
  page.writeUInt16LE(flags, 8);
  page.writeUInt16LE(count, 10);
  page.writeUInt32LE(overflow, 12);
}

/** A whole page; its number is 0 or 1, as bbolt's transactions take turns. */
export function metaPage(meta: BoltMeta): Buffer {
  const page = Buffer.alloc(BOLT_PAGE_BYTES);
  writePageHeader(page, meta.transaction % 2, PAGE_FLAGS.meta, 0, 0);
  const at = PAGE_HEADER_BYTES;
  page.writeUInt32LE(MAGIC, at);
  page.writeUInt32LE(VERSION, at + 4);
  page.writeUInt32LE(meta.pageBytes, at + 8);
  page.writeBigUInt64LE(BigInt(meta.root), at + 16);
  page.writeBigUInt64LE(BigInt(meta.freelist), at + 32);
  page.writeBigUInt64LE(BigInt(meta.pages), at + 40);
  page.writeBigUInt64LE(BigInt(meta.transaction), at + 48);
  page.writeBigUInt64LE(fnv1a(page.subarray(at, at + 56)), at + 56);
  return page;
}

/** Of a page's beginning; a string says why it is none. */
export function readMeta(page: Buffer): BoltMeta | string {
  const at = PAGE_HEADER_BYTES;
  if (page.length < at + META_BYTES) return 'it ends in its first page';
  if (page.readUInt32LE(at) !== MAGIC) return 'it is not a bbolt file';
  const version = page.readUInt32LE(at + 4);
  if (version !== VERSION) return `it has bbolt's format ${version}, this program reads ${VERSION}`;
  if (page.readBigUInt64LE(at + 56) !== fnv1a(page.subarray(at, at + 56))) {
    return 'the page of its root does not match its checksum';
  }
  return {
    pageBytes: page.readUInt32LE(at + 8),
    root: Number(page.readBigUInt64LE(at + 16)),
    freelist: Number(page.readBigUInt64LE(at + 32)),
    pages: Number(page.readBigUInt64LE(at + 40)),
    transaction: Number(page.readBigUInt64LE(at + 48)),
  };
}

/** Nothing is free in a file that was written at once. */
export function emptyFreelist(id: number): Buffer {
  const page = Buffer.alloc(BOLT_PAGE_BYTES);
  writePageHeader(page, id, PAGE_FLAGS.freelist, 0, 0);
  return page;
}

/** FNV-1a in 64 bits (Fowler, Noll, Vo). */
function fnv1a(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}
