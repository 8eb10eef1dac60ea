/**
 * The whole state as bytes, and its hash. First what compaction left behind (one version a key, in key order), then
 * every change since, in order: a reader rebuilds tree and log in one pass. Only what the compaction revision leaves
 * visible is written, so the bytes do not depend on how far `compactStep` has come. A snapshot is captured without a
 * walk: versions never change once written and the log only grows, so it reads the state of its revision out of the
 * living one while that goes on; all it asks is that compaction frees nothing meanwhile.
 */
import { ByteWriter, crc32c } from '../disk/index.js';
import type { Alarms } from './alarms.js';
import type { Auth } from './auth.js';
import type { Leases } from './leases.js';
import { KV_LIMITS } from './limits.js';
import type { RevisionLogView } from './revision-log.js';
import { KvSnapshotEncoder, type KvSnapshotHead, writeKeyValue } from './snapshot-format.js';
import type { Key, KeyValue, Revision } from './types.js';
import { revision } from './types.js';
import type { Versions } from './versions.js';

export interface SnapshotParts {
  readonly versions: Versions;
  readonly leases: Leases;
  readonly alarms: Alarms;
  readonly auth: Auth;
}

export class KvSnapshot {
  readonly #head: KvSnapshotHead;
  readonly #versions: Versions;
  readonly #changes: RevisionLogView;
  readonly #release: () => void;
  readonly #chunkBytes: number;

  constructor(
    { versions, leases, alarms, auth }: SnapshotParts,
    appliedIndex: number,
    chunkBytes: number = KV_LIMITS.snapshotChunkBytes,
  ) {
    this.#chunkBytes = chunkBytes;
    const { log, revision: at, compactRevision, digest } = versions;
    this.#versions = versions;
    this.#changes = log.view(log.seek(compactRevision), log.tail);
    this.#head = {
      appliedIndex,
      revision: at,
      compactRevision,
      clockMs: leases.clockMs,
      // Deadlines move on while this is written.
      leases: leases.all().map(({ id, ttlMs, deadlineMs }) => ({ id, ttlMs, deadlineMs })),
      alarms: alarms.all(),
      digest,
      auth: auth.state,
    };
    this.#release = versions.hold();
  }

  /**
   * The encoded frames one after another, each a buffer of its own; an empty one only says that enough work was done at a
   * time. Commands may be applied between any two.
   */
  *chunks(): Generator<Uint8Array> {
    try {
      const frame = new KvSnapshotEncoder(this.#head, this.#chunkBytes);
      yield* this.#base(frame);
      frame.endBase(this.#changes.length);
      for (const kv of this.#changes) {
        frame.add(kv);
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

  *#base(frame: KvSnapshotEncoder): Generator<Uint8Array> {
    const versions = this.#versions;
    const at = this.#head.compactRevision;
    for (let from: Key | null = ''; from !== null;) {
      let left = KV_LIMITS.snapshotScanMax;
      let next: Key | null = null;
      versions.index.scan(from, null, (entry) => {
        if (left-- === 0 || frame.isFull) {
          next = entry.key;
          return false;
        }
        const kv = versions.visible(entry, at);
        if (kv !== undefined && kv.modRevision < at) frame.add(kv);
        return true;
      });
      from = next;
      yield frame.isFull ? frame.seal() : NO_BYTES;
    }
  }
}

const NO_BYTES = new Uint8Array(0);

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
