/**
 * A snapshot of etcd's or of ours, opened to be looked at or restored from: the database and, behind it, its SHA-256. That sum
 * is checked before anything is believed; after that every record must make sense as well, and what does not is named with
 * its place.
 */
import { createHash } from 'node:crypto';
import { crc32c, type DiskFile } from 'raft-consensus';
import { WireError } from '../etcd/wire.js';
import { type BoltBucket, type BoltEntry, BoltReader } from './bolt-reader.js';
import { BackupError } from './errors.js';
import { authKeys, decodeRole, decodeUser, type AuthState, type StoredUser } from './etcd-auth.js';
import {
  bucketNames,
  decodeKeyValue,
  decodeLease,
  decodeRevision,
  metaKeys,
  type RevisionKey,
  type StoredKeyValue,
  type StoredLease,
} from './etcd-records.js';
import { backupLimits } from './limits.js';

const SUM_BYTES = 32;
const SECTOR_BYTES = 512;
/** etcd's. */
const LEASE_TTL_MAX_SECONDS = 9_000_000_000;

/** Bytes of `total` that have been gone through. */
export type ByteProgress = (bytes: number, total: number) => void;

export interface OpenBackupOptions {
  /** Takes a file without a sum, and one whose sum is wrong: a database copied out of a member's folder has none. */
  readonly skipsSum?: boolean;
  readonly onProgress?: ByteProgress;
}

export interface BackupStatus {
  /** As `etcdctl snapshot status` has them. */
  readonly hash: number;
  readonly revision: number;
  readonly totalKeys: number;
  readonly totalBytes: number;
  readonly compactRevision: number;
  /** Versions of keys, deletions too. */
  readonly records: number;
  readonly leases: number;
  readonly users: number;
  readonly isAuthEnabled: boolean;
  /** False: it has none, or it was skipped. */
  readonly isSumChecked: boolean;
}

export interface StoredChange extends RevisionKey {
  /** Null: no change, but a revision that was set by a restore (etcdutl --bump-revision). */
  readonly kv: StoredKeyValue | null;
}

export interface StoredAuth {
  readonly isEnabled: boolean;
  readonly revision: number;
  readonly users: readonly StoredUser[];
  readonly roles: AuthState['roles'];
}

export class EtcdBackup {
  readonly #reader: BoltReader;
  readonly #buckets: ReadonlyMap<string, BoltBucket>;
  readonly isSumChecked: boolean;

  /** Rejects with BackupError. The file is the caller's. */
  static async open(file: DiskFile, options: OpenBackupOptions = {}): Promise<EtcdBackup> {
    const size = await file.size();
    const hasSum = size % SECTOR_BYTES === SUM_BYTES;
    const bytes = hasSum ? size - SUM_BYTES : size;
    const reader = await BoltReader.open(file, bytes);
    reader.checkLength();
    const isSumChecked = hasSum && options.skipsSum !== true;
    if (!hasSum && options.skipsSum !== true) {
      throw new BackupError(
        'Truncated',
        'it has no sum at its end: it is cut off, or copied from a member',
        size,
      );
    }
    if (isSumChecked && !(await sumMatches(file, bytes, options.onProgress)))
      throw await placeOfDamage(reader);
    const buckets = new Map((await reader.buckets()).map((bucket) => [bucket.name, bucket]));
    for (const name of [bucketNames.key, bucketNames.meta]) {
      if (buckets.has(name)) continue;
      throw new BackupError('Foreign', `it is a bbolt file, but none of etcd's: it has no bucket "${name}"`);
    }
    return new EtcdBackup(reader, buckets, isSumChecked);
  }

  private constructor(reader: BoltReader, buckets: ReadonlyMap<string, BoltBucket>, isSumChecked: boolean) {
    this.#reader = reader;
    this.#buckets = buckets;
    this.isSumChecked = isSumChecked;
  }

