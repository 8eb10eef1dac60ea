/**
 * The bytes of a snapshot of the key-value state (what is in one and in which order: snapshot.ts), written and read item by
 * item, so that neither side holds it whole. Frames of about 64 KiB, each:
 *   payload length u32 | CRC-32C of the payload u32, continued from the frame before | payload
 */
import { ByteReader, ByteWriter, MalformedBytes, crc32c } from '../disk/index.js';
import type { AuthState } from './auth.js';
import { readAuthState, writeAuthState } from './auth-codec.js';
import { ALARM_TYPES } from './command-codec.js';
import { KvError } from './errors.js';
import { KV_LIMITS } from './limits.js';
import type { Alarm, KeyValue, LeaseId, Revision } from './types.js';
import { leaseId, revision } from './types.js';
import type { Version } from './values/index.js';

const MAGIC = 0x4b42_4b56;
/**
 * 2 added alarms and the digest of the live keys, 3 ends the first part with an empty key instead of counting
 * it beforehand, 4 added users and roles, 5 may refer to values that lie in files of the member (values/). What travels is
 * written in format 4.
 */
const FORMAT_VERSION = 4;
export const REFERRING_VERSION = 5;
const FORMAT_VERSION_MIN = 1;
const COUNTED_BASE = 2;
const FRAME_HEADER_BYTES = 8;
const END_OF_BASE = '';

/** All but the keys. */
export interface KvSnapshotHead {
  readonly appliedIndex: number;
  readonly revision: Revision;
  readonly compactRevision: Revision;
  /** The clock of the group. */
  readonly clockMs: number;
  readonly leases: readonly {
    readonly id: LeaseId;
    readonly ttlMs: number;
    readonly deadlineMs: number;
  }[];
  readonly alarms: readonly Alarm[];
  /** Over the live keys (digest.ts); null: of a format without it. */
  readonly digest: number | null;
  /** Users and roles; absent: there are none. */
  readonly auth?: AuthState;
  /** Whose files of values it refers to (`ValueFiles.owner`); absent: it holds all its values. */
  readonly filesOf?: string | undefined;
}

/** Where a value lies, for a snapshot that refers to it. */
export interface ValueReference {
  readonly file: number;
  readonly offset: number;
}

/** Fill it with the base, end that, fill it with the changes; seal it whenever it is full, and at the end unless empty. */
export class KvSnapshotEncoder {
  readonly #out = new ByteWriter(4096);
  readonly #chunkBytes: number;
  readonly #mayRefer: boolean;
  #sum = 0;

