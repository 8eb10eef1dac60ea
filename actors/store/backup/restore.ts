/**
 * Makes the files of a new group's members out of a backup: the newest state of every key, with its revisions, leases, users
 * and roles. History is not restored: the revision is moved on by much and all before it counts as compacted, so that a
 * watcher that saw more than the backup holds is told to list again, and never sees time run backwards (etcd #16028). The
 * members get a new cluster's identity: files of the old group, and of earlier restores, are strangers to them.
 */
import {
  compareLeaseIds,
  type Configuration,
  type Disk,
  digestOf,
  type KeyValue,
  KvSnapshotEncoder,
  type KvSnapshotHead,
  type LeaseId,
  leaseId,
  logIndex,
  memberId,
  revision,
  type SnapshotMeta,
  term,
} from 'raft-consensus';
import { openDiskStorage } from '../disk-storage.js';
import { BackupError } from './errors.js';
import type { EtcdBackup, StoredAuth } from './etcd-backup.js';
import type { AuthState } from './etcd-auth.js';
import type { StoredLease } from './etcd-records.js';
import { RecordSorter } from './record-sorter.js';
import { openScratchFile } from './scratch-file.js';

export interface RestoreOptions {
  readonly backup: EtcdBackup;
  /** Of the new group. */
  readonly cluster: string;
  /** Empty folders. */
  readonly members: readonly { readonly name: string; readonly disk: Disk }[];
  /** For files that are gone again in the end. */
  readonly scratch: Disk;
  /** How far the revision is moved on; 1 or more. */
  readonly bumpRevision: number;
  /** Users and roles are kept, but nobody is asked for them. */
  readonly disablesAuth: boolean;
  /** Signs tokens, if users have to prove who they are. */
  readonly tokenKey: Uint8Array;
  onProgress?(step: 'read' | 'write', records: number): void;
}

export interface Restored {
  /** Newest in the backup, and in the new group. */
  readonly backupRevision: number;
  readonly revision: number;
  readonly members: number;
  readonly keys: number;
  readonly leases: number;
  /** Keys whose lease is not in the backup, and who have none now. */
  readonly leaselessKeys: number;
  /** Users whose passwords we cannot check: they have none now. */
  readonly foreignUsers: readonly string[];
  readonly isAuthEnabled: boolean;
}

/** The first entry of the new log; the state is that of its snapshot. */
const INDEX = 1;
const TERM = 1;

/** Rejects with BackupError; what was written then is to be thrown away. */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { backup, scratch, bumpRevision } = options;
  const auth = await backup.auth();
  const users = restoredAuth(auth, options);
  const leases = new LeaseBook(await backup.leases());
  const sorter = new RecordSorter(byKey, () => openScratchFile(scratch, 'restore.runs'));
  try {
    const newest = await sortChanges(sorter, leases, options);
    const backupRevision = Math.max(newest, await backup.compactRevision(), 1);
    const at = revision(backupRevision + bumpRevision);
    const live = await summed(sorter);
    const head: KvSnapshotHead = {
      appliedIndex: INDEX,
      revision: at,
      compactRevision: at,
      clockMs: 0,
      leases: leases.restored,
      alarms: [],
      digest: live.digest,
      ...(users && { auth: users }),
    };
    await writeMembers(head, sorter, options);
    return {
      backupRevision,
      revision: at,
      members: options.members.length,
      keys: live.keys,
      leases: leases.restored.length,
      leaselessKeys: leases.missed,
      foreignUsers: auth.users.filter(({ isForeign }) => isForeign).map(({ name }) => name),
      isAuthEnabled: users?.enabled ?? false,
    };
  } finally {
    await sorter.close();
  }
}

/** Resolves with the newest revision. */
async function sortChanges(
  sorter: RecordSorter,
  leases: LeaseBook,
  { backup, onProgress }: RestoreOptions,
): Promise<number> {
  let newest = 0;
  for await (const changes of backup.changes()) {
    for (const { main, isTombstone, kv } of changes) {
      newest = main;
      if (kv === null) continue;
      await sorter.add({
        key: kv.key,
        value: isTombstone ? NOTHING : new Uint8Array(kv.value),
        createRevision: revision(isTombstone ? 0 : kv.createRevision),
        modRevision: revision(main),
        version: isTombstone ? 0 : kv.version,
        lease: isTombstone ? leaseId(0) : leases.known(kv.lease),
      });
    }
    onProgress?.('read', sorter.count);
  }
  return newest;
}

