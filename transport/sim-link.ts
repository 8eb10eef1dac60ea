/**
 * The simulated network: links in seeded virtual time, with latency per directed pair of machines and faults of the
 * network itself (loss, duplication, reordering, partitions) beside each sender's policy. Letters under way survive
 * the death of their sender and a cut that comes after them, so a heal can bring stale letters, as a real network
 * does. Paths may be narrow or noisy (sim-paths.ts). Model: TigerBeetle's packet simulator, FoundationDB's SimNetwork.
 */
import { strict as assert } from 'node:assert';
import type { Clock, Random } from './clock.js';
import { type Incarnation, machineOf, type NodeId } from './envelope.js';
import { FaultPolicy } from './faults/policy.js';
import type { Link } from './link.js';
import { SimPaths } from './sim-paths.js';
import type { MemoryLinkOptions } from './memory-link.js';
import { type Death, MemoryNetwork } from './memory-network.js';

export interface LatencyRange {
  readonly minMs: number;
  readonly maxMs: number;
  /** Given: exponential beyond the minimum, with this mean, cut off at the maximum; absent: uniform. */
  readonly meanMs?: number;
}

export interface SimNetworkOptions {
  /** Virtual time. */
  readonly clock: Clock;
  /** Seeded; decides latencies and the outcome of the network's own fault rules. */
  readonly random: Random;
  /** Between machines; default 0.2 to 1 ms. */
  readonly latency?: LatencyRange;
  /** Inside one machine; default 0.02 to 0.1 ms. */
  readonly localLatency?: LatencyRange;
  /** Run every letter through the codec; default false. */
  readonly roundTrip?: boolean;
}

export class SimNetwork {
  /** Rules of the network itself: loss, duplication, delay, reordering and cuts that no sender's policy knows of. */
  readonly faults = new FaultPolicy();
  /** Paths that are narrow, or that damage letters. */
  readonly paths = new SimPaths();
  readonly #network: MemoryNetwork;
  readonly #random: Random;
  readonly #latency: LatencyRange;
  readonly #localLatency: LatencyRange;
  readonly #pairs = new Map<string, LatencyRange>();

  constructor(options: SimNetworkOptions) {
    this.#random = options.random;
    this.#latency = checked(options.latency ?? { minMs: 0.2, maxMs: 1 });
    this.#localLatency = checked(options.localLatency ?? { minMs: 0.02, maxMs: 0.1 });
    this.#network = new MemoryNetwork({
      scheme: 'sim',
      clock: options.clock,
      random: options.random,
      latencyMs: (from, to) => this.#sample(from, to),
      faults: this.faults,
      paths: this.paths,
      roundTrip: options.roundTrip ?? false,
    });
  }

  /** `sim://<node>`, what `addPeer` wants to hear. */
  addressOf(node: NodeId): string {
    return this.#network.addressOf(node);
  }

  link(node: NodeId, incarnation: Incarnation, policy: FaultPolicy, options?: MemoryLinkOptions): Link {
    return this.#network.link(node, incarnation, policy, options);
  }

  /** Latency from one machine to another, in that direction only. */
  setLatency(fromMachine: string, toMachine: string, range: LatencyRange): void {
    this.#pairs.set(`${fromMachine}>${toMachine}`, checked(range));
  }

  /**
   * The node stops; its letters under way still arrive. It comes back as a new link. Peers find its end by its silence, or, where
   * it is `seen`, by the connection that closes.
   */
  kill(node: NodeId, death?: Death): void {
    this.#network.kill(node, death);
  }

  /** The connections of the two break, with all that is under way; they are dialled anew after so long. */
  breakConnection(a: NodeId, b: NodeId, lengthMs: number): void {
    this.#network.breakConnection(a, b, lengthMs);
  }

  /** Nodes that are started and alive. */
  nodes(): NodeId[] {
    return this.#network.nodes();
  }

  #sample(from: NodeId, to: NodeId): number {
    const [sender, receiver] = [machineOf(from), machineOf(to)];
    const range =
      sender === receiver ? this.#localLatency : (this.#pairs.get(`${sender}>${receiver}`) ?? this.#latency);
    const { minMs, maxMs, meanMs } = range;
    const dice = this.#random.next();
    if (meanMs === undefined) return minMs + dice * (maxMs - minMs);
    return Math.min(maxMs, minMs - Math.log(1 - dice) * (meanMs - minMs));
  }
}

function checked(range: LatencyRange): LatencyRange {
  assert(range.minMs >= 0 && range.maxMs >= range.minMs, `latency range ${range.minMs}..${range.maxMs} ms`);
  const { minMs, maxMs, meanMs = minMs } = range;
  assert(meanMs >= minMs && meanMs <= maxMs, `a mean latency of ${meanMs} of ${minMs}..${maxMs} ms`);
  return range;
}
