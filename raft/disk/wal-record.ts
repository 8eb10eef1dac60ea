/**
 * Bytes of the write-ahead log. A segment is a row of records, each on an 8-byte boundary:
 *   magic u32 | payload length u32 | number in segment u32 | payload crc u32 |
 *   header crc u32 | 0 u32 | payload | padding
 * Both sums are CRC-32C seeded with the segment's sequence number, so that a record never passes for one of
 * another segment. Record 0 is the segment's header; every other one is a batch that is applied whole or
 * not at all.
 */
import { strict as assert } from 'node:assert';
import { decodeConfiguration, encodeConfiguration } from '../core/configuration.js';
import type { Configuration, Entry, EntryType, HardState, LogIndex, SnapshotMeta } from '../core/types.js';
import { logIndex, memberId, term } from '../core/types.js';
import type { ByteReader } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';
import { crc32c } from './crc32c.js';

export const RECORD_HEADER_BYTES = 24;
export const RECORD_ALIGNMENT_BYTES = 8;
const RECORD_MAGIC = 0x4b52_4543;
const FORMAT_VERSION = 1;

export interface SegmentHeader {
  readonly version: number;
  readonly cluster: string;
  readonly member: string;
  readonly sequence: number;
  /** Records in the segment before this one, its header included; 0 for the first segment. */
  readonly recordsBefore: number;
  /** The last index of the log when the segment was begun. */
  readonly lastIndex: LogIndex;
}

/** What a batch does to the saved log, in order. */
export type LogChange =
  | { readonly type: 'hard-state'; readonly hardState: HardState }
  | { readonly type: 'reset'; readonly snapshot: SnapshotMeta }
  | { readonly type: 'truncate'; readonly from: LogIndex }
  | { readonly type: 'append'; readonly entries: readonly Entry[] }
  | { readonly type: 'compact'; readonly to: LogIndex; readonly snapshot: SnapshotMeta };

const CHANGE_TAGS = { 'hard-state': 1, reset: 2, truncate: 3, append: 4, compact: 5 } as const;
const CONFIGURATION_AS_TEXT = 0xffff_ffff;
const ENTRY_TYPES: readonly EntryType[] = ['normal', 'noop', 'config'];

/** Appends one framed record to `out`, which must stand on a record boundary of its own start. */
export function writeRecord(
  out: ByteWriter,
  segment: number,
  number: number,
  payload: (out: ByteWriter) => void,
): void {
  const at = out.length;
  assert(at % RECORD_ALIGNMENT_BYTES === 0);
  out.u32(RECORD_MAGIC);
  for (let word = 0; word < 5; word++) out.u32(0);
  payload(out);
  const length = out.length - at - RECORD_HEADER_BYTES;
  out.patchU32(at + 4, length);
  out.patchU32(at + 8, number);
  out.patchU32(at + 12, crc32c(out.view(at + RECORD_HEADER_BYTES), segment));
  out.patchU32(at + 16, crc32c(out.view(at).subarray(0, 16), segment));
  while (out.length % RECORD_ALIGNMENT_BYTES !== 0) out.u8(0);
}

export interface RecordFrame {
  readonly number: number;
  readonly length: number;
  readonly payloadCrc: number;
}

/** The frame at `at`, or null when no intact header stands there. */
export function readFrame(bytes: Uint8Array, at: number, segment: number): RecordFrame | null {
  if (at + RECORD_HEADER_BYTES > bytes.length) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, RECORD_HEADER_BYTES);
  if (view.getUint32(0, true) !== RECORD_MAGIC) return null;
  if (view.getUint32(16, true) !== crc32c(bytes.subarray(at, at + 16), segment)) return null;
  return {
    number: view.getUint32(8, true),
    length: view.getUint32(4, true),
    payloadCrc: view.getUint32(12, true),
  };
}

export function recordEnd(at: number, frame: RecordFrame): number {
  const end = at + RECORD_HEADER_BYTES + frame.length;
  return end + ((RECORD_ALIGNMENT_BYTES - (end % RECORD_ALIGNMENT_BYTES)) % RECORD_ALIGNMENT_BYTES);
}

/** The payload if it is all there and intact, else null. */
export function readPayload(
  bytes: Uint8Array,
  at: number,
  frame: RecordFrame,
  segment: number,
): Uint8Array | null {
  const from = at + RECORD_HEADER_BYTES;
  if (from + frame.length > bytes.length) return null;
  const payload = bytes.subarray(from, from + frame.length);
  return crc32c(payload, segment) === frame.payloadCrc ? payload : null;
}

