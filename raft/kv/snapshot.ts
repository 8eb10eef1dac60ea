/**
 * The whole state as bytes, and its hash. First what compaction left behind (one version a key, in key order), then
 * every change since, in order: a reader rebuilds tree and log in one pass. Only what the compaction revision leaves
 * visible is written, so the bytes do not depend on how far `compactStep` has come. A snapshot is captured without a
 * walk: versions never change once written and the log only grows, so it reads the state of its revision out of the
 * living one while that goes on; all it asks is that compaction frees nothing meanwhile. One that stays with the member
 * refers to values that lie in files (values/) instead of repeating them; one that is to travel holds all.
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
import type { Version } from './values/index.js';
import type { Versions } from './versions.js';

export interface SnapshotParts {
  readonly versions: Versions;
  readonly leases: Leases;
  readonly alarms: Alarms;
  readonly auth: Auth;
}

export interface KvSnapshotOptions {
  readonly chunkBytes?: number;
  /** Whose files it may refer to (`ValueFiles.owner`); absent: it holds all values. */
  readonly filesOf?: string | undefined;
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
    options: KvSnapshotOptions = {},
  ) {
    const { chunkBytes = KV_LIMITS.snapshotChunkBytes, filesOf } = options;
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
      ...(filesOf !== undefined && { filesOf }),
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
      for (const some of baseOf(this.#versions, this.#head.compactRevision)) {
        let isYielded = false;
        for (const version of some) {
          this.#add(frame, version);
          if (!frame.isFull) continue;
          yield frame.seal();
          isYielded = true;
        }
        if (!isYielded) yield NO_BYTES;
      }
      frame.endBase(this.#changes.length);
      for (const version of this.#changes) {
        this.#add(frame, version);
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

  #add(frame: KvSnapshotEncoder, version: Version): void {
    const { file } = version.slab;
    if (this.#head.filesOf === undefined || file === null) frame.add(this.#versions.kvOf(version));
    else frame.addReference(version, { file: file.number, offset: version.offset });
  }
}

const NO_BYTES = new Uint8Array(0);

/**
 * Every version that a reader can still see at or below `upTo`, in an order that all members share: a few at a time, as much as
 * may be done in a turn. The caller holds the versions.
 */
export function* hashed(versions: Versions, upTo: Revision): Generator<readonly Version[]> {
  const { log, compactRevision } = versions;
  const changes = log.view(log.seek(compactRevision), log.seek(revision(upTo + 1)));
  for (const some of baseOf(versions, compactRevision)) yield* fewAtATime(some);
  yield* fewAtATime(changes);
}

export class HashOfVersions {
  readonly #out = new ByteWriter(KV_LIMITS.snapshotChunkBytes * 2);
  #sum = 0;

  constructor({ compactRevision }: Versions) {
    this.#out.varint(compactRevision);
  }

  add(kv: KeyValue): void {
    writeKeyValue(this.#out, kv);
    if (this.#out.length < KV_LIMITS.snapshotChunkBytes) return;
    this.#sum = this.value;
    this.#out.clear();
  }

  get value(): number {
    return crc32c(this.#out.view(), this.#sum);
  }
}

function* fewAtATime(versions: Iterable<Version>): Generator<readonly Version[]> {
  const { hashStepKeys, hashStepBytes } = KV_LIMITS;
  let some: Version[] = [];
  let bytes = 0;
  for (const version of versions) {
    some.push(version);
    bytes += version.valueBytes;
    if (some.length < hashStepKeys && bytes < hashStepBytes) continue;
    yield some;
    some = [];
    bytes = 0;
  }
  yield some;
}

/** Versions older than `at` that are visible at it, in key order and a few at a time. */
function* baseOf(versions: Versions, at: Revision): Generator<readonly Version[]> {
  for (let from: Key | null = ''; from !== null;) {
    let left = KV_LIMITS.snapshotScanMax;
    let next: Key | null = null;
    const some: Version[] = [];
    versions.index.scan(from, null, (entry) => {
      if (left-- === 0) {
        next = entry.key;
        return false;
      }
      const version = versions.visible(entry, at);
      if (version !== undefined && version.modRevision < at) some.push(version);
      return true;
    });
    from = next;
    yield some;
  }
}
