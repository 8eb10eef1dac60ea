/** etcd's Auth service: there are no users and roles. Clients that ask whether there are get an answer. */
import type { ClusterView } from './cluster-view.js';
import { service, unary } from './method.js';
import { AuthStatusResponse, Empty } from './rpc-messages.js';
import { code, errors, GrpcError } from './status.js';

const changes = [
  'AuthEnable',
  'UserAdd',
  'UserGet',
  'UserList',
  'UserDelete',
  'UserChangePassword',
  'UserGrantRole',
  'UserRevokeRole',
  'RoleAdd',
  'RoleGet',
  'RoleList',
  'RoleDelete',
  'RoleGrantPermission',
  'RoleRevokePermission',
];

export function authService(view: ClusterView) {
  const unsupported = unary(Empty, Empty, () => {
    const text = 'etcdserver: users and roles are not supported: use TLS with client certificates';
    return Promise.reject(new GrpcError(code.unimplemented, text));
  });
  return service('etcdserverpb.Auth', {
    AuthStatus: unary(Empty, AuthStatusResponse, async () => ({ header: view.header(), enabled: false })),
    AuthDisable: unary(Empty, Empty, () => Promise.reject(errors.authNotEnabled())),
    Authenticate: unary(Empty, Empty, () => Promise.reject(errors.authNotEnabled())),
    ...Object.fromEntries(changes.map((name) => [name, unsupported])),
  });
}
