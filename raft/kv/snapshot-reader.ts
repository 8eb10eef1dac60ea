/**
 * Rebuilds a state from the bytes of a snapshot (snapshot.ts), as they come: in chunks of any size, so that
 * the whole is never in memory twice. Nothing of it counts before `finish`.
 */
import { Alarms } from './alarms.js';
import { Auth } from './auth.js';
import { Leases } from './leases.js';
import { damagedSnapshot, KvSnapshotDecoder, type KvSnapshotHead } from './snapshot-format.js';
import type { KeyValue } from './types.js';
import { leaseId } from './types.js';
import { Versions } from './versions.js';

export class KvSnapshotReader {
  readonly versions = new Versions();
  readonly leases = new Leases();
  readonly alarms = new Alarms();
  readonly auth = new Auth();
  appliedIndex = 0;
  /** What the keys must come to; null: of a format without it. */
  #digest: number | null = null;
  readonly #decoder = new KvSnapshotDecoder({
    head: (head) => this.#restoreHead(head),
    base: (kv) => this.#restoreBase(kv),
    change: (kv) => this.#restoreChange(kv),
  });

  /** Throws `KvError` InvalidArgument when the bytes are damaged. Keeps nothing of `chunk`. */
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

  #restoreHead(head: KvSnapshotHead): void {
    this.appliedIndex = head.appliedIndex;
    this.versions.revision = head.revision;
    this.versions.compactRevision = head.compactRevision;
    this.leases.advanceClock(head.clockMs);
    for (const lease of head.leases) this.leases.restore({ ...lease, keys: new Set() });
    for (const alarm of head.alarms) this.alarms.raise(alarm);
    this.#digest = head.digest;
    if (head.auth) this.auth.restore(head.auth);
  }

  #restoreBase(kv: KeyValue): void {
    this.versions.restoreBase(kv);
    this.leases.reattach(kv.key, leaseId(0), kv.lease);
  }

  #restoreChange(kv: KeyValue): void {
    const before = this.versions.index.get(kv.key)?.newest.lease ?? leaseId(0);
    this.versions.restoreChange(kv);
    this.leases.reattach(kv.key, before, kv.lease);
  }
}