export function writeSegmentHeader(out: ByteWriter, header: Omit<SegmentHeader, 'version'>): void {
  out.varint(FORMAT_VERSION);
  out.utf8(header.cluster);
  out.utf8(header.member);
  out.varint(header.sequence);
  out.varint(header.recordsBefore);
  out.varint(header.lastIndex);
}

/** Of another format version, only the version is read. */
export function readSegmentHeader(reader: ByteReader): SegmentHeader | { readonly version: number } {
  const version = reader.varint();
  if (version !== FORMAT_VERSION) return { version };
  const header = {
    version,
    cluster: reader.utf8(),
    member: reader.utf8(),
    sequence: reader.varint(),
    recordsBefore: reader.varint(),
    lastIndex: logIndex(reader.varint()),
  };
  reader.expectEnd();
  return header;
}

export function writeChange(out: ByteWriter, change: LogChange): void {
  out.u8(CHANGE_TAGS[change.type]);
  switch (change.type) {
    case 'hard-state':
      out.varint(change.hardState.term);
      out.varint(change.hardState.commit);
      out.utf8(change.hardState.votedFor ?? '');
      return;
    case 'reset':
      writeSnapshotMeta(out, change.snapshot);
      return;
    case 'truncate':
      out.varint(change.from);
      return;
    case 'append':
      out.varint(change.entries.length);
      for (const entry of change.entries) writeEntry(out, entry);
      return;
    case 'compact':
      out.varint(change.to);
      writeSnapshotMeta(out, change.snapshot);
      return;
    default:
      change satisfies never;
  }
}

export function readChanges(reader: ByteReader): LogChange[] {
  const changes: LogChange[] = [];
  while (!reader.done) changes.push(readChange(reader));
  return changes;
}

function readChange(reader: ByteReader): LogChange {
  const tag = reader.u8();
  switch (tag) {
    case CHANGE_TAGS['hard-state']: {
      const saved = { term: term(reader.varint()), commit: logIndex(reader.varint()) };
      const votedFor = reader.utf8();
      return {
        type: 'hard-state',
        hardState: { ...saved, votedFor: votedFor === '' ? null : memberId(votedFor) },
      };
    }
    case CHANGE_TAGS.reset:
      return { type: 'reset', snapshot: readSnapshotMeta(reader) };
    case CHANGE_TAGS.truncate:
      return { type: 'truncate', from: logIndex(reader.varint()) };
    case CHANGE_TAGS.append: {
      const entries: Entry[] = [];
      for (let left = reader.varint(); left > 0; left--) entries.push(readEntry(reader));
      return { type: 'append', entries };
    }
    case CHANGE_TAGS.compact:
      return { type: 'compact', to: logIndex(reader.varint()), snapshot: readSnapshotMeta(reader) };
    default:
      return reader.fail(`unknown change ${tag}`);
  }
}

function writeEntry(out: ByteWriter, entry: Entry): void {
  out.u8(ENTRY_TYPES.indexOf(entry.type));
  out.varint(entry.term);
  out.varint(entry.index);
  out.bytes(entry.data);
}

function readEntry(reader: ByteReader): Entry {
  const type = ENTRY_TYPES[reader.u8()] ?? reader.fail('unknown entry type');
  return { type, term: term(reader.varint()), index: logIndex(reader.varint()), data: reader.bytes() };
}

/**
 * index | term | voters | learners, each list as its length and its names. A configuration with more in it
 * (joint, addresses, an entry's index) is written as text behind a length that no list has.
 */
export function writeSnapshotMeta(out: ByteWriter, meta: SnapshotMeta): void {
  const { voters, learners, ...more } = meta.configuration;
  out.varint(meta.index);
  out.varint(meta.term);
  if (Object.values(more).some((value) => value !== undefined)) {
    out.varint(CONFIGURATION_AS_TEXT);
    return out.bytes(encodeConfiguration(meta.configuration));
  }
  for (const members of [voters, learners]) {
    out.varint(members.length);
    for (const member of members) out.utf8(member);
  }
}

export function readSnapshotMeta(reader: ByteReader): SnapshotMeta {
  const index = logIndex(reader.varint());
  const snapshotTerm = term(reader.varint());
  return { index, term: snapshotTerm, configuration: readConfiguration(reader) };
}

function readConfiguration(reader: ByteReader): Configuration {
  const names = (length: number) => Array.from({ length }, () => memberId(reader.utf8()));
  const first = reader.varint();
  if (first !== CONFIGURATION_AS_TEXT) return { voters: names(first), learners: names(reader.varint()) };
  return decodeConfiguration(reader.bytes()) ?? reader.fail('not a configuration');
}