  constructor(head: KvSnapshotHead, chunkBytes: number = KV_LIMITS.snapshotChunkBytes) {
    this.#chunkBytes = chunkBytes;
    this.#mayRefer = head.filesOf !== undefined;
    this.#begin();
    writeHead(this.#out, head);
  }

  get isFull(): boolean {
    return this.#out.length - FRAME_HEADER_BYTES >= this.#chunkBytes;
  }

  get isEmpty(): boolean {
    return this.#out.length === FRAME_HEADER_BYTES;
  }

  /** A version of the base, or after it a change. */
  add(kv: KeyValue): void {
    writeKeyValue(this.#out, kv, this.#mayRefer);
  }

  /** As `add`, of a version whose value lies in a file. */
  addReference(version: Version, { file, offset }: ValueReference): void {
    const out = this.#out;
    writeFacts(out, version);
    out.varint(version.valueBytes * 2 + 1);
    out.varint(file);
    out.varint(offset);
    out.u32(version.sum);
  }

  endBase(changes: number): void {
    this.#out.latin1(END_OF_BASE);
    this.#out.varint(changes);
  }

  /** The frame, in a buffer of its own. */
  seal(): Uint8Array {
    const out = this.#out;
    this.#sum = crc32c(out.view(FRAME_HEADER_BYTES), this.#sum);
    out.patchU32(0, out.length - FRAME_HEADER_BYTES);
    out.patchU32(4, this.#sum);
    const bytes = out.toBytes();
    this.#begin();
    return bytes;
  }

  #begin(): void {
    this.#out.clear();
    this.#out.u32(0);
    this.#out.u32(0);
  }
}

/**
 * Is told what a snapshot holds, in its order: the head, the base in key order, the changes in theirs. Values are views of the
 * chunk that brought them.
 */
export interface KvSnapshotVisitor {
  head(head: KvSnapshotHead): void;
  base(kv: KeyValue): void;
  change(kv: KeyValue): void;
  /** So many changes follow. */
  endOfBase?(changes: number): void;
  /** In the place of `base` or `change`; absent: a snapshot that refers to files is refused. */
  reference?(part: 'base' | 'change', at: ReferredVersion): void;
}

export interface ReferredVersion extends Omit<Version, 'slab' | 'offset'>, ValueReference {}

export class KvSnapshotDecoder {
  readonly #visitor: KvSnapshotVisitor;
  #part: 'head' | 'base' | 'changes' = 'head';
  #version = FORMAT_VERSION;
  /** Of the part, where its length was given. */
  #left = 0;
  /** Of formats that count everything beforehand. */
  #changeCount = 0;
  #sum = 0;
  /** The beginning of a frame. */
  #rest: Uint8Array = new Uint8Array(0);

  constructor(visitor: KvSnapshotVisitor) {
    this.#visitor = visitor;
  }

  /** Throws `KvError` InvalidArgument when the bytes are damaged. Keeps nothing of `chunk`. */
  add(chunk: Uint8Array): void {
    this.#guard(() => {
      const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
      let at = 0;
      while (bytes.length - at >= FRAME_HEADER_BYTES) {
        const reader = new ByteReader(bytes, at);
        const length = reader.u32();
        if (length > KV_LIMITS.snapshotFrameBytesMax) reader.fail(`a frame of ${length} bytes`);
        if (bytes.length - at - FRAME_HEADER_BYTES < length) break;
        const expected = reader.u32();
        const payload = reader.raw(length);
        this.#sum = crc32c(payload, this.#sum);
        if (this.#sum !== expected) reader.fail('a frame does not match its checksum');
        this.#frame(new ByteReader(payload));
        at += FRAME_HEADER_BYTES + length;
      }
      this.#rest = new Uint8Array(bytes.subarray(at));
    });
  }

  /** Throws as `add` does, when something is missing. */
  finish(): void {
    const isWhole = this.#part === 'changes' && this.#left === 0 && this.#rest.length === 0;
    if (!isWhole) throw damagedSnapshot('it ends too early');
  }

  #frame(reader: ByteReader): void {
    if (this.#part === 'head') this.#head(reader);
    while (!reader.done) {
      if (this.#part === 'base') {
        if (this.#isEndOfBase(reader)) this.#beginChanges(this.#changeCountOf(reader));
        else {
          this.#left--;
          this.#item(reader, 'base');
        }
      } else {
        if (this.#left-- === 0) reader.fail('more changes than announced');
        this.#item(reader, 'change');
      }
    }
    if (this.#part === 'base' && this.#version <= COUNTED_BASE && this.#left === 0) {
      this.#beginChanges(this.#changeCount);
    }
  }

  #isEndOfBase(reader: ByteReader): boolean {
    if (this.#version <= COUNTED_BASE) return this.#left === 0;
    return reader.peekIsZero() && reader.u8() === END_OF_BASE.length;
  }

  #item(reader: ByteReader, part: 'base' | 'change'): void {
    const item = readItem(reader, this.#version >= REFERRING_VERSION);
    if ('value' in item) return part === 'base' ? this.#visitor.base(item) : this.#visitor.change(item);
    if (this.#visitor.reference === undefined) reader.fail('its values lie in files that are not here');
    this.#visitor.reference(part, item);
  }

  #changeCountOf(reader: ByteReader): number {
    return this.#version > COUNTED_BASE ? reader.varint() : this.#changeCount;
  }

  #beginChanges(count: number): void {
    this.#part = 'changes';
    this.#left = count;
    this.#visitor.endOfBase?.(count);
  }

  #head(reader: ByteReader): void {
    if (reader.u32() !== MAGIC) reader.fail('not a snapshot of the key-value store');
    const version = reader.varint();
    if (version < FORMAT_VERSION_MIN || version > REFERRING_VERSION) {
      const read = `${FORMAT_VERSION_MIN} to ${REFERRING_VERSION}`;
      reader.fail(`format version ${version}, this program reads ${read}`);
    }
    this.#version = version;
    this.#visitor.head(readHead(reader, version));
    this.#part = 'base';
    if (version > COUNTED_BASE) return;
    this.#left = reader.varint();
    this.#changeCount = reader.varint();
  }

  #guard(read: () => void): void {
    try {
      read();
    } catch (cause) {
      if (!(cause instanceof MalformedBytes)) throw cause;
      throw damagedSnapshot(cause.message);
    }
  }
}

