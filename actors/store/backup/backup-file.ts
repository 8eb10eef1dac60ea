/**
 * Writes the database of an etcd snapshot from the bytes of a snapshot of ours, as they come. etcd keeps changes by revision
 * and we keep what compaction left by key, so that part is sorted first, with the help of a file (record-sorter.ts); what
 * follows comes in order. Neither the store nor the database is in memory at any time.
 */
import {
  type DiskFile,
  type KeyValue,
  KvSnapshotDecoder,
  type KvSnapshotHead,
  type Revision,
} from 'raft-consensus';
import type { Clock } from '../../../transport/index.js';
import { BoltWriter } from './bolt-writer.js';
import { authKeys, encodeRole, encodeUser } from './etcd-auth.js';
import { bucketNames, encodeKeyValue, encodeLease, encodeRevision, metaKeys } from './etcd-records.js';
import { RecordSorter } from './record-sorter.js';

export interface BackupProgress {
  /** Versions of keys. */
  readonly records: number;
  /** Of the file that is being written. */
  readonly bytes: number;
}

export interface BackupFileOptions {
  /** Empty. */
  readonly file: DiskFile;
  /** Asked once, if at all, for another empty one; it is closed in the end. */
  openRuns(): Promise<DiskFile>;
  readonly clock: Clock;
  onProgress?(progress: BackupProgress): void;
}

export interface WrittenBackup {
  readonly head: KvSnapshotHead;
  /** Versions of keys in it. */
  readonly records: number;
  /** Of the database. */
  readonly bytes: number;
}

/** Rejects with `KvError` when the pieces are damaged or end too early, and with whatever they reject with. */
export async function writeBackupFile(
  pieces: AsyncIterable<Uint8Array>,
  options: BackupFileOptions,
): Promise<WrittenBackup> {
  const writing = new BackupFileWriter(options);
  try {
    for await (const piece of pieces) await writing.add(piece);
    return await writing.finish();
  } finally {
    await writing.close();
  }
}

class BackupFileWriter {
  readonly #options: BackupFileOptions;
  readonly #bolt: BoltWriter;
  readonly #base: RecordSorter;
  readonly #decoder: KvSnapshotDecoder;
  #head: KvSnapshotHead | undefined;
  /** Decoded and not handed on. */
  #baseIn: KeyValue[] = [];
  #changesIn: KeyValue[] = [];
  #isBaseWritten = false;
  #last: Revision | undefined;
  #sub = 0;
  #records = 0;

  constructor(options: BackupFileOptions) {
    this.#options = options;
    this.#bolt = new BoltWriter(options.file);
    this.#base = new RecordSorter(byRevision, () => options.openRuns());
    this.#decoder = new KvSnapshotDecoder({
      head: (head) => (this.#head = head),
      base: (kv) => this.#baseIn.push(kv),
      change: (kv) => this.#changesIn.push(kv),
    });
  }

  async add(piece: Uint8Array): Promise<void> {
    this.#decoder.add(piece);
    const base = this.#baseIn.splice(0);
    for (const kv of base) await this.#base.add(kv);
    if (this.#changesIn.length > 0) {
      await this.#writeBase();
      await this.#put(this.#changesIn.splice(0));
    }
    this.#options.onProgress?.({ records: this.#base.count + this.#records, bytes: this.#bolt.bytes });
    await this.#turn();
  }

  async finish(): Promise<WrittenBackup> {
    this.#decoder.finish();
    await this.#writeBase();
    const head = this.#head!;
    await this.#writeMeta(head);
    await this.#bolt.bucket(bucketNames.lease);
    // In the order of their bytes, where negative ids come last.
    const leases = head.leases.map((lease) => encodeLease(lease, head.clockMs));
    leases.sort((a, b) => Buffer.compare(a.key, b.key));
    for (const { key, value } of leases) await this.#bolt.put(key, value);
    await this.#writeAuth(head);
    for (const name of bucketNames.empty) await this.#bolt.bucket(name);
    const bytes = await this.#bolt.finish();
    return { head, records: this.#records, bytes };
  }

  async close(): Promise<void> {
    await this.#base.close();
  }

  async #writeBase(): Promise<void> {
    if (this.#isBaseWritten) return;
    this.#isBaseWritten = true;
    await this.#bolt.bucket(bucketNames.key);
    for await (const batch of this.#base.sorted()) {
      await this.#put(batch);
      this.#options.onProgress?.({ records: this.#base.count, bytes: this.#bolt.bytes });
      await this.#turn();
    }
  }

  async #put(batch: readonly KeyValue[]): Promise<void> {
    for (const kv of batch) {
      this.#sub = kv.modRevision === this.#last ? this.#sub + 1 : 0;
      this.#last = kv.modRevision;
      const isTombstone = kv.version === 0;
      const key = encodeRevision({ main: kv.modRevision, sub: this.#sub, isTombstone });
      await this.#bolt.put(key, encodeKeyValue(kv));
    }
    this.#records += batch.length;
  }

  /** What etcd's store asks for when it opens the database. */
  async #writeMeta(head: KvSnapshotHead): Promise<void> {
    await this.#bolt.bucket(bucketNames.meta);
    const index = Buffer.alloc(8);
    index.writeBigUInt64BE(BigInt(head.appliedIndex), 0);
    await this.#bolt.put(Buffer.from(metaKeys.consistentIndex), index);
    if (head.compactRevision === 0) return;
    const at = encodeRevision({ main: head.compactRevision, sub: 0, isTombstone: false });
    await this.#bolt.put(Buffer.from(metaKeys.finishedCompaction), at);
    await this.#bolt.put(Buffer.from(metaKeys.scheduledCompaction), at);
  }

  async #writeAuth({ auth }: KvSnapshotHead): Promise<void> {
    await this.#bolt.bucket(bucketNames.auth);
    if (auth) {
      const revision = Buffer.alloc(8);
      revision.writeBigUInt64BE(BigInt(auth.revision), 0);
      await this.#bolt.put(Buffer.from(authKeys.enabled), Buffer.from([auth.enabled ? 1 : 0]));
      await this.#bolt.put(Buffer.from(authKeys.revision), revision);
    }
    await this.#putNamed(bucketNames.roles, auth?.roles ?? [], encodeRole);
    await this.#putNamed(bucketNames.users, auth?.users ?? [], encodeUser);
  }

  async #putNamed<T extends { readonly name: string }>(
    bucket: string,
    all: readonly T[],
    encode: (one: T) => Buffer,
  ): Promise<void> {
    const records = all.map((one) => ({ key: Buffer.from(one.name), value: encode(one) }));
    await this.#bolt.bucket(bucket);
    for (const { key, value } of records.sort((a, b) => Buffer.compare(a.key, b.key))) {
      await this.#bolt.put(key, value);
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.defer(resolve));
  }
}

/** Which of the keys of one revision came first, compaction has forgotten: they come in their own order. */
function byRevision(a: KeyValue, b: KeyValue): number {
  return a.modRevision - b.modRevision || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
}
