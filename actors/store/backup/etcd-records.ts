/**
 * What etcd keeps in its database and under which keys (etcd server/storage/schema, server/storage/mvcc/revision.go): each
 * change of a key under its revision, main u64, `_`, and the number of the change within it u64, big-endian, with a `t` behind
 * it when the key was deleted; the value is mvccpb.KeyValue. Leases and facts about the whole in buckets of their own.
 */
import { type KeyValue, type KvSnapshotHead, type LeaseId, leaseId } from 'raft-consensus';
import { exactInt64, int64, message } from '../etcd/message.js';
import { KeyValue as KeyValueMessage } from '../etcd/kv-messages.js';

/** All that etcd makes. */
export const bucketNames = {
  key: 'key',
  meta: 'meta',
  lease: 'lease',
  auth: 'auth',
  roles: 'authRoles',
  users: 'authUsers',
  empty: ['alarm', 'cluster', 'members', 'members_removed'],
} as const;

export const metaKeys = {
  consistentIndex: 'consistent_index',
  scheduledCompaction: 'scheduledCompactRev',
  finishedCompaction: 'finishedCompactRev',
} as const;

const REVISION_BYTES = 17;
const UNDERSCORE = 0x5f;
const TOMBSTONE = 0x74;

export interface RevisionKey {
  readonly main: number;
  readonly sub: number;
  readonly isTombstone: boolean;
}

export function encodeRevision({ main, sub, isTombstone }: RevisionKey): Buffer {
  const key = Buffer.alloc(REVISION_BYTES + (isTombstone ? 1 : 0));
  key.writeBigUInt64BE(BigInt(main), 0);
  key[8] = UNDERSCORE;
  key.writeBigUInt64BE(BigInt(sub), 9);
  if (isTombstone) key[REVISION_BYTES] = TOMBSTONE;
  return key;
}

/** Null: it is no such key. */
export function decodeRevision(key: Buffer): RevisionKey | null {
  const isTombstone = key.length === REVISION_BYTES + 1 && key[REVISION_BYTES] === TOMBSTONE;
  if (!isTombstone && key.length !== REVISION_BYTES) return null;
  const main = Number(key.readBigUInt64BE(0));
  const sub = Number(key.readBigUInt64BE(9));
  if (key[8] !== UNDERSCORE || !Number.isSafeInteger(main) || !Number.isSafeInteger(sub)) return null;
  return { main, sub, isTombstone };
}

/** Of a deletion only the key is kept: its revision is the record's. */
export function encodeKeyValue(kv: KeyValue): Buffer {
  return KeyValueMessage.encode(kv.version === 0 ? { key: kv.key } : kv);
}

export interface StoredKeyValue {
  readonly key: string;
  readonly value: Buffer;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: LeaseId;
}

/** Throws WireError. The value is a view. */
export function decodeKeyValue(bytes: Buffer): StoredKeyValue {
  const { key, value, createRevision, modRevision, version, lease } = KeyValueMessage.decode(bytes);
  return { key, value: value as Buffer, createRevision, modRevision, version, lease: leaseId(lease) };
}

const Lease = message('Lease', { id: exactInt64(1), ttl: int64(2), remainingTtl: int64(3) });

export interface StoredLease {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  /** 0: etcd did not write it down. */
  readonly remainingSeconds: number;
}

/** Key and value of a lease. Its time goes on counting from what is left, in whole seconds. */
export function encodeLease(
  { id, ttlMs, deadlineMs }: KvSnapshotHead['leases'][number],
  clockMs: number,
): { readonly key: Buffer; readonly value: Buffer } {
  const key = Buffer.alloc(8);
  key.writeBigInt64BE(BigInt(id), 0);
  const ttl = Math.ceil(ttlMs / 1000);
  const remainingTtl = Math.min(ttl, Math.max(1, Math.ceil((deadlineMs - clockMs) / 1000)));
  return { key, value: Lease.encode({ id, ttl, remainingTtl }) };
}

/** Throws WireError. */
export function decodeLease(bytes: Buffer): StoredLease {
  const { id, ttl, remainingTtl } = Lease.decode(bytes);
  return { id: leaseId(id), ttlSeconds: ttl, remainingSeconds: remainingTtl };
}
