/**
 * The whole state as bytes, and its hash. First what compaction left behind (one version a key, in key
 * order), then every change since, in order: a reader rebuilds tree and log in one pass. Only what the
 * compaction revision leaves visible is written, so the bytes do not depend on how far `compactStep` has
 * come. Frames of about 64 KiB, each:
 *   payload length u32 | CRC-32C of the payload u32, continued from the frame before | payload
 */
import { ByteReader, ByteWriter, MalformedBytes, crc32c } from '../disk/index.js';
import type { Alarms } from './alarms.js';
import { ALARM_TYPES } from './command-codec.js';
import { KvError } from './errors.js';
import type { Leases } from './leases.js';
import { KV_LIMITS } from './limits.js';
import type { KeyValue, Revision } from './types.js';
import { leaseId, revision } from './types.js';
import type { Versions } from './versions.js';

const MAGIC = 0x4b42_4b56;
/** 2 added alarms and the digest of the live keys. */
const FORMAT_VERSION = 2;
const FORMAT_VERSION_MIN = 1;
const FRAME_HEADER_BYTES = 8;

export class KvSnapshot {
  readonly #head: Uint8Array;
  readonly #kvs: readonly KeyValue[];

  /** Takes references only: versions never change once written. */
  constructor(versions: Versions, leases: Leases, alarms: Alarms, appliedIndex: number) {
    const base = baseOf(versions);
    const changes = changesOf(versions, versions.revision);
    this.#head = encodeHead(versions, leases, alarms, appliedIndex, base.length, changes.length);
    this.#kvs = base.concat(changes);
  }

