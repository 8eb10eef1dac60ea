/**
 * Reads one segment and tells a torn tail from damage. The log writes a record only after the fsync of the
 * one before, so a crash can spoil the last record of the last segment and nothing else. Such a record
 * shows what a lost write leaves: it ends beyond the end of the file, or one of its 512-byte sectors is
 * still all zeros. Anything else that does not check is damage to acknowledged bytes, and is never repaired
 * by forgetting it.
 */
import { ByteReader, MalformedBytes } from './byte-reader.js';
import { StorageError } from './errors.js';
import { checkOwner, type FileOwner } from './file-head.js';
import { DISK_LIMITS } from './limits.js';
import type { LogChange, SegmentHeader } from './wal-record.js';
import {
  RECORD_ALIGNMENT_BYTES,
  RECORD_HEADER_BYTES,
  readChanges,
  readFrame,
  readPayload,
  readSegmentHeader,
  recordEnd,
} from './wal-record.js';

export interface ScannedSegment {
  readonly header: SegmentHeader;
  readonly batches: readonly (readonly LogChange[])[];
  /** Records found intact, the header included. */
  readonly records: number;
  /** Where the next record goes. */
  readonly end: number;
  /** The bytes after `end` are a torn record that must be cut off before the log goes on. */
  readonly torn: boolean;
}

export function scanSegment(
  file: string,
  bytes: Uint8Array,
  sequence: number,
  expected: FileOwner,
  isLast: boolean,
): ScannedSegment {
  const batches: (readonly LogChange[])[] = [];
  let header: SegmentHeader | undefined;
  let at = 0;
  let number = 0;
  for (;;) {
    const frame = readFrame(bytes, at, sequence);
    const payload = frame?.number === number ? readPayload(bytes, at, frame, sequence) : null;
    if (frame === null || payload === null) break;
    const reader = new ByteReader(payload);
    if (number > 0) batches.push(decode(file, at, () => readChanges(reader)));
    else
      header = checkIdentity(
        file,
        decode(file, at, () => readSegmentHeader(reader)),
        sequence,
        expected,
      );
    number++;
    at = recordEnd(at, frame);
  }
  if (header === undefined) throw corrupt(file, 0, 'the segment has no intact header');
  const end = at;
  const torn = !allZero(bytes, end, bytes.length);
  if (torn) {
    if (!isLast) throw corrupt(file, end, `record ${number} does not check, and later segments follow`);
    if (!isTorn(bytes, end, sequence, number)) {
      throw corrupt(file, end, `record ${number} does not check, and no crash leaves it like this`);
    }
  }
  return { header, batches, records: number, end, torn };
}

function decode<T>(file: string, at: number, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof MalformedBytes)) throw cause;
    throw new StorageError(
      'WalCorrupt',
      `an intact record makes no sense: ${cause.message}`,
      { file, offset: at },
      { cause },
    );
  }
}

function checkIdentity(
  file: string,
  header: SegmentHeader | { readonly version: number },
  sequence: number,
  expected: FileOwner,
): SegmentHeader {
  const refuse = (reason: string): never => {
    throw new StorageError('ForeignDirectory', reason, { file });
  };
  if (!('cluster' in header)) {
    return refuse(`the log has format version ${header.version}, this program reads another`);
  }
  checkOwner(file, 'the log', header, expected);
  if (header.sequence !== sequence) refuse(`the file holds segment ${header.sequence}: it was renamed`);
  return header;
}

/** Whether a crash during the last write explains the bytes from `from` on. */
function isTorn(bytes: Uint8Array, from: number, sequence: number, number: number): boolean {
  if (laterRecord(bytes, from, sequence, number)) return false;
  const frame = readFrame(bytes, from, sequence);
  const end = frame === null ? from + RECORD_HEADER_BYTES : from + RECORD_HEADER_BYTES + frame.length;
  return end > bytes.length || hasZeroSector(bytes, from, end);
}

/** An intact record with a higher number: it was written after this one had been synced. */
function laterRecord(bytes: Uint8Array, from: number, sequence: number, number: number): boolean {
  for (let at = from; at + RECORD_HEADER_BYTES <= bytes.length; at += RECORD_ALIGNMENT_BYTES) {
    const frame = readFrame(bytes, at, sequence);
    if (frame !== null && frame.number > number && readPayload(bytes, at, frame, sequence) !== null) {
      return true;
    }
  }
  return false;
}

/** Whether, of the sectors that [from, end) touches, one holds nothing but zeros within it. */
function hasZeroSector(bytes: Uint8Array, from: number, end: number): boolean {
  for (let at = from; at < end;) {
    const next = Math.min(end, at - (at % DISK_LIMITS.sectorBytes) + DISK_LIMITS.sectorBytes);
    if (allZero(bytes, at, next)) return true;
    at = next;
  }
  return false;
}

function allZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}

function corrupt(file: string, offset: number, what: string): StorageError {
  return new StorageError('WalCorrupt', what, { file, offset });
}
