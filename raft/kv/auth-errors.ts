/** How requests about users, roles and rights are refused: etcd's texts (api/v3rpc/rpctypes), which clients match on. */
import { KvError } from './errors.js';

const texts = {
  RootUserNotExist: 'root user does not exist',
  RootRoleNotExist: 'root user does not have root role',
  UserAlreadyExist: 'user name already exists',
  UserEmpty: 'user name is empty',
  UserNotFound: 'user name not found',
  RoleAlreadyExist: 'role name already exists',
  RoleNotFound: 'role name not found',
  RoleEmpty: 'role name is empty',
  PermissionDenied: 'permission denied',
  RoleNotGranted: 'role is not granted to the user',
  PermissionNotGranted: 'permission is not granted to the role',
  InvalidAuthToken: 'invalid auth token',
  InvalidAuthMgmt: 'invalid auth management',
  AuthOldRevision: 'revision of auth store is old',
} as const;

export type AuthErrorCode = keyof typeof texts;

export function authError(code: AuthErrorCode): KvError {
  return new KvError(code, `etcdserver: ${texts[code]}`);
}