const NOTHING = new Uint8Array(0);

/** The last change of every key that is not a deletion, in key order. */
async function* liveKeys(sorter: RecordSorter): AsyncGenerator<KeyValue> {
  let last: KeyValue | undefined;
  for await (const batch of sorter.sorted()) {
    for (const kv of batch) {
      if (last !== undefined && last.key !== kv.key && last.version > 0) yield last;
      last = kv;
    }
  }
  if (last !== undefined && last.version > 0) yield last;
}

async function summed(sorter: RecordSorter): Promise<{ readonly keys: number; readonly digest: number }> {
  let keys = 0;
  let digest = 0;
  for await (const kv of liveKeys(sorter)) {
    keys += 1;
    digest = (digest + digestOf(kv)) >>> 0;
  }
  return { keys, digest };
}

async function writeMembers(
  head: KvSnapshotHead,
  sorter: RecordSorter,
  { cluster, members, onProgress }: RestoreOptions,
): Promise<void> {
  const configuration: Configuration = { voters: members.map(({ name }) => memberId(name)), learners: [] };
  const meta: SnapshotMeta = { index: logIndex(INDEX), term: term(TERM), configuration };
  const storages = members.map(({ name, disk }) => openDiskStorage(disk, cluster, name));
  const sinks = await Promise.all(storages.map(({ snapshots }) => snapshots.create(meta)));
  const encoder = new KvSnapshotEncoder(head);
  const seal = async () => {
    const chunk = encoder.seal();
    for (const sink of sinks) await sink.write(chunk);
  };
  let records = 0;
  for await (const kv of liveKeys(sorter)) {
    encoder.add(kv);
    records += 1;
    if (!encoder.isFull) continue;
    await seal();
    onProgress?.('write', records);
  }
  encoder.endBase(0);
  await seal();
  for (const sink of sinks) await sink.commit();
  for (const storage of storages) {
    await storage.log.load();
    await storage.log.save({
      snapshot: meta,
      hardState: { term: meta.term, votedFor: null, commit: meta.index },
      entries: [],
      mustSync: true,
    });
    await storage.close();
  }
}

function byKey(a: KeyValue, b: KeyValue): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

/** Time counts from what was left when the backup was taken. */
class LeaseBook {
  readonly restored: KvSnapshotHead['leases'][number][];
  readonly #ids: ReadonlySet<LeaseId>;
  missed = 0;

  constructor(leases: readonly StoredLease[]) {
    this.restored = leases
      .map(({ id, ttlSeconds, remainingSeconds }) => {
        const ttlMs = Math.max(1, ttlSeconds) * 1000;
        return { id, ttlMs, deadlineMs: remainingSeconds > 0 ? remainingSeconds * 1000 : ttlMs };
      })
      .sort((a, b) => compareLeaseIds(a.id, b.id));
    this.#ids = new Set(this.restored.map(({ id }) => id));
  }

  /** 0 where it is not in the backup. */
  known(id: LeaseId): LeaseId {
    if (id === 0 || this.#ids.has(id)) return id;
    this.missed += 1;
    return leaseId(0);
  }
}

/** Undefined: there are no users and roles. Tokens of before are worth nothing. */
function restoredAuth(auth: StoredAuth, { disablesAuth, tokenKey }: RestoreOptions): AuthState | undefined {
  const foreign = auth.users.filter(({ isForeign }) => isForeign).map(({ name }) => name);
  if (auth.isEnabled && !disablesAuth && foreign.length > 0) {
    throw new BackupError(
      'Foreign',
      `authentication is enabled in it, and the passwords of ${foreign.join(', ')} are in no form that can be checked ` +
        'here: restore it with authentication disabled, set the passwords anew, and enable it then',
    );
  }
  if (!auth.isEnabled && auth.users.length === 0 && auth.roles.length === 0) return undefined;
  const authRevision = auth.revision + 1;
  const enabled = auth.isEnabled && !disablesAuth;
  return {
    enabled,
    revision: authRevision,
    enabledRevision: authRevision,
    tokenKey: enabled ? tokenKey : NOTHING,
    users: auth.users.map(({ name, roles, passwordHash }) => ({
      name,
      roles,
      sinceRevision: authRevision,
      ...(passwordHash !== undefined && { passwordHash }),
    })),
    roles: auth.roles,
  };
}
