/**
 * The whole state as bytes, and its hash. First what compaction left behind (one version a key, in key order), then
 * every change since, in order: a reader rebuilds tree and log in one pass. Only what the compaction revision leaves
 * visible is written, so the bytes do not depend on how far `compactStep` has come. A snapshot is captured without a
 * walk: versions never change once written and the log only grows, so it reads the state of its revision out of the
 * living one while that goes on; all it asks is that compaction frees nothing meanwhile. Frames of about 64 KiB, each:
 *   payload length u32 | CRC-32C of the payload u32, continued from the frame before | payload
 */
import { type ByteReader, ByteWriter, crc32c } from '../disk/index.js';
import type { Alarms } from './alarms.js';
import { ALARM_TYPES } from './command-codec.js';
import type { Leases } from './leases.js';
import { KV_LIMITS } from './limits.js';
import type { RevisionLogView } from './revision-log.js';
import type { Key, KeyValue, Revision } from './types.js';
import { leaseId, revision } from './types.js';
import type { Versions } from './versions.js';

export const MAGIC = 0x4b42_4b56;
/**
 * 2 added alarms and the digest of the live keys, 3 ends the first part with an empty key instead of counting
 * it beforehand.
 */
export const FORMAT_VERSION = 3;
export const FORMAT_VERSION_MIN = 1;
export const FRAME_HEADER_BYTES = 8;
export const END_OF_BASE = '';

export class KvSnapshot {
  readonly #head: Uint8Array;
  readonly #compactRevision: Revision;
  readonly #versions: Versions;
  readonly #changes: RevisionLogView;
  readonly #release: () => void;
  readonly #chunkBytes: number;

  constructor(
    versions: Versions,
    leases: Leases,
    alarms: Alarms,
    appliedIndex: number,
    chunkBytes: number = KV_LIMITS.snapshotChunkBytes,
  ) {
    this.#chunkBytes = chunkBytes;
    const { log, compactRevision } = versions;
    this.#versions = versions;
    this.#compactRevision = compactRevision;
    this.#changes = log.view(log.seek(compactRevision), log.tail);
    this.#head = encodeHead(versions, leases, alarms, appliedIndex);
    this.#release = versions.hold();
  }

  /**
   * The encoded frames one after another, each a buffer of its own; an empty one only says that enough work was done at a
   * time. Commands may be applied between any two.
   */
  *chunks(): Generator<Uint8Array> {
    try {
      const frame = new FrameWriter(this.#chunkBytes);
      frame.out.raw(this.#head);
      yield* this.#base(frame);
      frame.out.latin1(END_OF_BASE);
      frame.out.varint(this.#changes.length);
      for (const kv of this.#changes) {
        writeKeyValue(frame.out, kv);
        if (frame.isFull) yield frame.seal();
      }
      if (!frame.isEmpty) yield frame.seal();
    } finally {
      this.release();
    }
  }

  /** To be called when it is not wanted any more; the end of `chunks` does so, too. */
  release(): void {
    this.#release();
  }

  toBytes(): Uint8Array {
    return new Uint8Array(Buffer.concat([...this.chunks()]));
  }

  *#base(frame: FrameWriter): Generator<Uint8Array> {
    const versions = this.#versions;
    const at = this.#compactRevision;
    for (let from: Key | null = ''; from !== null;) {
      let left = KV_LIMITS.snapshotScanMax;
      let next: Key | null = null;
      versions.index.scan(from, null, (entry) => {
        if (left-- === 0 || frame.isFull) {
          next = entry.key;
          return false;
        }
        const kv = versions.visible(entry, at);
        if (kv !== undefined && kv.modRevision < at) writeKeyValue(frame.out, kv);
        return true;
      });
      from = next;
      yield frame.isFull ? frame.seal() : NO_BYTES;
    }
  }
}

const NO_BYTES = new Uint8Array(0);

class FrameWriter {
  readonly out = new ByteWriter(4096);
  readonly #chunkBytes: number;
  #sum = 0;

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
    this.#begin();
  }

  get isFull(): boolean {
    return this.out.length - FRAME_HEADER_BYTES >= this.#chunkBytes;
  }

  get isEmpty(): boolean {
    return this.out.length === FRAME_HEADER_BYTES;
  }

  seal(): Uint8Array {
    const { out } = this;
    this.#sum = crc32c(out.view(FRAME_HEADER_BYTES), this.#sum);
    out.patchU32(0, out.length - FRAME_HEADER_BYTES);
    out.patchU32(4, this.#sum);
    const bytes = out.toBytes();
    this.#begin();
    return bytes;
  }

  #begin(): void {
    this.out.clear();
    this.out.u32(0);
    this.out.u32(0);
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

function encodeHead(versions: Versions, leases: Leases, alarms: Alarms, appliedIndex: number): Uint8Array {
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
  return out.toBytes();
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

export function readKeyValue(reader: ByteReader): KeyValue {
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
