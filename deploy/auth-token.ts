/**
 * `--auth-token` as etcd takes it: `jwt,sign-method=RS256,pub-key=FILE,priv-key=FILE,ttl=5m`. Keys are PEM, those of HMAC the bytes
 * of the file. Without keys tokens are signed with one that the group makes.
 */
import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { TokenKeys } from '../actors/store/etcd/index.js';

export interface AuthToken {
  readonly signMethod?: string;
  /** Paths. */
  readonly publicKeyFile?: string;
  readonly privateKeyFile?: string;
  readonly ttlMs?: number;
}

const methods = /^(?:(?:RS|PS|HS)(?:256|384|512)|ES(?:256|384|512)|EdDSA)$/;
const unitsMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** Throws with what is wrong. */
export function parseAuthToken(text: string): AuthToken {
  const [kind, ...parts] = text.split(',');
  if (kind !== 'jwt')
    throw wrong(`tokens are "jwt", with options behind commas, and not ${JSON.stringify(kind)}`);
  const options = new Map<string, string>();
  for (const part of parts) {
    const at = part.indexOf('=');
    const name = part.slice(0, Math.max(0, at));
    if (!['sign-method', 'pub-key', 'priv-key', 'ttl'].includes(name) || options.has(name)) {
      throw wrong(`${JSON.stringify(part)} is none of sign-method=, pub-key=, priv-key= and ttl=, each once`);
    }
    options.set(name, part.slice(at + 1));
  }
  const [method, publicKey, privateKey, ttl] = ['sign-method', 'pub-key', 'priv-key', 'ttl'].map((name) =>
    options.get(name),
  );
  const hasKey = publicKey !== undefined || privateKey !== undefined;
  if (hasKey !== (method !== undefined))
    throw wrong('sign-method belongs to a key, and a key to sign-method');
  if (method !== undefined && !methods.test(method)) throw wrong(`there is no sign-method ${method}`);
  const [, digits, unit = ''] = /^([1-9]\d{0,8})(s|m|h)$/.exec(ttl ?? '1s') ?? [];
  if (digits === undefined) throw wrong(`ttl is a duration, as 5m, and not ${JSON.stringify(ttl)}`);
  return {
    ...(method !== undefined && { signMethod: method }),
    ...(publicKey !== undefined && { publicKeyFile: resolve(publicKey) }),
    ...(privateKey !== undefined && { privateKeyFile: resolve(privateKey) }),
    ...(ttl !== undefined && { ttlMs: Number(digits) * unitsMs[unit]! }),
  };
}

/** Undefined: the group's. Throws when a file cannot be read, or holds no key of its kind. */
export function readTokenKeys({
  signMethod,
  publicKeyFile,
  privateKeyFile,
}: AuthToken): TokenKeys | undefined {
  if (signMethod === undefined) return undefined;
  const sign =
    privateKeyFile === undefined ? undefined : readKey(privateKeyFile, signMethod, createPrivateKey);
  if (signMethod.startsWith('HS') && !sign) throw wrong(`${signMethod} has one key, and it is priv-key`);
  const verify =
    publicKeyFile === undefined
      ? signMethod.startsWith('HS')
        ? sign!
        : createPublicKey(sign!)
      : readKey(publicKeyFile, signMethod, createPublicKey);
  return { algorithm: signMethod, verify, ...(sign && { sign }) };
}

function readKey(path: string, method: string, ofPem: (pem: Buffer) => KeyObject): KeyObject {
  try {
    const bytes = readFileSync(path);
    const key = method.startsWith('HS') ? createSecretKey(bytes) : ofPem(bytes);
    const kind = method.startsWith('ES') ? 'ec' : method === 'EdDSA' ? 'ed25519' : 'rsa';
    if (key.type !== 'secret' && key.asymmetricKeyType !== kind) {
      throw new TypeError(`it is of the kind ${key.asymmetricKeyType}, and ${method} takes ${kind}`);
    }
    return key;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`--auth-token: ${path} cannot be used: ${why}`, { cause });
  }
}

function wrong(what: string): Error {
  return new Error(`--auth-token: ${what}`);
}
