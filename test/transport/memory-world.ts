/** Worlds for `linkCases` that live in virtual time. */
import { strict as assert } from 'node:assert';
import type { InprocNetwork, SimNetwork } from '../../transport/index.js';
import type { LinkWorld } from './link.case.js';
import type { VirtualClock } from './virtual-clock.js';

export function memoryWorld(network: InprocNetwork | SimNetwork, clock: VirtualClock): LinkWorld {
  const peerTimeoutMs = 300;
  return {
    clock,
    peerTimeoutMs,
    link: async (node, incarnation, policy, limits) =>
      network.link(node, incarnation, policy, { limits: { peerTimeoutMs, ...limits } }),
    kill: async (node) => network.kill(node.link.node),
    until: async (what, condition, boundMs = 5000) => {
      const endMs = clock.monotonicMs() + boundMs;
      while (!condition()) {
        assert(clock.monotonicMs() < endMs, `${what}: not within ${boundMs} ms`);
        await clock.advance(1);
      }
    },
    pass: (ms) => clock.advance(ms),
    close: async () => {},
  };
}
