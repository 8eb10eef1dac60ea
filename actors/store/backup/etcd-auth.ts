/**
 * Users and roles in etcd's database (etcd api/authpb, server/storage/schema/auth.go). Hashes of passwords are bcrypt's on both
 * sides, and go over as they are.
 */
import type { KvSnapshotHead } from 'raft-consensus';
import { bytes, embedded, bool, enumeration, key, message, repeated, text } from '../etcd/message.js';
import { isPasswordHash } from '../etcd/password-hash.js';

export type AuthState = NonNullable<KvSnapshotHead['auth']>;
type User = AuthState['users'][number];
type Role = AuthState['roles'][number];
type Permission = Role['permissions'][number];

export const authKeys = { enabled: 'authEnabled', revision: 'authRevision' } as const;

const UserOptions = message('UserAddOptions', { noPassword: bool(1) });
const UserRecord = message('User', {
  name: text(1),
  password: bytes(2),
  roles: repeated(text(3)),
  options: embedded(4, () => UserOptions),
});
const PermissionRecord = message('Permission', { type: enumeration(1), key: key(2), rangeEnd: key(3) });
const RoleRecord = message('Role', {
  name: text(1),
  permissions: repeated(embedded(2, () => PermissionRecord)),
});

const accesses = ['read', 'write', 'readwrite'] as const;
export function encodeUser({ name, passwordHash, roles }: User): Buffer {
  const password = passwordHash === undefined ? {} : { password: Buffer.from(passwordHash) };
  return UserRecord.encode({ name, ...password, roles, options: { noPassword: passwordHash === undefined } });
}

export interface StoredUser extends Omit<User, 'sinceRevision'> {
  /** Whether a password of his was set that we cannot check. */
  readonly isForeign: boolean;
}

/** Throws WireError. */
export function decodeUser(record: Buffer): StoredUser {
  const { name, password, roles } = UserRecord.decode(record);
  const hash = Buffer.from(password).toString();
  const isForeign = hash !== '' && !isPasswordHash(hash);
  return { name, roles, isForeign, ...(hash !== '' && !isForeign && { passwordHash: hash }) };
}

export function encodeRole({ name, permissions }: Role): Buffer {
  return RoleRecord.encode({
    name,
    permissions: permissions.map(({ access, key: from, rangeEnd = '' }) => ({
      type: accesses.indexOf(access),
      key: from,
      rangeEnd,
    })),
  });
}

/** Throws WireError. */
export function decodeRole(record: Buffer): Role {
  const { name, permissions } = RoleRecord.decode(record);
  return {
    name,
    permissions: permissions.map(({ type = 0, key: from = '', rangeEnd = '' }): Permission => {
      const access = accesses[type] ?? 'read';
      return { access, key: from, ...(rangeEnd !== '' && { rangeEnd }) };
    }),
  };
}
