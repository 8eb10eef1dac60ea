/** Callers, changes of users and roles, and all users and roles as bytes: parts of a command and of a snapshot. */
import type { ByteReader, ByteWriter } from '../disk/index.js';
import type { AuthState, Role, User } from './auth.js';
import type { AuthChange, Caller, Permission } from './auth-types.js';
import { KvError } from './errors.js';
import type { KeyRange } from './types.js';

const CALLERS = ['anonymous', 'token', 'certificate'] as const;
const CHANGES = [
  'enable',
  'disable',
  'user-add',
  'user-delete',
  'user-password',
  'user-grant',
  'user-revoke',
  'role-add',
  'role-delete',
  'role-grant',
  'role-revoke',
] as const;
const ACCESS = ['read', 'write', 'readwrite'] as const;

const anonymous: Caller = { type: 'anonymous' };

export function writeCaller(out: ByteWriter, caller: Caller): void {
  out.u8(CALLERS.indexOf(caller.type));
  if (caller.type === 'anonymous') return;
  out.utf8(caller.user);
  if (caller.type === 'token') out.varint(caller.authRevision);
}

export function readCaller(reader: ByteReader): Caller {
  const type = readCode(reader, CALLERS, 'kind of caller');
  switch (type) {
    case 'anonymous':
      return anonymous;
    case 'token':
      return { type, user: reader.utf8(), authRevision: reader.varint() };
    case 'certificate':
      return { type, user: reader.utf8() };
    default:
      return type satisfies never;
  }
}

export function writeAuthChange(out: ByteWriter, change: AuthChange): void {
  out.u8(CHANGES.indexOf(change.type));
  switch (change.type) {
    case 'enable':
      out.bytes(change.tokenKey);
      return;
    case 'disable':
      return;
    case 'user-add':
      out.utf8(change.user);
      writeHash(out, change.passwordHash);
      return;
    case 'user-delete':
      out.utf8(change.user);
      return;
    case 'user-password':
      out.utf8(change.user);
      out.utf8(change.passwordHash);
      return;
    case 'user-grant':
    case 'user-revoke':
      out.utf8(change.user);
      out.utf8(change.role);
      return;
    case 'role-add':
    case 'role-delete':
      out.utf8(change.role);
      return;
    case 'role-grant':
      out.utf8(change.role);
      writePermission(out, change.permission);
      return;
    case 'role-revoke':
      out.utf8(change.role);
      writeRange(out, change);
      return;
    default:
      change satisfies never;
  }
}

export function readAuthChange(reader: ByteReader): AuthChange {
  const type = readCode(reader, CHANGES, 'change of users and roles');
  switch (type) {
    case 'enable':
      return { type, tokenKey: reader.bytes() };
    case 'disable':
      return { type };
    case 'user-add':
      return { type, user: reader.utf8(), ...readHash(reader) };
    case 'user-delete':
      return { type, user: reader.utf8() };
    case 'user-password':
      return { type, user: reader.utf8(), passwordHash: reader.utf8() };
    case 'user-grant':
    case 'user-revoke':
      return { type, user: reader.utf8(), role: reader.utf8() };
    case 'role-add':
    case 'role-delete':
      return { type, role: reader.utf8() };
    case 'role-grant':
      return { type, role: reader.utf8(), permission: readPermission(reader) };
    case 'role-revoke':
      return { type, role: reader.utf8(), ...readRange(reader) };
    default:
      return type satisfies never;
  }
}

export function writeAuthState(out: ByteWriter, state: AuthState): void {
  out.u8(state.enabled ? 1 : 0);
  out.varint(state.revision);
  out.varint(state.enabledRevision);
  out.bytes(state.tokenKey);
  out.varint(state.users.length);
  for (const user of state.users) {
    out.utf8(user.name);
    writeHash(out, user.passwordHash);
    out.varint(user.sinceRevision);
    out.varint(user.roles.length);
    for (const role of user.roles) out.utf8(role);
  }
  out.varint(state.roles.length);
  for (const role of state.roles) {
    out.utf8(role.name);
    out.varint(role.permissions.length);
    for (const permission of role.permissions) writePermission(out, permission);
  }
}

export function readAuthState(reader: ByteReader): AuthState {
  const enabled = reader.u8() === 1;
  const revision = reader.varint();
  const enabledRevision = reader.varint();
  const tokenKey = reader.bytes();
  const users: User[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const name = reader.utf8();
    const hash = readHash(reader);
    const sinceRevision = reader.varint();
    const roles: string[] = [];
    for (let more = reader.varint(); more > 0; more--) roles.push(reader.utf8());
    users.push({ name, ...hash, roles, sinceRevision });
  }
  const roles: Role[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const name = reader.utf8();
    const permissions: Permission[] = [];
    for (let more = reader.varint(); more > 0; more--) permissions.push(readPermission(reader));
    roles.push({ name, permissions });
  }
  return { enabled, revision, enabledRevision, tokenKey, users, roles };
}

function writeHash(out: ByteWriter, passwordHash: string | undefined): void {
  out.u8(passwordHash === undefined ? 0 : 1);
  if (passwordHash !== undefined) out.utf8(passwordHash);
}

function readHash(reader: ByteReader): { readonly passwordHash?: string } {
  return reader.u8() === 0 ? {} : { passwordHash: reader.utf8() };
}

function writePermission(out: ByteWriter, permission: Permission): void {
  const code = ACCESS.indexOf(permission.access);
  if (code < 0) throw new KvError('InvalidArgument', `etcdserver: there is no access ${permission.access}`);
  out.u8(code);
  writeRange(out, permission);
}

function readPermission(reader: ByteReader): Permission {
  const access = readCode(reader, ACCESS, 'access');
  return { access, ...readRange(reader) };
}

/** An absent end is written as an empty one. Keys are latin1, as everywhere (types.ts). */
function writeRange(out: ByteWriter, { key, rangeEnd = '' }: KeyRange): void {
  out.latin1(key);
  out.latin1(rangeEnd);
}

function readRange(reader: ByteReader): KeyRange {
  const key = reader.latin1();
  const rangeEnd = reader.latin1();
  return rangeEnd === '' ? { key } : { key, rangeEnd };
}

function readCode<T extends string>(reader: ByteReader, names: readonly T[], what: string): T {
  const code = reader.u8();
  return names[code] ?? reader.fail(`unknown ${what} ${code}`);
}
