/**
 * Tokens of users as JWTs (RFC 7519) through jose, with the claims of etcd's: `username`, `revision` of users and roles, `exp`.
 * The key is replicated state, so every front knows every other's tokens. An edge: real chance, real cryptography.
 */
import { randomBytes } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';

/** The one algorithm that is taken: what a token says about itself decides nothing. */
const algorithm = 'HS256';
const keyBytes = 32;

export interface TokenClaims {
  readonly user: string;
  readonly authRevision: number;
  /** Wall clock, whole seconds. */
  readonly expiresAtMs: number;
}

export function newTokenKey(): Uint8Array {
  return new Uint8Array(randomBytes(keyBytes));
}

export function signToken(
  { user, authRevision, expiresAtMs }: TokenClaims,
  key: Uint8Array,
): Promise<string> {
  return new SignJWT({ username: user, revision: authRevision })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .setExpirationTime(Math.floor(expiresAtMs / 1000))
    .sign(key);
}

/** Undefined: not signed with this key, over, or something else. */
export async function verifyToken(
  token: string,
  key: Uint8Array,
  nowMs: number,
): Promise<TokenClaims | undefined> {
  try {
    const { payload } = await jwtVerify(token, key, {
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
