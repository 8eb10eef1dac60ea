/**
 * Rebuilds a state from the bytes of a snapshot (snapshot.ts), as they come: in chunks of any size, so that
 * the whole is never in memory twice. Nothing of it counts before `finish`.
 */
import { Alarms } from './alarms.js';
import { Auth } from './auth.js';
import { Leases } from './leases.js';
import {
  damagedSnapshot,
  KvSnapshotDecoder,
  type KvSnapshotHead,
  type ReferredVersion,
} from './snapshot-format.js';
import { leaseId } from './types.js';
import { inMemory, Slab, type SlabFile, type ValuesOptions, type Version } from './values/index.js';
import { Versions } from './versions.js';

export class KvSnapshotReader {
  readonly versions: Versions;
  readonly leases = new Leases();
  readonly alarms = new Alarms();
  readonly auth = new Auth();
  appliedIndex = 0;
  readonly #options: ValuesOptions;
  /** What the keys must come to; null: of a format without it. */
  #digest: number | null = null;
  readonly #slabs = new Map<number, Slab>();
  readonly #decoder = new KvSnapshotDecoder({
    head: (head) => this.#restoreHead(head),
    base: (kv) => this.#restoreBase(this.versions.placeRestored(kv)),
    change: (kv) => this.#restoreChange(this.versions.placeRestored(kv)),
    reference: (part, at) => {
      const version = this.#attach(at);
      if (part === 'base') this.#restoreBase(version);
      else this.#restoreChange(version);
    },
  });

  constructor(options: ValuesOptions = inMemory) {
    this.#options = options;
    this.versions = new Versions(options);
  }

  /** The files that the state refers to. */
  get files(): ReadonlySet<SlabFile> {
    return new Set([...this.#slabs.values()].map(({ file }) => file!));
  }

  /**
   * Throws `KvError` InvalidArgument when the bytes are damaged, StorageError `ValueCorrupt` when a file that they refer to
   * is. Keeps nothing of `chunk`.
   */
  add(chunk: Uint8Array): void {
    this.#decoder.add(chunk);
  }

  /** Throws as `add` does, when something is missing. */
  finish(): void {
    this.#decoder.finish();
    if (this.#digest !== null && this.#digest !== this.versions.digest) {
      throw damagedSnapshot('the keys are not what their digest says');
    }
  }

  /** Nothing will come of it: what it has written goes. */
  abandon(): void {
    this.versions.replaced();
  }

  #restoreHead(head: KvSnapshotHead): void {
    const { filesOf } = head;
    if (filesOf !== undefined && filesOf !== this.#options.files?.owner) {
      throw damagedSnapshot(`it refers to files of ${filesOf}`);
    }
    this.appliedIndex = head.appliedIndex;
    this.versions.revision = head.revision;
    this.versions.compactRevision = head.compactRevision;
    this.leases.advanceClock(head.clockMs);
    for (const lease of head.leases) this.leases.restore({ ...lease, keys: new Set() });
    for (const alarm of head.alarms) this.alarms.raise(alarm);
    this.#digest = head.digest;
    if (head.auth) this.auth.restore(head.auth);
  }

  #attach(at: ReferredVersion): Version {
    const { file: number, offset, key, createRevision, modRevision, version, lease, valueBytes, sum } = at;
    let slab = this.#slabs.get(number);
    if (slab === undefined) {
      slab = Slab.of(this.#options.files!.found(number));
      this.#slabs.set(number, slab);
    }
    if (offset + valueBytes > slab.used) throw slab.file!.cutOff(key);
    this.versions.values.attach(slab, valueBytes);
    return { key, createRevision, modRevision, version, lease, valueBytes, sum, slab, offset };
  }

  #restoreBase(version: Version): void {
    this.versions.restoreBase(version);
    this.leases.reattach(version.key, leaseId(0), version.lease);
  }

  #restoreChange(version: Version): void {
    const before = this.versions.restoreChange(version);
    this.leases.reattach(version.key, before?.lease ?? leaseId(0), version.lease);
  }
}
