/**
 * The layout of a snapshot's file: what it is of, then the content in blocks of fixed size, each behind its
 * checksum, then a trailer. The trailer is written last and names the count and the checksum of all before it,
 * so a file without a right one is torn. All numbers little-endian:
 *   head (file-head.ts), with the snapshot's meta
 *   (block length u32 | block checksum u32 | block)*
 *   trailer magic u32 | blocks u32 | content bytes f64 | content checksum u32 | header's CRC u32 | CRC u32
 */
import type { SnapshotMeta } from '../core/types.js';
import type { SnapshotInfo } from '../storage.js';
import { ByteReader, MalformedBytes } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';
import { CONTENT_BLOCK_BYTES, ContentSum, blockSum } from './content-sum.js';
import { crc32c } from './crc32c.js';
import type { DiskFile } from './disk.js';
import { StorageError } from './errors.js';
import {
  encodeFileHead,
  type FileKind,
  type FileOwner,
  headSum,
  readFileHead,
  readingFile,
} from './file-head.js';
import { readSnapshotMeta, writeSnapshotMeta } from './wal-record.js';

const SNAPSHOT: FileKind = { magic: 0x4b53_4e50, version: 2, what: 'a snapshot' };
const TRAILER_MAGIC = 0x4b53_4e45;
export const BLOCK_HEADER_BYTES = 8;
const TRAILER_BYTES = 28;

export interface SnapshotLayout extends SnapshotInfo {
  /** Where the first block begins. */
  readonly contentAt: number;
}

export function encodeSnapshotHeader(owner: FileOwner, meta: SnapshotMeta): Uint8Array {
  return encodeFileHead(SNAPSHOT, owner, (out) => writeSnapshotMeta(out, meta));
}

export function encodeBlockHeader(length: number, sum: number): Uint8Array {
  const out = new ByteWriter(BLOCK_HEADER_BYTES);
  out.u32(length);
  out.u32(sum);
  return out.toBytes();
}

export function encodeSnapshotTrailer(header: Uint8Array, bytes: number, sum: ContentSum): Uint8Array {
  const out = new ByteWriter(TRAILER_BYTES);
  out.u32(TRAILER_MAGIC);
  out.u32(sum.blocks);
  out.f64(bytes);
  out.u32(sum.value);
  out.u32(headSum(header));
  out.u32(crc32c(out.view()));
  return out.toBytes();
}

/** Header and trailer; throws StorageError `SnapshotCorrupt` or `ForeignDirectory`. */
export async function readSnapshotLayout(file: DiskFile, owner: FileOwner): Promise<SnapshotLayout> {
  return await readingFile(file.name, 'SnapshotCorrupt', async () => {
    const size = await file.size();
    const { rest: header, sum: headerSum, end: contentAt } = await readFileHead(file, SNAPSHOT, owner);
    const meta = readSnapshotMeta(header);
    header.expectEnd();
    const trailerAt = size - TRAILER_BYTES;
    if (trailerAt < contentAt) throw new MalformedBytes('the file ends too early', size);
    const trailer = new ByteReader(await file.read(trailerAt, TRAILER_BYTES));
    const fail = (why: string): never => {
      throw new MalformedBytes(`the trailer ${why}`, trailerAt);
    };
    if (trailer.u32() !== TRAILER_MAGIC) fail('is missing: the file is torn');
    const blocks = trailer.u32();
    const bytes = trailer.f64();
    const checksum = trailer.u32();
    if (trailer.u32() !== headerSum) fail('belongs to another header');
    const bare = await file.read(trailerAt, TRAILER_BYTES - 4);
    if (crc32c(bare) !== trailer.u32()) fail('does not match its checksum');
    if (blocks !== Math.ceil(bytes / CONTENT_BLOCK_BYTES)) fail('contradicts itself');
    if (trailerAt - contentAt !== bytes + blocks * BLOCK_HEADER_BYTES) {
      fail(`is of a content of ${bytes} bytes, the file has others`);
    }
    return { meta, bytes, checksum, contentAt };
  });
}

/** Block `number`, checked. */
export async function readBlock(
  file: DiskFile,
  { contentAt, bytes }: SnapshotLayout,
  number: number,
): Promise<{ readonly block: Uint8Array; readonly sum: number }> {
  const at = contentAt + number * (CONTENT_BLOCK_BYTES + BLOCK_HEADER_BYTES);
  const length = Math.min(CONTENT_BLOCK_BYTES, bytes - number * CONTENT_BLOCK_BYTES);
  return await readingFile(file.name, 'SnapshotCorrupt', async () => {
    const framed = await file.read(at, BLOCK_HEADER_BYTES + length);
    const reader = new ByteReader(framed);
    if (reader.u32() !== length) throw new MalformedBytes(`block ${number} has a wrong length`, at);
    const expected = reader.u32();
    const block = framed.subarray(BLOCK_HEADER_BYTES);
    const sum = block.length === length ? blockSum(block, number) : -1;
    if (sum !== expected) throw new MalformedBytes(`block ${number} does not match its checksum`, at);
    return { block, sum };
  });
}

/** Reads everything; throws StorageError `SnapshotCorrupt`. */
export async function verifyContent(file: DiskFile, layout: SnapshotLayout): Promise<void> {
  const total = new ContentSum();
  const blocks = Math.ceil(layout.bytes / CONTENT_BLOCK_BYTES);
  for (let number = 0; number < blocks; number++) total.add((await readBlock(file, layout, number)).sum);
  if (total.value === layout.checksum) return;
  throw new StorageError('SnapshotCorrupt', 'the content does not match its checksum', {
    file: file.name,
    offset: layout.contentAt,
  });
}
