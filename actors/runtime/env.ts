/**
 * The one seam for everything that is not deterministic (ARCHITECTURE rule 2). `env-real.ts` is the machine;
 * `env-sim.ts` is seeded, single-threaded and in virtual time. What needs the outside world in a form of its own
 * (a container runtime, an HTTPS door, a service proxy) has an interface in its component's folder whose real side
 * is an edge listed in test/tidy.
 */
import type { Disk } from 'raft-consensus';
import type { Clock, FaultPolicy, Incarnation, Link, NodeId, Random } from '../../transport/index.js';

export interface Env {
  readonly clock: Clock;
  readonly random: Random;
  /** A folder of the node's own, by name (`raft`, `snapshots`). */
  disk(folder: string): Promise<Disk>;
  /** The node's link; the policy judges everything that it sends. */
  link(node: NodeId, incarnation: Incarnation, policy: FaultPolicy): Link;
  /** RFC 4122 version 4; seeded in the simulator. */
  uuid(): string;
}