  /** The encoded frames one after another; each is a buffer of its own. */
  *chunks(): Generator<Uint8Array> {
    let sum = 0;
    const frame = new ByteWriter(KV_LIMITS.snapshotChunkBytes * 2);
    const seal = (): Uint8Array => {
      sum = crc32c(frame.view(FRAME_HEADER_BYTES), sum);
      frame.patchU32(0, frame.length - FRAME_HEADER_BYTES);
      frame.patchU32(4, sum);
      const bytes = frame.toBytes();
      begin(frame);
      return bytes;
    };
    begin(frame);
    frame.raw(this.#head);
    for (const kv of this.#kvs) {
      writeKeyValue(frame, kv);
      if (frame.length >= KV_LIMITS.snapshotChunkBytes) yield seal();
    }
    if (frame.length > FRAME_HEADER_BYTES) yield seal();
  }

  toBytes(): Uint8Array {
    const chunks = [...this.chunks()];
    const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }
}

/**
 * Fills empty versions and leases; returns the applied index. Throws `KvError` when the bytes are damaged.
 */
export function restoreInto(versions: Versions, leases: Leases, alarms: Alarms, bytes: Uint8Array): number {
  try {
    return decodeInto(versions, leases, alarms, new ByteReader(unframe(bytes)));
  } catch (cause) {
    if (!(cause instanceof MalformedBytes)) throw cause;
    throw new KvError('InvalidArgument', `the snapshot is damaged: ${cause.message}`);
  }
}

/** Over every version that a reader can still see at or below `upTo`. */
export function hashOf(versions: Versions, upTo: Revision): number {
  const out = new ByteWriter(KV_LIMITS.snapshotChunkBytes * 2);
  let sum = 0;
  out.varint(versions.compactRevision);
  for (const kvs of [baseOf(versions), changesOf(versions, upTo)]) {
    for (const kv of kvs) {
      writeKeyValue(out, kv);
      if (out.length < KV_LIMITS.snapshotChunkBytes) continue;
      sum = crc32c(out.view(), sum);
      out.clear();
    }
  }
  return crc32c(out.view(), sum);
}

/** Versions older than the compact revision that are visible at it. */
function baseOf(versions: Versions): KeyValue[] {
  const base: KeyValue[] = [];
  versions.index.scan('', null, (entry) => {
    const kv = versions.visible(entry, versions.compactRevision);
    if (kv !== undefined && kv.modRevision < versions.compactRevision) base.push(kv);
    return true;
  });
  return base;
}

function changesOf(versions: Versions, upTo: Revision): KeyValue[] {
  const { log } = versions;
  const changes: KeyValue[] = [];
  const end = log.seek(revision(upTo + 1));
  for (let at = log.seek(versions.compactRevision); at < end; at++) changes.push(log.at(at));
  return changes;
}

function begin(frame: ByteWriter): void {
  frame.clear();
  frame.u32(0);
  frame.u32(0);
}

function encodeHead(
  versions: Versions,
  leases: Leases,
  alarms: Alarms,
  appliedIndex: number,
  baseCount: number,
  changeCount: number,
): Uint8Array {
  const out = new ByteWriter();
  out.u32(MAGIC);
  out.varint(FORMAT_VERSION);
  out.varint(appliedIndex);
  out.varint(versions.revision);
  out.varint(versions.compactRevision);
  out.f64(leases.clockMs);
  const all = leases.all();
  out.varint(all.length);
  for (const lease of all) {
    out.varint(lease.id);
    out.f64(lease.ttlMs);
    out.f64(lease.deadlineMs);
  }
  const raised = alarms.all();
  out.varint(raised.length);
  for (const alarm of raised) {
    out.u8(ALARM_TYPES.indexOf(alarm.type));
    out.utf8(alarm.member);
  }
  out.u32(versions.digest);
  out.varint(baseCount);
  out.varint(changeCount);
  return out.toBytes();
}

function decodeInto(versions: Versions, leases: Leases, alarms: Alarms, reader: ByteReader): number {
  if (reader.u32() !== MAGIC) reader.fail('not a snapshot of the key-value store');
  const version = reader.varint();
  if (version < FORMAT_VERSION_MIN || version > FORMAT_VERSION) {
    const read = `${FORMAT_VERSION_MIN} to ${FORMAT_VERSION}`;
    reader.fail(`format version ${version}, this program reads ${read}`);
  }
  const appliedIndex = reader.varint();
  versions.revision = revision(reader.varint());
  versions.compactRevision = revision(reader.varint());
  leases.advanceClock(reader.f64());
  for (let left = reader.varint(); left > 0; left--) {
    leases.restore({
      id: leaseId(reader.varint()),
      ttlMs: reader.f64(),
      deadlineMs: reader.f64(),
      keys: new Set(),
    });
  }
  if (version >= 2) readAlarms(reader, alarms);
  const digest = version >= 2 ? reader.u32() : null;
  const baseCount = reader.varint();
  const changeCount = reader.varint();
  for (let left = baseCount; left > 0; left--) versions.restoreBase(readKeyValue(reader));
  for (let left = changeCount; left > 0; left--) versions.restoreChange(readKeyValue(reader));
  reader.expectEnd();
  if (digest !== null && digest !== versions.digest) reader.fail('the keys are not what their digest says');
  versions.index.scanLive('', null, (entry) => {
    leases.reattach(entry.key, leaseId(0), entry.newest.lease);
    return true;
  });
  return appliedIndex;
}

function readAlarms(reader: ByteReader, alarms: Alarms): void {
  for (let left = reader.varint(); left > 0; left--) {
    const code = reader.u8();
    const type = ALARM_TYPES[code] ?? reader.fail(`unknown alarm ${code}`);
    alarms.raise({ type, member: reader.utf8() });
  }
}

/** The payloads joined, every frame checked. */
function unframe(bytes: Uint8Array): Uint8Array {
  const reader = new ByteReader(bytes);
  const out = new ByteWriter(bytes.length);
  let sum = 0;
  while (!reader.done) {
    const length = reader.u32();
    const expected = reader.u32();
    const payload = reader.raw(length);
    sum = crc32c(payload, sum);
    if (sum !== expected) reader.fail('a frame does not match its checksum');
    out.raw(payload);
  }
  return out.view();
}

function writeKeyValue(out: ByteWriter, kv: KeyValue): void {
  out.latin1(kv.key);
  out.varint(kv.version);
  out.varint(kv.modRevision);
  if (kv.version === 0) return;
  out.varint(kv.createRevision);
  out.varint(kv.lease);
  out.bytes(kv.value);
}

function readKeyValue(reader: ByteReader): KeyValue {
  const key = reader.latin1();
  const version = reader.varint();
  const modRevision = revision(reader.varint());
  if (version === 0) {
    const nothing = { value: new Uint8Array(0), createRevision: revision(0), lease: leaseId(0) };
    return { key, version, modRevision, ...nothing };
  }
  const createRevision = revision(reader.varint());
  const lease = leaseId(reader.varint());
  return { key, value: reader.bytes(), createRevision, modRevision, version, lease };
}
