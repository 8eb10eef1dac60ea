/**
 * Users, roles and permissions as etcd has them (authpb, Auth service), who a request comes from, and how users and roles
 * change. Plain structured-cloneable data.
 */
import type { Key, KeyRange } from './types.js';

/**
 * On whose behalf a request is made. Requests without one come from the group's own machines, which are trusted (their keys
 * are); what comes from outside always has one, or nobody would be asked for rights.
 */
export type Caller =
  | { readonly type: 'anonymous' }
  /** Proven by a token, made at `authRevision`: it is worth nothing for keys once users or roles have changed. */
  | { readonly type: 'token'; readonly user: string; readonly authRevision: number }
  /** Proven by a certificate: the connection vouches for the name, now. */
  | { readonly type: 'certificate'; readonly user: string };

export type Access = 'read' | 'write';

export interface Permission extends KeyRange {
  readonly access: Access | 'readwrite';
}

/** A password as its hash: what it is made of is known to those who make it. */
export type AuthChange =
  /** `tokenKey`: signs tokens until the next time; 32 bytes or more. */
  | { readonly type: 'enable'; readonly tokenKey: Uint8Array }
  | { readonly type: 'disable' }
  /** Without a hash: a user without a password, who needs a certificate. */
  | { readonly type: 'user-add'; readonly user: string; readonly passwordHash?: string }
  | { readonly type: 'user-delete'; readonly user: string }
  | { readonly type: 'user-password'; readonly user: string; readonly passwordHash: string }
  | { readonly type: 'user-grant'; readonly user: string; readonly role: string }
  | { readonly type: 'user-revoke'; readonly user: string; readonly role: string }
  | { readonly type: 'role-add'; readonly role: string }
  | { readonly type: 'role-delete'; readonly role: string }
  | { readonly type: 'role-grant'; readonly role: string; readonly permission: Permission }
  | { readonly type: 'role-revoke'; readonly role: string; readonly key: Key; readonly rangeEnd?: Key };

/** What users may ask about users and roles. */
export type AuthQuery =
  | { readonly type: 'status' | 'users' | 'roles' }
  | { readonly type: 'user'; readonly user: string }
  | { readonly type: 'role'; readonly role: string };

export type AuthAnswer =
  | { readonly type: 'status'; readonly enabled: boolean; readonly authRevision: number }
  /** Of users, of roles, or of the roles of a user; sorted. */
  | { readonly type: 'names'; readonly names: readonly string[] }
  | { readonly type: 'permissions'; readonly permissions: readonly Permission[] };

/** What it takes to prove who somebody is; for the group's own machines only. */
export interface AuthSecrets {
  readonly enabled: boolean;
  readonly authRevision: number;
  /** Empty when it is not enabled. */
  readonly tokenKey: Uint8Array;
  /** Of the user that was asked for: absent when there is none; without a hash he has no password. */
  readonly user?: { readonly passwordHash?: string };
}
