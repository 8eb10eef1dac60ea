/**
 * The layout of a snapshot's file: what it is of, then the content in blocks of fixed size, each behind its
 * checksum, then a trailer. The trailer is written last and names the count and the checksum of all before it,
 * so a file without a right one is torn. All numbers little-endian:
 *   magic u32 | header length u32 | CRC-32C of the header u32 | header
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
import { DISK_LIMITS } from './limits.js';
import { readSnapshotMeta, writeSnapshotMeta } from './wal-record.js';

/** A snapshot of another cluster or member is refused. */
export interface SnapshotOwner {
  readonly cluster: string;
  readonly member: string;
}

const MAGIC = 0x4b53_4e50;
const TRAILER_MAGIC = 0x4b53_4e45;
const FORMAT_VERSION = 2;
const PREFIX_BYTES = 12;
export const BLOCK_HEADER_BYTES = 8;
const TRAILER_BYTES = 28;

export interface SnapshotLayout extends SnapshotInfo {
  /** Where the first block begins. */
  readonly contentAt: number;
}

export function encodeSnapshotHeader({ cluster, member }: SnapshotOwner, meta: SnapshotMeta): Uint8Array {
  const header = new ByteWriter();
  header.varint(FORMAT_VERSION);
  header.utf8(cluster);
  header.utf8(member);
  writeSnapshotMeta(header, meta);
  const out = new ByteWriter(PREFIX_BYTES + header.length);
  out.u32(MAGIC);
  out.u32(header.length);
  out.u32(crc32c(header.view()));
  out.raw(header.view());
  return out.toBytes();
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
  out.u32(new ByteReader(header, 8).u32());
  out.u32(crc32c(out.view()));
  return out.toBytes();
}

/** Header and trailer; throws StorageError `SnapshotCorrupt` or `ForeignDirectory`. */
export async function readSnapshotLayout(file: DiskFile, owner: SnapshotOwner): Promise<SnapshotLayout> {
  return await checked(file.name, async () => {
    const size = await file.size();
    const prefix = new ByteReader(await file.read(0, PREFIX_BYTES));
    if (prefix.u32() !== MAGIC) prefix.fail('not a snapshot');
    const length = prefix.u32();
    if (length > DISK_LIMITS.snapshotHeaderBytesMax) prefix.fail('the header is too long');
    const headerSum = prefix.u32();
    const header = await file.read(PREFIX_BYTES, length);
    if (header.length < length || crc32c(header) !== headerSum) {
      prefix.fail('the header does not match its checksum');
    }
    const meta = readHeader(file.name, new ByteReader(header), owner);
    const contentAt = PREFIX_BYTES + length;
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
  return await checked(file.name, async () => {
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

function readHeader(file: string, header: ByteReader, owner: SnapshotOwner): SnapshotMeta {
  const refuse = (reason: string): never => {
    throw new StorageError('ForeignDirectory', reason, { file });
  };
  const version = header.varint();
  if (version !== FORMAT_VERSION) {
    refuse(`it has format version ${version}, this program reads ${FORMAT_VERSION}`);
  }
  const cluster = header.utf8();
  if (cluster !== owner.cluster) {
    refuse(`it belongs to cluster "${cluster}", this member to "${owner.cluster}"`);
  }
  const member = header.utf8();
  if (member !== owner.member) {
    refuse(`it belongs to member "${member}", this member is "${owner.member}"`);
  }
  const meta = readSnapshotMeta(header);
  header.expectEnd();
  return meta;
}

async function checked<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (!(cause instanceof MalformedBytes)) throw cause;
    throw new StorageError('SnapshotCorrupt', cause.message, { file, offset: cause.offset }, { cause });
  }
}