  /** Goes through all of it. */
  async status(onProgress?: ByteProgress): Promise<BackupStatus> {
    let hash = 0;
    let totalKeys = 0;
    let done = 0;
    for (const { name, entries } of this.#buckets.values()) {
      hash = crc32c(Buffer.from(name, 'latin1'), hash);
      for await (const page of entries()) {
        for (const { key, value } of page) {
          hash = crc32c(value, crc32c(key, hash));
          done += key.length + value.length;
        }
        totalKeys += page.length;
        onProgress?.(done, this.#reader.bytes);
      }
    }
    let revision = 0;
    let records = 0;
    for await (const changes of this.changes()) {
      revision = changes.at(-1)?.main ?? revision;
      records += changes.length;
    }
    const { users, isEnabled } = await this.auth();
    return {
      hash,
      revision,
      totalKeys,
      totalBytes: this.#reader.bytes,
      compactRevision: await this.compactRevision(),
      records,
      leases: (await this.leases()).length,
      users: users.length,
      isAuthEnabled: isEnabled,
      isSumChecked: this.isSumChecked,
    };
  }

  /** All changes that compaction has left, in order. */
  async *changes(): AsyncGenerator<readonly StoredChange[]> {
    for await (const page of this.#entries(bucketNames.key)) yield page.map(changeOf);
  }

  /** 0: nothing was ever compacted. A compaction that had begun counts: etcd would end it. */
  async compactRevision(): Promise<number> {
    let at = 0;
    for await (const page of this.#entries(bucketNames.meta)) {
      for (const { key, value, at: offset } of page) {
        const name = key.toString('latin1');
        if (name !== metaKeys.finishedCompaction && name !== metaKeys.scheduledCompaction) continue;
        const revision = decodeRevision(value);
        if (revision === null) throw new BackupError('Damaged', `${name} is no revision`, offset);
        at = Math.max(at, revision.main);
      }
    }
    return at;
  }

  async leases(): Promise<StoredLease[]> {
    return await this.#decoded(bucketNames.lease, 'a lease', (bytes) => checkLease(decodeLease(bytes)));
  }

  async auth(): Promise<StoredAuth> {
    let isEnabled = false;
    let revision = 1;
    for await (const page of this.#entries(bucketNames.auth)) {
      for (const { key, value, at } of page) {
        const name = key.toString('latin1');
        if (name === authKeys.enabled) isEnabled = value[0] === 1;
        if (name !== authKeys.revision) continue;
        if (value.length !== 8) throw new BackupError('Damaged', `${name} has ${value.length} bytes`, at);
        revision = Number(value.readBigUInt64BE(0));
      }
    }
    const users = await this.#decoded(bucketNames.users, 'a user', decodeUser);
    const roles = await this.#decoded(bucketNames.roles, 'a role', decodeRole);
    return { isEnabled, revision, users, roles };
  }

  async #decoded<T>(bucket: string, what: string, decode: (bytes: Buffer) => T): Promise<T[]> {
    const all: T[] = [];
    for await (const page of this.#entries(bucket)) {
      for (const { value, at } of page) all.push(decoded(what, at, () => decode(value)));
    }
    return all;
  }

  async *#entries(name: string): AsyncGenerator<readonly BoltEntry[]> {
    const bucket = this.#buckets.get(name);
    if (bucket) yield* bucket.entries();
  }
}

function changeOf({ key, value, at }: BoltEntry): StoredChange {
  const revision = decodeRevision(key);
  if (revision === null) throw new BackupError('Damaged', 'the key of a change is no revision', at);
  if (value.length === 0) return { ...revision, kv: null };
  const kv = decoded(`the change at revision ${revision.main}`, at, () => decodeKeyValue(value));
  if (!(revision.isTombstone || isVersionAt(kv, revision.main)) || kv.key === '') {
    throw new BackupError('Damaged', `the change at revision ${revision.main} says that it is another`, at);
  }
  return { ...revision, kv };
}

function isVersionAt({ createRevision, modRevision, version }: StoredKeyValue, main: number): boolean {
  const isPossible = createRevision > 0 && createRevision <= modRevision;
  return modRevision === main && isPossible && version > 0 && Number.isSafeInteger(version);
}

function checkLease(lease: StoredLease): StoredLease {
  const { id, ttlSeconds, remainingSeconds } = lease;
  if (id !== 0 && ttlSeconds > 0 && ttlSeconds <= LEASE_TTL_MAX_SECONDS && remainingSeconds <= ttlSeconds)
    return lease;
  throw new WireError(`lease ${id.toString(16)} for ${ttlSeconds} seconds`);
}

function decoded<T>(what: string, at: number, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new BackupError('Damaged', `${what} makes no sense: ${cause.message}`, at, { cause });
  }
}

async function sumMatches(file: DiskFile, bytes: number, onProgress?: ByteProgress): Promise<boolean> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes; at += backupLimits.readBytes) {
    hash.update(await file.read(at, Math.min(backupLimits.readBytes, bytes - at)));
    onProgress?.(Math.min(bytes, at + backupLimits.readBytes), bytes);
  }
  return hash.digest().equals(await file.read(bytes, SUM_BYTES));
}

/** The sum says that there is some; the pages may say where. */
async function placeOfDamage(reader: BoltReader): Promise<BackupError> {
  try {
    for (const { entries } of await reader.buckets()) for await (const page of entries()) void page;
  } catch (error) {
    if (error instanceof BackupError) return error;
    throw error;
  }
  return new BackupError('Damaged', 'it does not match its SHA-256 sum, though all its pages can be read');
}
