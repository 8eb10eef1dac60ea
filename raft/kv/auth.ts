/**
 * Users, roles and whether anybody is asked for them (etcd server/auth), part of the replicated state: every member decides
 * alike, and at its place in the log. Each change counts up the revision of users and roles, which outdates all tokens. Who has
 * the role `root` may do everything; a user `root` with that role must be there before rights are enforced, and stays as long.
 */
import { authError } from './auth-errors.js';
import { KeyRanges } from './auth-ranges.js';
import type {
  Access,
  AuthAnswer,
  AuthChange,
  AuthQuery,
  AuthSecrets,
  Caller,
  Permission,
} from './auth-types.js';
import { digestOfAll } from './digest.js';
import { KvError } from './errors.js';
import { KV_LIMITS } from './limits.js';
import type { KeyRange } from './types.js';

export interface User {
  readonly name: string;
  /** Absent: no password, the user needs a certificate. */
  readonly passwordHash?: string;
  /** Sorted. */
  readonly roles: readonly string[];
  /** When the user was made or got this password: tokens of before are not his any more. */
  readonly sinceRevision: number;
}

export interface Role {
  readonly name: string;
  /** By key and end, each once. */
  readonly permissions: readonly Permission[];
}

/** What a snapshot holds of it. */
export interface AuthState {
  readonly enabled: boolean;
  readonly revision: number;
  /** At which rights were enforced last: tokens of an earlier time are worth nothing. */
  readonly enabledRevision: number;
  readonly tokenKey: Uint8Array;
  /** Both by name. */
  readonly users: readonly User[];
  readonly roles: readonly Role[];
}

const root = 'root';
const noKey = new Uint8Array(0);
const firstRevision = 1;
const rootPermission: Permission = { access: 'readwrite', key: '', rangeEnd: '\0' };

export class Auth {
  #enabled = false;
  #revision = firstRevision;
  #enabledRevision = 0;
  #tokenKey: Uint8Array = noKey;
  readonly #users = new Map<string, User>();
  readonly #roles = new Map<string, Role>();
  /** By user; forgotten with every change. */
  readonly #ranges = new Map<string, Readonly<Record<Access, KeyRanges>>>();
  #digest: number | undefined;

