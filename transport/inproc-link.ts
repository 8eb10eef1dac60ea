/**
 * Links between nodes of one process, without a socket: for tests and for a whole cluster in one process.
 * Letters arrive in a later turn of the event loop; bodies pass by reference unless `roundTrip` asks for the codec,
 * which finds bodies that would not survive a real link.
 */
import type { Clock, Random } from './clock.js';
import type { Incarnation, NodeId } from './envelope.js';
import type { FaultPolicy } from './faults/policy.js';
import type { Link } from './link.js';
import type { MemoryLinkOptions } from './memory-link.js';
import { MemoryNetwork } from './memory-network.js';

export interface InprocNetworkOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly roundTrip?: boolean;
}

export class InprocNetwork {
  readonly #network: MemoryNetwork;

  constructor(options: InprocNetworkOptions) {
    this.#network = new MemoryNetwork({
      scheme: 'inproc',
      clock: options.clock,
      random: options.random,
      latencyMs: () => undefined,
      roundTrip: options.roundTrip ?? false,
    });
  }

  /** `inproc://<node>`, what `addPeer` wants to hear. */
  addressOf(node: NodeId): string {
    return this.#network.addressOf(node);
  }

  link(node: NodeId, incarnation: Incarnation, policy: FaultPolicy, options?: MemoryLinkOptions): Link {
    return this.#network.link(node, incarnation, policy, options);
  }

  /** The node falls silent without closing its link, as a process does that is killed. */
  kill(node: NodeId): void {
    this.#network.kill(node);
  }
}
