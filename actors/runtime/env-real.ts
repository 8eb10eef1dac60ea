/** The machine as Env: real time, real chance. Edge (ARCHITECTURE rule 2): the only file of the runtime that touches them. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Disk } from 'raft-consensus';
import type { Clock, FaultPolicy, Incarnation, Link, NodeId, Random, Timer } from '../../transport/index.js';
import type { Env } from './env.js';

export interface RealEnvOptions {
  /** Opens the folder of this node by name; `RealDisk` of raft-consensus in production. */
  readonly disk: (folder: string) => Promise<Disk>;
  /** Makes the node's link, with this environment's clock and random. */
  readonly link: (request: {
    readonly node: NodeId;
    readonly incarnation: Incarnation;
    readonly policy: FaultPolicy;
    readonly clock: Clock;
    readonly random: Random;
  }) => Link;
}

/** setTimeout's longest delay; a longer one would fire at once. */
const timeoutMsMax = 2 ** 31 - 1;

export const realClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (delayMs, callback): Timer => {
    let handle: NodeJS.Timeout;
    const arm = (leftMs: number) => {
      const partMs = Math.min(leftMs, timeoutMsMax);
      handle = setTimeout(() => (leftMs > partMs ? arm(leftMs - partMs) : callback()), partMs);
    };
    arm(Math.max(0, delayMs));
    return { cancel: () => clearTimeout(handle) };
  },
  defer: (callback) => {
    setImmediate(callback);
  },
};

export const realRandom: Random = {
  next: () => Math.random(),
  integer: (below) => Math.floor(Math.random() * below),
  hex: (length) => randomBytes(length).toString('hex'),
};

export function createRealEnv(options: RealEnvOptions): Env {
  return {
    clock: realClock,
    random: realRandom,
    disk: (folder) => options.disk(folder),
    link: (node, incarnation, policy) =>
      options.link({ node, incarnation, policy, clock: realClock, random: realRandom }),
    uuid: () => randomUUID(),
  };
}