  get enabled(): boolean {
    return this.#enabled;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Nobody has ever changed anything. */
  get isUntouched(): boolean {
    return this.#revision === firstRevision && !this.#enabled;
  }

  /** Refused without an effect, or done. What changes nothing does not count as a revision, as in etcd. */
  change(change: AuthChange): KvError | undefined {
    const refusal = this.#carryOut(change);
    this.#ranges.clear();
    this.#digest = undefined;
    return refusal;
  }

  /** Why the caller may not read or write the keys; undefined: he may. */
  deniesKeys(caller: Caller | undefined, access: Access, range: KeyRange): KvError | undefined {
    if (caller === undefined || !this.#enabled) return undefined;
    if (caller.type === 'anonymous') return authError('UserEmpty');
    if (caller.type === 'token' && caller.authRevision < this.#revision) return authError('AuthOldRevision');
    const user = this.#users.get(caller.user);
    if (user === undefined) return authError('PermissionDenied');
    if (user.roles.includes(root) || this.#rangesOf(user)[access].hold(range)) return undefined;
    return authError('PermissionDenied');
  }

  /** Undefined: the caller has the role `root`. Whether his token is new does not matter, as in etcd; that it is his does. */
  deniesAdmin(caller: Caller | undefined): KvError | undefined {
    if (caller === undefined || !this.#enabled) return undefined;
    if (caller.type === 'anonymous') return authError('UserEmpty');
    const user = this.#users.get(caller.user);
    if (user === undefined) return authError('UserNotFound');
    return (
      this.#isOutdated(caller, user) ??
      (user.roles.includes(root) ? undefined : authError('PermissionDenied'))
    );
  }

  /** Undefined: the caller is somebody. */
  deniesUser(caller: Caller | undefined): KvError | undefined {
    if (caller === undefined || !this.#enabled) return undefined;
    if (caller.type === 'anonymous') return authError('UserEmpty');
    const user = this.#users.get(caller.user);
    return user === undefined ? authError('PermissionDenied') : this.#isOutdated(caller, user);
  }

  /** Everybody may ask for the status, a user for himself and for the roles that he has; the rest is for root. */
  answer(query: AuthQuery, caller: Caller | undefined): AuthAnswer | KvError {
    switch (query.type) {
      case 'status':
        return { type: 'status', enabled: this.#enabled, authRevision: this.#revision };
      case 'users':
        return this.deniesAdmin(caller) ?? { type: 'names', names: sortedKeys(this.#users) };
      case 'roles':
        return this.deniesAdmin(caller) ?? { type: 'names', names: sortedKeys(this.#roles) };
      case 'user': {
        const denied = this.deniesAdmin(caller);
        if (denied !== undefined && !this.#isCaller(caller, query.user)) return denied;
        const user = this.#users.get(query.user);
        return user === undefined ? authError('UserNotFound') : { type: 'names', names: user.roles };
      }
      case 'role': {
        const denied = this.deniesAdmin(caller);
        if (denied !== undefined && !this.#hasRole(caller, query.role)) return denied;
        const role = this.#roles.get(query.role);
        if (role === undefined) return authError('RoleNotFound');
        return { type: 'permissions', permissions: role.name === root ? [rootPermission] : role.permissions };
      }
      default:
        return query satisfies never;
    }
  }

  secrets(user: string | undefined): AuthSecrets {
    const found = user === undefined ? undefined : this.#users.get(user);
    return {
      enabled: this.#enabled,
      authRevision: this.#revision,
      tokenKey: this.#tokenKey,
      ...(found && {
        user: found.passwordHash === undefined ? {} : { passwordHash: found.passwordHash },
      }),
    };
  }

  get state(): AuthState {
    return {
      enabled: this.#enabled,
      revision: this.#revision,
      enabledRevision: this.#enabledRevision,
      tokenKey: this.#tokenKey,
      users: sortedKeys(this.#users).map((name) => this.#users.get(name)!),
      roles: sortedKeys(this.#roles).map((name) => this.#roles.get(name)!),
    };
  }

  restore({ enabled, revision, enabledRevision, tokenKey, users, roles }: AuthState): void {
    this.#enabled = enabled;
    this.#revision = revision;
    this.#enabledRevision = enabledRevision;
    this.#tokenKey = tokenKey;
    for (const user of users) this.#users.set(user.name, user);
    for (const role of roles) this.#roles.set(role.name, role);
    this.#digest = undefined;
  }

  /** Over all of it (digest.ts). */
  get digest(): number {
    this.#digest ??= digestOfState(this.state);
    return this.#digest;
  }

  #carryOut(change: AuthChange): KvError | undefined {
    switch (change.type) {
      case 'enable':
        return this.#enable(change.tokenKey);
      case 'disable':
        if (!this.#enabled) return undefined;
        this.#enabled = false;
        this.#tokenKey = noKey;
        return this.#done();
      case 'user-add':
        return this.#addUser(change.user, change.passwordHash);
      case 'user-delete':
        if (this.#enabled && change.user === root) return authError('InvalidAuthMgmt');
        return this.#users.delete(change.user) ? this.#done() : authError('UserNotFound');
      case 'user-password':
        return this.#setPassword(change.user, change.passwordHash);
      case 'user-grant':
        return this.#grantRole(change.user, change.role);
      case 'user-revoke':
        return this.#revokeRole(change.user, change.role);
      case 'role-add':
        return this.#addRole(change.role);
      case 'role-delete':
        return this.#deleteRole(change.role);
      case 'role-grant':
        return this.#grantPermission(change.role, change.permission);
      case 'role-revoke':
        return this.#revokePermission(change.role, change);
      default:
        return change satisfies never;
    }
  }

  #done(): undefined {
    this.#revision += 1;
  }

  /** A key of its own each time: tokens of an earlier time are worth nothing. */
  #enable(tokenKey: Uint8Array): KvError | undefined {
    if (this.#enabled) return undefined;
    const user = this.#users.get(root);
    if (user === undefined) return authError('RootUserNotExist');
    if (!user.roles.includes(root)) return authError('RootRoleNotExist');
    if (tokenKey.length < KV_LIMITS.authTokenKeyBytesMin) return tooMuch('a key for tokens is too short');
    this.#enabled = true;
    this.#enabledRevision = this.#revision;
    this.#tokenKey = new Uint8Array(tokenKey);
    return undefined;
  }

  #addUser(name: string, passwordHash: string | undefined): KvError | undefined {
    if (name === '') return authError('UserEmpty');
    if (this.#users.has(name)) return authError('UserAlreadyExist');
    const refusal = refusedName(name, this.#users.size, KV_LIMITS.authUsersMax, 'users');
    if (refusal !== undefined) return refusal;
    const sinceRevision = this.#revision + 1;
    const password = passwordHash === undefined ? {} : { passwordHash };
    this.#users.set(name, { name, ...password, roles: [], sinceRevision });
    return this.#done();
  }

  /** A user without a password stays without one. */
  #setPassword(name: string, passwordHash: string): KvError | undefined {
    const user = this.#users.get(name);
    if (user === undefined) return authError('UserNotFound');
    const sinceRevision = this.#revision + 1;
    const password = user.passwordHash === undefined ? {} : { passwordHash };
    this.#users.set(name, { ...user, ...password, sinceRevision });
    return this.#done();
  }

  #grantRole(name: string, role: string): KvError | undefined {
    const user = this.#users.get(name);
    if (user === undefined) return authError('UserNotFound');
    if (role !== root && !this.#roles.has(role)) return authError('RoleNotFound');
    if (user.roles.includes(role)) return undefined;
    this.#users.set(name, { ...user, roles: [...user.roles, role].sort() });
    return this.#done();
  }

  #revokeRole(name: string, role: string): KvError | undefined {
    if (this.#enabled && name === root && role === root) return authError('InvalidAuthMgmt');
    const user = this.#users.get(name);
    if (user === undefined) return authError('UserNotFound');
    if (!user.roles.includes(role)) return authError('RoleNotGranted');
    this.#users.set(name, { ...user, roles: user.roles.filter((one) => one !== role) });
    return this.#done();
  }

  #addRole(name: string): KvError | undefined {
    if (name === '') return authError('RoleEmpty');
    if (this.#roles.has(name)) return authError('RoleAlreadyExist');
    const refusal = refusedName(name, this.#roles.size, KV_LIMITS.authRolesMax, 'roles');
    if (refusal !== undefined) return refusal;
    this.#roles.set(name, { name, permissions: [] });
    return this.#done();
  }

  #deleteRole(name: string): KvError | undefined {
    if (this.#enabled && name === root) return authError('InvalidAuthMgmt');
    if (!this.#roles.delete(name)) return authError('RoleNotFound');
    for (const user of this.#users.values()) {
      if (!user.roles.includes(name)) continue;
      this.#users.set(user.name, { ...user, roles: user.roles.filter((one) => one !== name) });
    }
    return this.#done();
  }

  /** Of the same keys there is one permission: the latest. */
  #grantPermission(name: string, permission: Permission): KvError | undefined {
    if (!isValidRange(permission)) return authError('InvalidAuthMgmt');
    const role = this.#roles.get(name);
    if (role === undefined) return authError('RoleNotFound');
    const others = role.permissions.filter((one) => !isSameRange(one, permission));
    if (others.length >= KV_LIMITS.authPermissionsMax) {
      return tooMuch(`a role takes ${KV_LIMITS.authPermissionsMax} permissions`);
    }
    this.#roles.set(name, { name, permissions: [...others, permission].sort(byRange) });
    return this.#done();
  }

  #revokePermission(name: string, range: KeyRange): KvError | undefined {
    const role = this.#roles.get(name);
    if (role === undefined) return authError('RoleNotFound');
    const permissions = role.permissions.filter((one) => !isSameRange(one, range));
    if (permissions.length === role.permissions.length) return authError('PermissionNotGranted');
    this.#roles.set(name, { name, permissions });
    return this.#done();
  }

  #rangesOf(user: User): Readonly<Record<Access, KeyRanges>> {
    const known = this.#ranges.get(user.name);
    if (known !== undefined) return known;
    const permissions = user.roles.flatMap((role) => this.#roles.get(role)?.permissions ?? []);
    const ranges = {
      read: new KeyRanges(permissions.filter(({ access }) => access !== 'write')),
      write: new KeyRanges(permissions.filter(({ access }) => access !== 'read')),
    };
    this.#ranges.set(user.name, ranges);
    return ranges;
  }

  /** A token from before the password, from a user of the same name who is gone, or of an earlier time of enforcement. */
  #isOutdated(caller: Caller, user: User): KvError | undefined {
    const since = Math.max(user.sinceRevision, this.#enabledRevision);
    return caller.type === 'token' && caller.authRevision < since ? authError('InvalidAuthToken') : undefined;
  }

  #isCaller(caller: Caller | undefined, name: string): boolean {
    if (caller === undefined || caller.type === 'anonymous' || caller.user !== name) return false;
    const user = this.#users.get(name);
    return user !== undefined && this.#isOutdated(caller, user) === undefined;
  }

  #hasRole(caller: Caller | undefined, role: string): boolean {
    if (caller === undefined || caller.type === 'anonymous') return false;
    return this.#isCaller(caller, caller.user) && this.#users.get(caller.user)!.roles.includes(role);
  }
}

/** The first key must be one, and the range not empty (etcd: isValidPermissionRange). */
function isValidRange({ key, rangeEnd = '' }: KeyRange): boolean {
  return key !== '' && (rangeEnd === '' || rangeEnd === '\0' || key < rangeEnd);
}

function isSameRange(a: KeyRange, b: KeyRange): boolean {
  return a.key === b.key && (a.rangeEnd ?? '') === (b.rangeEnd ?? '');
}

function byRange(a: KeyRange, b: KeyRange): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return (a.rangeEnd ?? '') < (b.rangeEnd ?? '') ? -1 : 1;
}

function refusedName(name: string, count: number, countMax: number, what: string): KvError | undefined {
  if (count >= countMax) return tooMuch(`there are ${count} ${what} already`);
  const { authNameLengthMax } = KV_LIMITS;
  return name.length > authNameLengthMax
    ? tooMuch(`a name is longer than ${authNameLengthMax} characters`)
    : undefined;
}

function tooMuch(what: string): KvError {
  return new KvError('InvalidArgument', `etcdserver: ${what}`);
}

function digestOfState({ enabled, revision, enabledRevision, tokenKey, users, roles }: AuthState): number {
  return digestOfAll([
    enabled ? 1 : 0,
    revision,
    enabledRevision,
    tokenKey.join(),
    ...users.flatMap(({ name, passwordHash, roles: of, sinceRevision }) => [
      name,
      passwordHash ?? '',
      of.length,
      ...of,
      sinceRevision,
    ]),
    ...roles.flatMap(({ name, permissions }) => [
      name,
      permissions.length,
      ...permissions.flatMap(({ access, key, rangeEnd }) => [access, key, rangeEnd ?? '']),
    ]),
  ]);
}

function sortedKeys(map: ReadonlyMap<string, unknown>): string[] {
  return [...map.keys()].sort();
}
