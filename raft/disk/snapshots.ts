/**
 * Snapshots on disk: `snapshot-<index>-<term>.snap`, written under a temporary name, synced, renamed, and
 * the folder synced, so that a name that counts always holds a whole snapshot. The newest two are kept.
 * Header and data are each guarded by a CRC-32C; a snapshot that does not check is passed over for an older
 * one and named in `damaged`.
 */
import type { SnapshotMeta } from '../core/types.js';
import type { SnapshotStore, StoredSnapshot } from '../storage.js';
import { ByteReader, MalformedBytes } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';
import { crc32c } from './crc32c.js';
import type { Disk } from './disk.js';
import { StorageError } from './errors.js';
import { DISK_LIMITS } from './limits.js';
import { readSnapshotMeta, writeSnapshotMeta } from './wal-record.js';

export interface SnapshotStoreOptions {
  readonly disk: Disk;
  /** A snapshot of another cluster or member is refused. */
  readonly cluster: string;
  readonly member: string;
}

const MAGIC = 0x4b53_4e50;
const FORMAT_VERSION = 1;
const NAME = /^snapshot-\d{16}-\d{16}\.snap$/;
/** magic u32 | header length u32 | header crc u32, then the header, then the data. */
const PREFIX_BYTES = 12;

export class DiskSnapshots implements SnapshotStore {
  readonly #options: SnapshotStoreOptions;
  readonly #damaged: StorageError[] = [];
  /** What `latest` has checked already, by name. */
  readonly #checked = new Map<string, SnapshotMeta>();

  constructor(options: SnapshotStoreOptions) {
    this.#options = options;
  }

  /** Snapshots found damaged so far, for the member's log and its health report. */
  get damaged(): readonly StorageError[] {
    return this.#damaged;
  }

  async save(meta: SnapshotMeta, data: Uint8Array): Promise<void> {
    const { disk } = this.#options;
    const name = snapshotName(meta);
    const temporary = `${name}.tmp`;
    const file = await disk.open(temporary, 'create');
    await file.truncate(0);
    await file.write(0, [this.#header(meta, data), data]);
    await file.sync();
    await file.close();
    await disk.rename(temporary, name);
    await disk.syncDirectory();
    this.#checked.set(name, meta);
    await this.#removeOld();
  }

  async latest(): Promise<SnapshotMeta | null> {
    const newest = (await this.#names()).at(-1);
    const checked = newest === undefined ? undefined : this.#checked.get(newest);
    return checked ?? (await this.load())?.meta ?? null;
  }

  async load(): Promise<StoredSnapshot | null> {
    // The rename of a process that was killed right after it may not be durable yet; what is found must be.
    await this.#options.disk.syncDirectory();
    const names = await this.#names();
    let damage: StorageError | undefined;
    for (const name of names.toReversed()) {
      try {
        const snapshot = await this.#read(name);
        this.#checked.set(name, snapshot.meta);
        return snapshot;
      } catch (error) {
        if (!(error instanceof StorageError) || error.code !== 'SnapshotCorrupt') throw error;
        this.#damaged.push(error);
        damage ??= error;
      }
    }
    if (damage !== undefined) throw damage;
    return null;
  }

  /** Oldest first. Names sort as their indexes do. */
  async #names(): Promise<string[]> {
    return (await this.#options.disk.list()).filter((name) => NAME.test(name)).sort();
  }

  #header(meta: SnapshotMeta, data: Uint8Array): Uint8Array {
    const header = new ByteWriter();
    header.varint(FORMAT_VERSION);
    header.utf8(this.#options.cluster);
    header.utf8(this.#options.member);
    writeSnapshotMeta(header, meta);
    header.varint(data.length);
    header.u32(crc32c(data));
    const out = new ByteWriter(PREFIX_BYTES + header.length);
    out.u32(MAGIC);
    out.u32(header.length);
    out.u32(crc32c(header.view()));
    out.raw(header.view());
    return out.toBytes();
  }

  async #read(name: string): Promise<StoredSnapshot> {
    const file = await this.#options.disk.open(name, 'existing');
    const bytes = await file.read(0, await file.size());
    await file.close();
    try {
      return this.#decode(name, bytes);
    } catch (cause) {
      if (!(cause instanceof MalformedBytes)) throw cause;
      throw new StorageError(
        'SnapshotCorrupt',
        cause.message,
        { file: name, offset: cause.offset },
        { cause },
      );
    }
  }

  #decode(name: string, bytes: Uint8Array): StoredSnapshot {
    const reader = new ByteReader(bytes);
    if (reader.u32() !== MAGIC) reader.fail('not a snapshot');
    const headerLength = reader.u32();
    const headerCrc = reader.u32();
    const header = new ByteReader(reader.raw(headerLength));
    if (crc32c(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + headerLength)) !== headerCrc) {
      reader.fail('the header does not match its checksum');
    }
    const version = header.varint();
    if (version !== FORMAT_VERSION)
      this.#refuse(name, `it has format version ${version}, this program reads another`);
    const cluster = header.utf8();
    if (cluster !== this.#options.cluster) {
      this.#refuse(name, `it belongs to cluster "${cluster}", this member to "${this.#options.cluster}"`);
    }
    const member = header.utf8();
    if (member !== this.#options.member) {
      this.#refuse(name, `it belongs to member "${member}", this member is "${this.#options.member}"`);
    }
    const meta = readSnapshotMeta(header);
    const length = header.varint();
    const dataCrc = header.u32();
    const from = reader.offset;
    const data = reader.raw(length);
    reader.expectEnd();
    if (crc32c(data) !== dataCrc) reader.fail(`the data from byte ${from} on do not match their checksum`);
    return { meta, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
  }

  #refuse(name: string, reason: string): never {
    throw new StorageError('ForeignDirectory', reason, { file: name });
  }

  async #removeOld(): Promise<void> {
    const { disk } = this.#options;
    const names = await this.#names();
    const unfinished = (await disk.list()).filter((name) => /^snapshot-.*\.tmp$/.test(name));
    const old = names.slice(0, Math.max(0, names.length - DISK_LIMITS.snapshotsKept));
    for (const name of [...old, ...unfinished]) {
      await disk.remove(name);
      this.#checked.delete(name);
    }
    if (old.length + unfinished.length > 0) await disk.syncDirectory();
  }
}

function snapshotName(meta: SnapshotMeta): string {
  const part = (n: number) => String(n).padStart(16, '0');
  return `snapshot-${part(meta.index)}-${part(meta.term)}.snap`;
}
