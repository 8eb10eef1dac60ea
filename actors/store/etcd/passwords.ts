/**
 * Passwords as what can be kept of them: bcrypt hashes in etcd's form, so that they go with a snapshot to etcd and from it. Each
 * takes about 80 ms of a thread beside this one. An edge: real chance, real cryptography. The state machine never sees a password
 * (CVE-2021-28235) and never hashes one.
 */
import { Worker } from 'node:worker_threads';
import { etcdLimits } from './limits.js';
import { isPasswordHash } from './password-hash.js';
import type { PasswordAnswer, PasswordTask } from './password-thread.js';
import { code, errors, GrpcError } from './status.js';

/** Of nobody: takes as long to compare as anybody's, and no password has it. */
const nobodys = `$2a$${etcdLimits.bcryptCost}$${'.'.repeat(53)}`;

interface Waiting {
  resolve(result: string | boolean): void;
  reject(error: Error): void;
}

let thread: Worker | undefined;
let tasks = 0;
const waiting = new Map<number, Waiting>();

/** Refused beyond 72 bytes, of which bcrypt would not see the rest: in the words of Go's. */
export async function hashPassword(password: string): Promise<string> {
  if (Buffer.byteLength(password) > etcdLimits.passwordBytesMax) {
    throw new GrpcError(code.unknown, 'bcrypt: password length exceeds 72 bytes');
  }
  return (await ask({ type: 'hash', password, cost: etcdLimits.bcryptCost })) as string;
}

/** Takes as long when there is no hash: who asks does not learn from the time which users there are. */
export async function isPassword(password: string, passwordHash: string | undefined): Promise<boolean> {
  const hash = passwordHash ?? nobodys;
  if (!isPasswordHash(hash)) {
    throw new TypeError('a hash of a password is in no form that this program knows');
  }
  return ((await ask({ type: 'compare', password, hash })) as boolean) && passwordHash !== undefined;
}

/** One after the other; what is too many at once is refused. */
function ask(task: PasswordTask): Promise<string | boolean> {
  if (waiting.size >= etcdLimits.passwordsAtOnceMax) throw errors.tooManyRequests();
  thread ??= startThread();
  const id = ++tasks;
  const answer = new Promise<string | boolean>((resolve, reject) => waiting.set(id, { resolve, reject }));
  thread.ref();
  thread.postMessage({ id, task });
  return answer;
}

/** It lives from the first password on, and keeps no process alive that has none under way. */
function startThread(): Worker {
  const started = new Worker(new URL('./password-thread.js', import.meta.url));
  started.on('message', ({ id, result, error }: PasswordAnswer) => {
    const one = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) started.unref();
    if (error === undefined) one?.resolve(result);
    else one?.reject(new Error(error));
  });
  started.on('error', (error: Error) => {
    thread = undefined;
    const all = [...waiting.values()];
    waiting.clear();
    for (const one of all) one.reject(error);
  });
  return started;
}
