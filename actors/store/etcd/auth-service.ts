/**
 * etcd's Auth service: changes of users and roles are commands of the store, which also judges who may make them. Passwords end
 * here: they are checked against, and become, hashes (passwords.ts).
 */
import type { AuthChange, AuthQuery, Permission as StorePermission } from 'raft-consensus';
import type { Clock } from '../../../transport/index.js';
import type { GuardedStoreClient } from '../caller-store.js';
import {
  AuthenticateRequest,
  AuthenticateResponse,
  AuthStatusResponse,
  NameRequest,
  NamesResponse,
  type Permission,
  RoleGetResponse,
  RoleGrantRequest,
  RoleRevokeRequest,
  UserAddRequest,
  UserPasswordRequest,
  UserRoleRequest,
} from './auth-messages.js';
import type { ClusterView } from './cluster-view.js';
import type { EtcdLimits } from './limits.js';
import type { Schema } from './message.js';
import { type Call, service, unary } from './method.js';
import { hashPassword, isPassword } from './passwords.js';
import { Empty, HeaderOnly } from './rpc-messages.js';
import { code, errors, GrpcError } from './status.js';
import { newTokenKey, signToken, type TokenKeys } from './tokens.js';

export interface AuthServiceOptions {
  readonly client: GuardedStoreClient;
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly limits: EtcdLimits;
  /** Instead of the group's. */
  readonly tokenKeys?: TokenKeys | undefined;
}

const accesses = ['read', 'write', 'readwrite'] as const;

export function authService({ client, view, clock, limits, tokenKeys }: AuthServiceOptions) {
  const changing = <Q extends object>(
    schema: Schema<Q>,
    changeOf: (request: Q) => AuthChange | Promise<AuthChange>,
  ) =>
    unary(schema, HeaderOnly, async (request, call) => {
      const stores = await call.stores();
      const change = await changeOf(request);
      return { header: view.header(await stores.client.authChange(change, { timeoutMs: call.timeoutMs() })) };
    });
  const ask = async <T extends 'status' | 'names' | 'permissions'>(query: AuthQuery, type: T, call: Call) => {
    const stores = await call.stores();
    const { revision, result } = await stores.client.authQuery(query, { timeoutMs: call.timeoutMs() });
    if (result.type !== type) throw new TypeError(`${query.type} was answered with ${result.type}`);
    return { header: view.header(revision), ...(result as Extract<typeof result, { type: T }>) };
  };
  return service('etcdserverpb.Auth', {
    AuthStatus: unary(Empty, AuthStatusResponse, (_request, call) => ask({ type: 'status' }, 'status', call)),
    AuthEnable: changing(Empty, () => ({ type: 'enable', tokenKey: newTokenKey() })),
    AuthDisable: changing(Empty, () => ({ type: 'disable' })),
    Authenticate: unary(AuthenticateRequest, AuthenticateResponse, async ({ name, password }, call) => {
      const secrets = await client.authSecrets(name, { timeoutMs: call.timeoutMs() });
      const { enabled, user, authRevision, tokenKey } = secrets;
      if (!enabled) throw errors.authNotEnabled();
      if (user && user.passwordHash === undefined) throw passwordOfNobody();
      if (!(await isPassword(password, user?.passwordHash))) throw errors.authFailed();
      // Was the password changed meanwhile, then this token is older than it, and worth nothing.
      const expiresAtMs = clock.nowMs() + limits.tokenTtlMs;
      return {
        header: view.header(),
        token: await signToken({ user: name, authRevision, expiresAtMs }, tokenKeys ?? tokenKey),
      };
    }),
    UserAdd: changing(UserAddRequest, async ({ name, password, options }) => ({
      type: 'user-add',
      user: name,
      ...(options?.noPassword !== true && { passwordHash: await hashPassword(password) }),
    })),
    UserGet: unary(NameRequest, NamesResponse, ({ name }, call) =>
      ask({ type: 'user', user: name }, 'names', call),
    ),
    UserList: unary(Empty, NamesResponse, (_request, call) => ask({ type: 'users' }, 'names', call)),
    UserDelete: changing(NameRequest, ({ name }) => ({ type: 'user-delete', user: name })),
    UserChangePassword: changing(UserPasswordRequest, async ({ name, password }) => ({
      type: 'user-password',
      user: name,
      passwordHash: await hashPassword(password),
    })),
    UserGrantRole: changing(UserRoleRequest, ({ user, role }) => ({ type: 'user-grant', user, role })),
    UserRevokeRole: changing(UserRoleRequest, ({ user, role }) => ({ type: 'user-revoke', user, role })),
    RoleAdd: changing(NameRequest, ({ name }) => ({ type: 'role-add', role: name })),
    RoleGet: unary(NameRequest, RoleGetResponse, async ({ name }, call) => {
      const { header, permissions } = await ask({ type: 'role', role: name }, 'permissions', call);
      return { header, permissions: permissions.map(messageOf) };
    }),
    RoleList: unary(Empty, NamesResponse, (_request, call) => ask({ type: 'roles' }, 'names', call)),
    RoleDelete: changing(NameRequest, ({ name }) => ({ type: 'role-delete', role: name })),
    RoleGrantPermission: changing(RoleGrantRequest, ({ name, permission }) => {
      if (!permission) throw errors.permissionNotGiven();
      return { type: 'role-grant', role: name, permission: permissionOf(permission) };
    }),
    RoleRevokePermission: changing(RoleRevokeRequest, ({ name, key, rangeEnd }) => ({
      type: 'role-revoke',
      role: name,
      key,
      ...(rangeEnd !== '' && { rangeEnd }),
    })),
  });
}

function permissionOf({ access = 0, key = '', rangeEnd = '' }: Partial<Permission>): StorePermission {
  const what = accesses[access];
  if (what === undefined) throw errors.invalidAuthMgmt();
  return { access: what, key, ...(rangeEnd !== '' && { rangeEnd }) };
}

function messageOf({ access, key, rangeEnd = '' }: StorePermission): Permission {
  return { access: accesses.indexOf(access), key, rangeEnd };
}

/** In etcd's own words, which it gives no code. */
function passwordOfNobody(): GrpcError {
  const text = 'auth: authentication failed, password was given for no password user';
  return new GrpcError(code.unknown, text);
}
