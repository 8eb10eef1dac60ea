/**
 * What each request of a member takes a right to, of callers from outside. What reads or writes keys, leases, users and roles
 * is judged by the state machine where it takes effect; the rest is judged here, by what this member has applied. The switch
 * is exhaustive: a new kind of request does not compile before it is said who may make it (CVE-2026-33413).
 */
import { type Caller, KvError, type KvStore } from 'raft-consensus';
import type { Need } from './caller-store.js';
import type { SharedRequest, StoreRequest } from './messages.js';

/** Undefined: go on. */
export function deniesAtOnce(store: KvStore, request: StoreRequest | SharedRequest): KvError | undefined {
  const { caller } = request;
  if (caller === undefined) return undefined;
  switch (request.type) {
    case 'StoreTxn':
    case 'StoreRange':
    case 'StoreRangeRead':
    case 'StoreCompact':
    case 'StoreLeaseGrant':
    case 'StoreLeaseRevoke':
    case 'StoreLeaseKeepAlive':
    case 'StoreLeaseTimeToLive':
    case 'StoreLeases':
    case 'StoreAlarm':
    case 'StoreAuth':
    case 'StoreAuthQuery':
    case 'StoreAuthorize':
      return undefined;
    case 'StoreCurrentRevision':
    case 'StoreAlarms':
    case 'StoreStatus':
    case 'StoreMemberList':
      return store.auth.deniesUser(caller);
    case 'StoreHashKv':
    case 'StoreMeasures':
    case 'StoreTransfer':
    case 'StoreMemberAdd':
    case 'StoreMemberRemove':
    case 'StoreMemberPromote':
    case 'StoreMemberUpdate':
    case 'StoreBackupOpen':
    case 'StoreBackupRead':
      return store.auth.deniesAdmin(caller);
    case 'StoreAuthSecrets':
      return new KvError('PermissionDenied', 'etcdserver: permission denied');
    default:
      return request satisfies never;
  }
}

export function deniesNeed(store: KvStore, need: Need, caller: Caller | undefined): KvError | undefined {
  switch (need.type) {
    case 'user':
      return store.auth.deniesUser(caller);
    case 'admin':
      return store.auth.deniesAdmin(caller);
    case 'read':
      return store.auth.deniesKeys(caller, 'read', need.range);
    default:
      return need satisfies never;
  }
}

/** The caller was proven by what this member has not applied yet. */
export function isAhead(store: KvStore, caller: Caller | undefined): boolean {
  return caller?.type === 'token' && caller.authRevision > store.auth.revision;
}