/** Of the format that `beginning`, the first bytes of a snapshot, says it has. */
export function formatOf(beginning: Uint8Array): number {
  const reader = new ByteReader(beginning, FRAME_HEADER_BYTES);
  return reader.u32() === MAGIC ? reader.varint() : 0;
}

export function damagedSnapshot(why: string): KvError {
  return new KvError('InvalidArgument', `the snapshot is damaged: ${why}`);
}

function writeHead(out: ByteWriter, head: KvSnapshotHead): void {
  out.u32(MAGIC);
  out.varint(head.filesOf === undefined ? FORMAT_VERSION : REFERRING_VERSION);
  out.varint(head.appliedIndex);
  out.varint(head.revision);
  out.varint(head.compactRevision);
  out.f64(head.clockMs);
  out.varint(head.leases.length);
  for (const lease of head.leases) {
    out.int64(lease.id);
    out.f64(lease.ttlMs);
    out.f64(lease.deadlineMs);
  }
  out.varint(head.alarms.length);
  for (const alarm of head.alarms) {
    out.u8(ALARM_TYPES.indexOf(alarm.type));
    out.utf8(alarm.member);
  }
  out.u32(head.digest ?? 0);
  out.u8(head.auth ? 1 : 0);
  if (head.auth) writeAuthState(out, head.auth);
  if (head.filesOf !== undefined) out.utf8(head.filesOf);
}

function readHead(reader: ByteReader, version: number): KvSnapshotHead {
  const appliedIndex = reader.varint();
  const at = revision(reader.varint());
  const compactRevision = revision(reader.varint());
  const clockMs = reader.f64();
  const leases: KvSnapshotHead['leases'][number][] = [];
  for (let left = reader.varint(); left > 0; left--) {
    leases.push({ id: leaseId(reader.int64()), ttlMs: reader.f64(), deadlineMs: reader.f64() });
  }
  const alarms = version >= 2 ? readAlarms(reader) : [];
  const digest = version >= 2 ? reader.u32() : null;
  const auth = version >= 4 && reader.u8() === 1 ? { auth: readAuthState(reader) } : {};
  const filesOf = version >= REFERRING_VERSION ? { filesOf: reader.utf8() } : {};
  return {
    appliedIndex,
    revision: at,
    compactRevision,
    clockMs,
    leases,
    alarms,
    digest,
    ...auth,
    ...filesOf,
  };
}

function readAlarms(reader: ByteReader): Alarm[] {
  const alarms: Alarm[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const code = reader.u8();
    const type = ALARM_TYPES[code] ?? reader.fail(`unknown alarm ${code}`);
    alarms.push({ type, member: reader.utf8() });
  }
  return alarms;
}

/** `mayRefer`: of a format whose values may also be referred to. */
export function writeKeyValue(out: ByteWriter, kv: KeyValue, mayRefer = false): void {
  writeFacts(out, kv);
  if (kv.version === 0) return;
  out.varint(mayRefer ? kv.value.length * 2 : kv.value.length);
  out.raw(kv.value);
}

function writeFacts(out: ByteWriter, of: Omit<KeyValue, 'value'>): void {
  out.latin1(of.key);
  out.varint(of.version);
  out.varint(of.modRevision);
  if (of.version === 0) return;
  out.varint(of.createRevision);
  out.int64(of.lease);
}

function readItem(reader: ByteReader, mayRefer: boolean): KeyValue | ReferredVersion {
  const key = reader.latin1();
  const version = reader.varint();
  const modRevision = revision(reader.varint());
  if (version === 0) {
    const nothing = { value: NO_VALUE, createRevision: revision(0), lease: leaseId(0) };
    return { key, version, modRevision, ...nothing };
  }
  const createRevision = revision(reader.varint());
  const lease = leaseId(reader.int64());
  const facts = { key, createRevision, modRevision, version, lease };
  const length = reader.varint();
  if (!mayRefer) return { ...facts, value: plain(reader.raw(length)) };
  if (length % 2 === 0) return { ...facts, value: plain(reader.raw(length / 2)) };
  const at = { file: reader.varint(), offset: reader.varint() };
  return { ...facts, valueBytes: (length - 1) / 2, ...at, sum: reader.u32() | 0 };
}

/** A view, good until the next chunk is added. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const NO_VALUE = new Uint8Array(0);
