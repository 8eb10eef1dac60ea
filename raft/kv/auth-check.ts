/**
 * What a caller must have a right to for a command or a read (etcd server/etcdserver/apply/auth.go): asked where it takes
 * effect, so that a permission revoked meanwhile counts. All of a transaction is asked for, both branches, nested ones too,
 * whichever is taken (CVE-2026-33343), with previous values and leases (CVE-2026-44283).
 */
import type { Auth } from './auth.js';
import type { Caller } from './auth-types.js';
import type { KvError } from './errors.js';
import type { Leases } from './leases.js';
import type { LeaseId, Op, PutOp, SingleCommand, TxnOp } from './types.js';

/** Undefined: the caller may, or nobody is asked for rights. */
export function deniesCommand(auth: Auth, leases: Leases, command: SingleCommand): KvError | undefined {
  const { caller } = command;
  if (caller === undefined || !auth.enabled) return undefined;
  switch (command.type) {
    case 'txn':
      return deniesTxn(auth, leases, caller, command.txn);
    case 'lease-grant':
      return auth.deniesUser(caller);
    case 'lease-renew':
    case 'lease-revoke':
      return auth.deniesUser(caller) ?? deniesLeaseWrite(auth, leases, caller, command.id);
    case 'compact':
    case 'alarm':
    case 'auth':
    case 'clock':
      return auth.deniesAdmin(caller);
    default:
      return command satisfies never;
  }
}

export function deniesTxn(auth: Auth, leases: Leases, caller: Caller, txn: TxnOp): KvError | undefined {
  for (const compare of txn.compare) {
    const denied = auth.deniesKeys(caller, 'read', compare);
    if (denied !== undefined) return denied;
  }
  for (const op of txn.success) {
    const denied = deniesOp(auth, leases, caller, op);
    if (denied !== undefined) return denied;
  }
  for (const op of txn.failure) {
    const denied = deniesOp(auth, leases, caller, op);
    if (denied !== undefined) return denied;
  }
  return undefined;
}

function deniesOp(auth: Auth, leases: Leases, caller: Caller, op: Op): KvError | undefined {
  switch (op.type) {
    case 'range':
      return auth.deniesKeys(caller, 'read', op);
    case 'put':
      return deniesPut(auth, leases, caller, op);
    case 'delete':
      return (
        (op.prevKv === true ? auth.deniesKeys(caller, 'read', op) : undefined) ??
        auth.deniesKeys(caller, 'write', op)
      );
    case 'txn':
      return deniesTxn(auth, leases, caller, op);
    default:
      return op satisfies never;
  }
}

function deniesPut(auth: Auth, leases: Leases, caller: Caller, op: PutOp): KvError | undefined {
  return (
    auth.deniesKeys(caller, 'write', op) ??
    // A lease of keys that the caller may not write he could not revoke: nor may he bind anything to it.
    (op.lease === undefined ? undefined : deniesLeaseWrite(auth, leases, caller, op.lease)) ??
    (op.prevKv === true ? auth.deniesKeys(caller, 'read', op) : undefined)
  );
}

/** Renewing or ending a lease writes its keys. */
function deniesLeaseWrite(auth: Auth, leases: Leases, caller: Caller, id: LeaseId): KvError | undefined {
  return deniesKeysOf(auth, leases, caller, id, 'write');
}

/** Which keys a lease has is known to those who may read them all (GHSA-3p4g-rcw5-8298). */
export function deniesLeaseKeys(
  auth: Auth,
  leases: Leases,
  caller: Caller | undefined,
  id: LeaseId,
): KvError | undefined {
  return deniesKeysOf(auth, leases, caller, id, 'read');
}

function deniesKeysOf(
  auth: Auth,
  leases: Leases,
  caller: Caller | undefined,
  id: LeaseId,
  access: 'read' | 'write',
): KvError | undefined {
  const lease = leases.get(id);
  if (lease === undefined || lease.keys.size === 0 || auth.deniesAdmin(caller) === undefined)
    return undefined;
  for (const key of lease.keys) {
    const denied = auth.deniesKeys(caller, access, { key });
    if (denied !== undefined) return denied;
  }
  return undefined;
}
