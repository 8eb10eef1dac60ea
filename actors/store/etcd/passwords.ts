/**
 * Passwords as what can be kept of them: scrypt (RFC 7914) with a salt, about 50 ms of a thread beside this one each. An edge:
 * real chance, real cryptography. The state machine never sees a password (CVE-2021-28235) and never hashes one.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { etcdLimits } from './limits.js';
import { errors } from './status.js';

const cost = 2 ** 14;
const blockSize = 8;
const saltBytes = 16;
const hashBytes = 32;
/** Of nobody: takes as long to compare as anybody's. */
const nobodys = `scrypt$14$8$${Buffer.alloc(saltBytes).toString('base64')}$${Buffer.alloc(hashBytes).toString('base64')}`;

let running = 0;

/** `scrypt$log2 of the cost$block size$salt$hash`, in base64. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltBytes);
  const hash = await derive(password, salt);
  return `scrypt$14$8$${salt.toString('base64')}$${hash.toString('base64')}`;
}

/** Takes as long when there is no hash: who asks does not learn from the time which users there are. */
export async function isPassword(password: string, passwordHash: string | undefined): Promise<boolean> {
  const match = /^scrypt\$14\$8\$([^$]+)\$([^$]+)$/.exec(passwordHash ?? nobodys);
  if (!match) throw new TypeError('a hash of a password is in no form that this program knows');
  const expected = Buffer.from(match[2]!, 'base64');
  const found = await derive(password, Buffer.from(match[1]!, 'base64'));
  return timingSafeEqual(found, expected) && passwordHash !== undefined;
}

/** Each holds 16 MiB: what is too many at once is refused. */
async function derive(password: string, salt: Buffer): Promise<Buffer> {
  if (running >= etcdLimits.passwordsAtOnceMax) throw errors.tooManyRequests();
  running += 1;
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      scrypt(password, salt, hashBytes, { cost, blockSize, maxmem: 64 * 1024 * 1024 }, (error, hash) =>
        error ? reject(error) : resolve(hash),
      );
    });
  } finally {
    running -= 1;
  }
}
