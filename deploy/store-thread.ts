/**
 * A store member in a thread of its own, so that no list and no TLS handshake of the components delays a heartbeat
 * (ARCHITECTURE rule 11). Here: the side of the main thread. The other side is store-thread-main.ts.
 */
import { Worker } from 'node:worker_threads';
import type { StoreMemberInfo } from '../actors/store/index.js';
// Not through the index: the thread starts before the rest of this process is loaded.
import { shortWay, type ShortWayEnd } from '../transport/zmq/short-way.js';

export interface StoreThreadData {
  readonly dataDir: string;
  readonly machine: string;
  /** V8 divides it into three semi-spaces. */
  readonly youngGenerationMiB: number;
  /** To the machine's other node. */
  readonly shortWay: ShortWayEnd;
}

export type ThreadRequest = { readonly id: number; readonly method: string; readonly params: unknown };
export type ThreadReply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string }
  | { readonly ready: true }
  | { readonly members: readonly StoreMemberInfo[] }
  /** The last message: the thread stands still until the process is ended. */
  | { readonly failed: string; readonly code?: string };

export interface StoreThread {
  /** For the link of the machine's other node. */
  readonly shortWay: ShortWayEnd;
  /** The methods of nodeControl, `status`, `transfer` and `tune`. */
  call(method: string, params: unknown): Promise<unknown>;
  /** Told of the group's members: at once if they are known, and whenever they change. */
  onMembers(listener: (members: readonly StoreMemberInfo[]) => void): void;
  stop(): Promise<void>;
}

/** Resolves when the member runs. `onEnd` is called when the thread ends without having been told to. */
export function startStoreThread(
  data: Omit<StoreThreadData, 'shortWay'>,
  onEnd: (error: Error) => void,
): Promise<StoreThread> {
  const [ours, theirs] = shortWay();
  const worker = new Worker(new URL('./store-thread-main.js', import.meta.url), {
    workerData: { ...data, shortWay: theirs } satisfies StoreThreadData,
    transferList: [theirs.port],
    resourceLimits: { maxYoungGenerationSizeMb: data.youngGenerationMiB },
  });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let next = 0;
  let stopping = false;
  let members: readonly StoreMemberInfo[] = [];
  const listeners: ((members: readonly StoreMemberInfo[]) => void)[] = [];
  const onMembers: StoreThread['onMembers'] = (listener) => {
    listeners.push(listener);
    if (members.length > 0) listener(members);
  };
  const call = (method: string, params: unknown) =>
    new Promise<unknown>((resolve, reject) => {
      next += 1;
      waiting.set(next, { resolve, reject });
      worker.postMessage({ id: next, method, params } satisfies ThreadRequest);
    });
  const stop = async () => {
    stopping = true;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    await call('stop', {});
    // The thread ends by itself: ending it from outside while a ZeroMQ socket lives would abort the process.
    await ended;
  };
  return new Promise((resolve, reject) => {
    const ended = (error: Error) => {
      for (const waiter of waiting.values()) waiter.reject(error);
      waiting.clear();
      reject(error);
      if (!stopping) onEnd(error);
    };
    worker.on('message', (reply: ThreadReply) => {
      if ('ready' in reply) return resolve({ shortWay: ours, call, onMembers, stop });
      if ('members' in reply) {
        members = reply.members;
        for (const listener of listeners) listener(members);
        return;
      }
      if ('failed' in reply) return ended(errorOf(reply));
      const waiter = waiting.get(reply.id);
      waiting.delete(reply.id);
      if ('error' in reply) waiter?.reject(new Error(reply.error));
      else waiter?.resolve(reply.result);
    });
    worker.on('error', (error) => ended(error as Error));
    worker.on('exit', (code) => ended(new Error(`the store's thread ended with code ${code}`)));
  });
}

/** An error of the thread, with its stack there. */
function errorOf({ failed, code }: { readonly failed: string; readonly code?: string }): Error {
  const error = new Error(failed.split('\n', 1)[0]);
  error.stack = failed;
  return code === undefined ? error : Object.assign(error, { code });
}

export function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** What kind of failure it is, of errors that say so, or of what they came from: for who decides by it. */
export function codeOf(error: unknown): { readonly code?: string } {
  // A supervisor that gives up says so, and names the last failure as its cause.
  for (let one = error, depth = 0; one instanceof Error && depth < causesMax; one = one.cause, depth += 1) {
    const { code } = one as { readonly code?: unknown };
    if (typeof code === 'string') return { code };
  }
  return {};
}

/** Causes of causes; a circle ends there. */
const causesMax = 10;
