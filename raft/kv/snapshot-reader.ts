/**
 * Rebuilds a state from the bytes of a snapshot (snapshot.ts), as they come: in chunks of any size, so that
 * the whole is never in memory twice. Nothing of it counts before `finish`.
 */
import { ByteReader, MalformedBytes, crc32c } from '../disk/index.js';
import { Alarms } from './alarms.js';
import { ALARM_TYPES } from './command-codec.js';
import { KvError } from './errors.js';
import { Leases } from './leases.js';
import { KV_LIMITS } from './limits.js';
import {
  END_OF_BASE,
  FORMAT_VERSION,
  FORMAT_VERSION_MIN,
  FRAME_HEADER_BYTES,
  MAGIC,
  readKeyValue,
} from './snapshot.js';
import type { KeyValue } from './types.js';
import { leaseId, revision } from './types.js';
import { Versions } from './versions.js';

const COUNTED_BASE = 2;

export class KvSnapshotReader {
  readonly versions = new Versions();
  readonly leases = new Leases();
  readonly alarms = new Alarms();
  appliedIndex = 0;
  #part: 'head' | 'base' | 'changes' = 'head';
  #version = FORMAT_VERSION;
  /** Of the part, where its length was given. */
  #left = 0;
  /** Of formats that count everything beforehand. */
  #changeCount = 0;
  #sum = 0;
  /** What the keys must come to; null: of a format without it. */
  #digest: number | null = null;
  /** The beginning of a frame. */
  #rest: Uint8Array = new Uint8Array(0);

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
    if (!isWhole) throw damaged('it ends too early');
    if (this.#digest !== null && this.#digest !== this.versions.digest) {
      throw damaged('the keys are not what their digest says');
    }
  }

  #frame(reader: ByteReader): void {
    if (this.#part === 'head') this.#head(reader);
    while (!reader.done) {
      if (this.#part === 'base') {
        const kv = this.#version > COUNTED_BASE || this.#left > 0 ? readKeyValueOrEnd(reader) : END_OF_BASE;
        if (kv === END_OF_BASE) this.#beginChanges(this.#changeCountOf(reader));
        else this.#restoreBase(kv);
      } else {
        if (this.#left-- === 0) reader.fail('more changes than announced');
        this.#restoreChange(readKeyValue(reader));
      }
    }
    if (this.#part === 'base' && this.#version <= COUNTED_BASE && this.#left === 0) {
      this.#beginChanges(this.#changeCount);
    }
  }

  #changeCountOf(reader: ByteReader): number {
    return this.#version > COUNTED_BASE ? reader.varint() : this.#changeCount;
  }

  #beginChanges(count: number): void {
    this.#part = 'changes';
    this.#left = count;
  }

  #restoreBase(kv: KeyValue): void {
    this.#left--;
    this.versions.restoreBase(kv);
    this.leases.reattach(kv.key, leaseId(0), kv.lease);
  }

  #restoreChange(kv: KeyValue): void {
    const before = this.versions.index.get(kv.key)?.newest.lease ?? leaseId(0);
    this.versions.restoreChange(kv);
    this.leases.reattach(kv.key, before, kv.lease);
  }

  #head(reader: ByteReader): void {
    const { versions, leases } = this;
    if (reader.u32() !== MAGIC) reader.fail('not a snapshot of the key-value store');
    const version = reader.varint();
    if (version < FORMAT_VERSION_MIN || version > FORMAT_VERSION) {
      const read = `${FORMAT_VERSION_MIN} to ${FORMAT_VERSION}`;
      reader.fail(`format version ${version}, this program reads ${read}`);
    }
    this.#version = version;
    this.appliedIndex = reader.varint();
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
    if (version >= 2) readAlarms(reader, this.alarms);
    this.#digest = version >= 2 ? reader.u32() : null;
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
      throw damaged(cause.message);
    }
  }
}

function readKeyValueOrEnd(reader: ByteReader): KeyValue | typeof END_OF_BASE {
  return reader.peekIsZero() ? (reader.u8(), END_OF_BASE) : readKeyValue(reader);
}

function readAlarms(reader: ByteReader, alarms: Alarms): void {
  for (let left = reader.varint(); left > 0; left--) {
    const code = reader.u8();
    const type = ALARM_TYPES[code] ?? reader.fail(`unknown alarm ${code}`);
    alarms.raise({ type, member: reader.utf8() });
  }
}

function damaged(why: string): KvError {
  return new KvError('InvalidArgument', `the snapshot is damaged: ${why}`);
}
