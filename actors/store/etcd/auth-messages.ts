/** etcdserverpb and authpb: users, roles, permissions, tokens (etcd api/etcdserverpb/rpc.proto, api/authpb/auth.proto). */
import { header } from './kv-messages.js';
import {
  bool,
  chosen,
  embedded,
  enumeration,
  key,
  message,
  type MessageOf,
  repeated,
  text,
  uint64,
} from './message.js';

export const AuthStatusResponse = message('AuthStatusResponse', {
  header: header(),
  enabled: chosen(bool(2)),
  authRevision: uint64(3),
});
export const AuthenticateRequest = message('AuthenticateRequest', { name: text(1), password: text(2) });
export const AuthenticateResponse = message('AuthenticateResponse', { header: header(), token: text(2) });

const UserAddOptions = message('UserAddOptions', { noPassword: bool(1) });
export const UserAddRequest = message('AuthUserAddRequest', {
  name: text(1),
  password: text(2),
  options: embedded(3, () => UserAddOptions),
});
export const UserPasswordRequest = message('AuthUserChangePasswordRequest', {
  name: text(1),
  password: text(2),
});
/** Of users and of roles; `name` is the first field of each. */
export const NameRequest = message('AuthNameRequest', { name: text(1) });
export const UserRoleRequest = message('AuthUserRoleRequest', { user: text(1), role: text(2) });
export const NamesResponse = message('AuthNamesResponse', { header: header(), names: repeated(text(2)) });

export const Permission = message('Permission', { access: enumeration(1), key: key(2), rangeEnd: key(3) });
export type Permission = MessageOf<typeof Permission>;
export const RoleGrantRequest = message('AuthRoleGrantPermissionRequest', {
  name: text(1),
  permission: embedded(2, () => Permission),
});
export const RoleRevokeRequest = message('AuthRoleRevokePermissionRequest', {
  name: text(1),
  key: key(2),
  rangeEnd: key(3),
});
export const RoleGetResponse = message('AuthRoleGetResponse', {
  header: header(),
  permissions: repeated(embedded(2, () => Permission)),
});
