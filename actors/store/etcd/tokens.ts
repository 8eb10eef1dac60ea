/**
 * Tokens of users as JWTs (RFC 7519) through jose, with the claims of etcd's: `username`, `revision` of users and roles, `exp`.
 * The key is replicated state, so every front knows every other's tokens; or the operator has keys of his own, and may sign tokens
 * elsewhere. An edge: real chance, real cryptography.
 */
import { type KeyObject, randomBytes } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import { code, GrpcError } from './status.js';

/** With a key of the group. The one algorithm that is taken: what a token says about itself decides nothing. */
const algorithmOfGroup = 'HS256';
const keyBytes = 32;

export interface TokenClaims {
  readonly user: string;
  readonly authRevision: number;
  /** Wall clock, whole seconds. */
  readonly expiresAtMs: number;
}

/** Of the operator. */
export interface TokenKeys {
  /** A name of RFC 7518 or RFC 8037: `RS256`, `EdDSA`. */
  readonly algorithm: string;
  readonly verify: KeyObject;
  /** Undefined: tokens are signed elsewhere only. */
  readonly sign?: KeyObject;
}

export function newTokenKey(): Uint8Array {
  return new Uint8Array(randomBytes(keyBytes));
}

/** With the operator's keys, or that of the group. */
export function signToken(
  { user, authRevision, expiresAtMs }: TokenClaims,
  key: TokenKeys | Uint8Array,
): Promise<string> {
  const [alg, secret] = key instanceof Uint8Array ? [algorithmOfGroup, key] : [key.algorithm, key.sign];
  if (secret === undefined) throw verifyOnly();
  return new SignJWT({ username: user, revision: authRevision })
    .setProtectedHeader({ alg, typ: 'JWT' })
    .setExpirationTime(Math.floor(expiresAtMs / 1000))
    .sign(secret);
}

/** In etcd's own words, which it gives no code. */
function verifyOnly(): GrpcError {
  return new GrpcError(code.unknown, 'auth: token signing attempted with verify-only key');
}

/** Undefined: not signed with this key, over, or something else. */
export async function verifyToken(
  token: string,
  key: TokenKeys | Uint8Array,
  nowMs: number,
): Promise<TokenClaims | undefined> {
  const [algorithm, secret] =
    key instanceof Uint8Array ? [algorithmOfGroup, key] : [key.algorithm, key.verify];
  try {
    const { payload } = await jwtVerify(token, secret, {
      algorithms: [algorithm],
      currentDate: new Date(nowMs),
      requiredClaims: ['username', 'revision', 'exp'],
    });
    const { username, revision, exp } = payload;
    if (typeof username !== 'string' || typeof revision !== 'number' || !Number.isSafeInteger(revision)) {
      return undefined;
    }
    return { user: username, authRevision: revision, expiresAtMs: (exp as number) * 1000 };
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}
