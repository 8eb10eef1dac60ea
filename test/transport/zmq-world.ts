/** Real ZeroMQ links on loopback, in real time, with short timeouts. */
import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, type LinkLimits, ZmqLink, type ZmqLinkOptions } from '../../transport/index.js';
import type { LinkWorld } from './link.case.js';
import { SeededRandom } from './virtual-clock.js';

export const realClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  defer: (callback) => void setImmediate(callback),
};

const shortLimits: Partial<LinkLimits> = {
  heartbeatMs: 60,
  peerTimeoutMs: 300,
  disconnectGraceMs: 100,
  connectionTimeoutMs: 600,
};

export async function until(what: string, condition: () => boolean, boundMs = 5000): Promise<void> {
  const endMs = performance.now() + boundMs;
  while (!condition()) {
    assert(performance.now() < endMs, `${what}: not within ${boundMs} ms`);
    await sleep(2);
  }
}

export function zmqOptions(options: Partial<ZmqLinkOptions> = {}): ZmqLinkOptions {
  return {
    clusterId: 'test',
    clock: realClock,
    random: new SeededRandom(5),
    limits: shortLimits,
    ...options,
  };
}

export function zmqWorld(options: (node: string) => Partial<ZmqLinkOptions> = () => ({})): LinkWorld {
  return {
    clock: realClock,
    peerTimeoutMs: 300,
    link: async (node, incarnation, policy, limits) =>
      new ZmqLink(
        node,
        incarnation,
        policy,
        zmqOptions({ limits: { ...shortLimits, ...limits }, ...options(node) }),
      ),
    kill: async (node) => {
      node.policy.add({ id: 'kill', from: ['*'], to: ['*'], action: { type: 'cut' } });
      await node.link.close();
    },
    until,
    pass: (ms) => sleep(ms),
    close: async () => {},
  };
}
