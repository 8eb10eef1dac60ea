/**
 * The head of a file that is written once: magic u32 | length u32 | CRC-32C u32 | format, cluster, member, and what its kind
 * adds. All numbers little-endian. A file of another cluster or member is refused, whatever it holds.
 */
import { ByteReader, MalformedBytes } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';
import { crc32c } from './crc32c.js';
import type { DiskFile } from './disk.js';
import { StorageError } from './errors.js';
import { DISK_LIMITS } from './limits.js';

export interface FileOwner {
  readonly cluster: string;
  readonly member: string;
}

export interface FileKind {
  readonly magic: number;
  readonly version: number;
  /** `a snapshot`, for messages. */
  readonly what: string;
}

export interface FileHead {
  /** What the kind added, to be read to its end. */
  readonly rest: ByteReader;
  readonly sum: number;
  /** Where the content begins. */
  readonly end: number;
}

const PREFIX_BYTES = 12;

export function encodeFileHead(
  { magic, version }: FileKind,
  { cluster, member }: FileOwner,
  writeRest: (out: ByteWriter) => void,
): Uint8Array {
  const head = new ByteWriter();
  head.varint(version);
  head.utf8(cluster);
  head.utf8(member);
  writeRest(head);
  const out = new ByteWriter(PREFIX_BYTES + head.length);
  out.u32(magic);
  out.u32(head.length);
  out.u32(crc32c(head.view()));
  out.raw(head.view());
  return out.toBytes();
}

/** Of an encoded head, its CRC. */
export function headSum(head: Uint8Array): number {
  return new ByteReader(head, 8).u32();
}

/** Throws MalformedBytes, and StorageError `ForeignDirectory`. */
export async function readFileHead(file: DiskFile, kind: FileKind, owner: FileOwner): Promise<FileHead> {
  const prefix = new ByteReader(await file.read(0, PREFIX_BYTES));
  if (prefix.u32() !== kind.magic) prefix.fail(`not ${kind.what}`);
  const length = prefix.u32();
  if (length > DISK_LIMITS.fileHeadBytesMax) prefix.fail('the header is too long');
  const sum = prefix.u32();
  const head = await file.read(PREFIX_BYTES, length);
  if (head.length < length || crc32c(head) !== sum) prefix.fail('the header does not match its checksum');
  const rest = new ByteReader(head);
  const version = rest.varint();
  if (version !== kind.version) {
    throw foreign(file.name, `it has format version ${version}, this program reads ${kind.version}`);
  }
  checkOwner(file.name, 'it', { cluster: rest.utf8(), member: rest.utf8() }, owner);
  return { rest, sum, end: PREFIX_BYTES + length };
}

/** Throws StorageError `ForeignDirectory`. `subject`: what belongs to somebody, for the message. */
export function checkOwner(file: string, subject: string, found: FileOwner, owner: FileOwner): void {
  if (found.cluster !== owner.cluster) {
    throw foreign(
      file,
      `${subject} belongs to cluster "${found.cluster}", this member to "${owner.cluster}"`,
    );
  }
  if (found.member !== owner.member) {
    throw foreign(file, `${subject} belongs to member "${found.member}", this member is "${owner.member}"`);
  }
}

/** Runs what reads the bytes of a file; damage becomes a StorageError with this code. */
export async function readingFile<T>(
  file: string,
  code: 'SnapshotCorrupt' | 'ValueCorrupt',
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (!(cause instanceof MalformedBytes)) throw cause;
    throw new StorageError(code, cause.message, { file, offset: cause.offset }, { cause });
  }
}

function foreign(file: string, why: string): StorageError {
  return new StorageError('ForeignDirectory', why, { file });
}
