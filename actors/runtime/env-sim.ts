/**
 * The simulated world: seeded chance, virtual time and one event queue ordered by (time, sequence) for all nodes.
 * After each event all microtasks run (a real turn of the event loop passes), so that promise code is as
 * deterministic as callbacks. What a killed node had planned never happens.
 */
import { strict as assert } from 'node:assert';
import type { Disk } from 'raft-consensus';
import type { Clock, FaultPolicy, Incarnation, Link, NodeId, Random } from '../../transport/index.js';
import { EventQueue } from './event-queue.js';
import type { Env } from './env.js';
import { bound } from './frame.js';
import { withGuards } from './sim-guards.js';
import { seededRandom, uuidFrom } from './sfc32.js';

/** Kept from before any guard goes up. */
const realSetImmediate = setImmediate;

/** What factories get: the node's clock dies with the node. */
export interface SimulatedNode {
  readonly node: NodeId;
  readonly clock: Clock;
  readonly random: Random;
}

export interface SimulationOptions {
  readonly seed: number | string;
  /** Wall clock at virtual time 0; default 2026-01-01T00:00:00Z. */
  readonly startWallMs?: number;
  /** How far a node's wall clock is off; default 0. May be changed with `setWallOffset`. */
  readonly wallOffsetMs?: (node: NodeId) => number;
  readonly disk?: (owner: SimulatedNode, folder: string) => Promise<Disk>;
  readonly link?: (
    owner: SimulatedNode & { readonly incarnation: Incarnation; readonly policy: FaultPolicy },
  ) => Link;
  /** Runs inside `kill`: the network forgets the node's link, its disks lose what was not synced. */
  readonly onKill?: (node: NodeId) => void;
}

export type SimulationErrorCode =
  | 'TooManyEvents'
  | 'TooLong' // maxVirtualMs passed and the predicate does not hold
  | 'Idle'; // nothing left to happen and the predicate does not hold

export class SimulationError extends Error {
  readonly code: SimulationErrorCode;

  constructor(code: SimulationErrorCode, message: string) {
    super(message);
    this.name = 'SimulationError';
    this.code = code;
  }
}

export interface RunLimits {
  /** Virtual time that this run may take; default one hour. */
  readonly maxVirtualMs?: number;
  /** Default one million. */
  readonly maxEvents?: number;
}

/** `held`: the node is paused, and what came due since waits here in its order. */
interface Life {
  alive: boolean;
  held: (() => void)[] | undefined;
}

/** A clock that has run at `rate` since `sinceMs` of the world's time, when it showed `fromMs`. */
interface Drift {
  readonly rate: number;
  readonly sinceMs: number;
  readonly fromMs: number;
}

interface NodeLife extends Life {
  readonly env: Env;
}

export class Simulation {
  readonly seed: number | string;
  /** For the world outside of nodes: faults, workloads. */
  readonly random: Random;
  /** Never dies; for networks, disks and test code. */
  readonly clock: Clock;
  readonly #options: SimulationOptions;
  readonly #queue = new EventQueue();
  readonly #nodes = new Map<NodeId, NodeLife>();
  readonly #starts = new Map<NodeId, number>();
  readonly #wallOffsetsMs = new Map<NodeId, number>();
  readonly #drifts = new Map<NodeId, Drift>();
  #nowMs = 0;
  #events = 0;
  #running = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.seed = options.seed;
    this.random = seededRandom(options.seed, 'world');
    this.clock = this.#clock(undefined, { alive: true, held: undefined });
  }

  /** Virtual milliseconds since the start. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events that have happened so far. */
  get events(): number {
    return this.#events;
  }

  /** The node's view of the world; a new one after `kill`. */
  env(node: NodeId): Env {
    const known = this.#nodes.get(node);
    if (known?.alive) return known.env;
    const start = (this.#starts.get(node) ?? 0) + 1;
    this.#starts.set(node, start);
    const life: Life = { alive: true, held: undefined };
    const clock = this.#clock(node, life);
    // A stream of its own per start: one more draw on one node does not disturb the others.
    const random = seededRandom(this.seed, `${node}/${start}`);
    const owner = { node, clock, random };
    const { disk, link } = this.#options;
    const env: Env = {
      clock,
      random,
      disk: (folder) => {
        assert(disk, 'this simulation was made without a disk factory');
        return disk(owner, folder);
      },
      link: (of, incarnation, policy) => {
        assert(of === node, `the environment of ${node} makes no link for ${of}`);
        assert(link, 'this simulation was made without a link factory');
        return mortalLink(link({ ...owner, incarnation, policy }), life);
      },
      uuid: () => uuidFrom(random),
    };
    this.#nodes.set(node, Object.assign(life, { env }));
    return env;
  }

  isAlive(node: NodeId): boolean {
    return this.#nodes.get(node)?.alive ?? false;
  }

  /** Power off: none of its timers, turns or deliveries ever happen. `env(node)` afterwards is a new start. */
  kill(node: NodeId): void {
    const life = this.#nodes.get(node);
    assert(life?.alive, `${node} is not running`);
    life.alive = false;
    life.held = undefined;
    this.#options.onKill?.(node);
  }

  isPaused(node: NodeId): boolean {
    return this.#nodes.get(node)?.held !== undefined;
  }

  /** As SIGSTOP does: the node stands still while time goes on, and what is sent to it waits. */
  pause(node: NodeId): void {
    const life = this.#nodes.get(node);
    assert(life?.alive, `${node} is not running`);
    life.held ??= [];
  }

  /** As SIGCONT does: all that came due meanwhile happens now, in its order. */
  resume(node: NodeId): void {
    const life = this.#nodes.get(node);
    if (!life?.held) return;
    const held = life.held;
    life.held = undefined;
    for (const run of held) this.#queue.push(this.#nowMs, life, run);
  }

  /** Makes the node's wall clock jump; its monotonic clock and timers do not notice. */
  setWallOffset(node: NodeId, offsetMs: number): void {
    this.#wallOffsetsMs.set(node, offsetMs);
  }

  /** From now on the node's monotonic clock and its timers run `rate` times as fast as real time. */
  setClockRate(node: NodeId, rate: number): void {
    assert(rate > 0, `a clock cannot run at a rate of ${rate}`);
    this.#drifts.set(node, { rate, sinceMs: this.#nowMs, fromMs: this.#monotonicMs(node) });
  }

  #monotonicMs(node: NodeId | undefined): number {
    const drift = node === undefined ? undefined : this.#drifts.get(node);
    if (drift === undefined) return this.#nowMs;
    return drift.fromMs + (this.#nowMs - drift.sinceMs) * drift.rate;
  }

  /**
   * Runs events until virtual time `until`, or until the predicate holds (looked at after every event).
   * @throws SimulationError when the predicate does not come to hold within the limits.
   */
  async run(until: number | (() => boolean), runLimits: RunLimits = {}): Promise<void> {
    assert(!this.#running, 'the simulation is already running');
    this.#running = true;
    try {
      await withGuards(() => this.#run(until, runLimits));
    } finally {
      this.#running = false;
    }
  }

  async #run(until: number | (() => boolean), { maxVirtualMs, maxEvents }: RunLimits): Promise<void> {
    const endMs = typeof until === 'number' ? until : this.#nowMs + (maxVirtualMs ?? 3_600_000);
    const eventsMax = this.#events + (maxEvents ?? 1_000_000);
    await turn();
    for (;;) {
      if (typeof until === 'function' && until()) return;
      const next = this.#queue.peek();
      if (!next || next.atMs > endMs) {
        if (typeof until === 'function') {
          const code = next ? 'TooLong' : 'Idle';
          const why = next ? `not within ${endMs} ms of virtual time` : 'nothing is left to happen';
          throw new SimulationError(code, `the condition does not hold: ${why} (seed ${this.seed})`);
        }
        this.#nowMs = Math.max(this.#nowMs, endMs);
        return;
      }
      this.#queue.pop();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      if (next.cancelled || !next.life.alive) continue;
      if (next.life.held) {
        next.life.held.push(() => !next.cancelled && next.run());
        continue;
      }
      this.#events += 1;
      if (this.#events > eventsMax) {
        const text = `more than ${maxEvents ?? 1_000_000} events by ${this.#nowMs} ms (seed ${this.seed})`;
        throw new SimulationError('TooManyEvents', text);
      }
      next.run();
      await turn();
    }
  }

  #clock(node: NodeId | undefined, life: Life): Clock {
    const startWallMs = this.#options.startWallMs ?? Date.UTC(2026, 0, 1);
    const offsetMs = () =>
      node === undefined ? 0 : (this.#wallOffsetsMs.get(node) ?? this.#options.wallOffsetMs?.(node) ?? 0);
    const plan = (delayMs: number, callback: () => void) => {
      // As real timers do, the callback keeps the cause of the code that planned it.
      return this.#queue.push(this.#nowMs + Math.max(0, delayMs), life, bound(callback));
    };
    return {
      nowMs: () => startWallMs + Math.floor(this.#nowMs) + offsetMs(),
      monotonicMs: () => this.#monotonicMs(node),
      setTimer: (delayMs, callback) => {
        assert(Number.isFinite(delayMs), `a timer needs a finite delay, not ${delayMs}`);
        const rate = node === undefined ? 1 : (this.#drifts.get(node)?.rate ?? 1);
        const event = plan(delayMs / rate, callback);
        return {
          cancel: () => {
            event.cancelled = true;
          },
        };
      },
      defer: (callback) => {
        plan(0, callback);
      },
    };
  }
}

/** Lets all microtasks run. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    realSetImmediate(resolve);
  });
}

/** A link that neither sends nor delivers once its node is dead, and delivers to a paused one when it goes on. */
function mortalLink(link: Link, life: Life): Link {
  const deliver = (run: () => void) => {
    if (!life.alive) return;
    if (life.held) life.held.push(run);
    else run();
  };
  return {
    node: link.node,
    incarnation: link.incarnation,
    start: (events) =>
      link.start({
        onEnvelope: (envelope) => deliver(() => events.onEnvelope(envelope)),
        onDrop: (envelope, reason) => deliver(() => events.onDrop(envelope, reason)),
        onPeerUp: (peer, incarnation) => deliver(() => events.onPeerUp(peer, incarnation)),
        onPeerDown: (peer, incarnation, reason) =>
          deliver(() => events.onPeerDown(peer, incarnation, reason)),
      }),
    addPeer: (peer, address) => link.addPeer(peer, address),
    removePeer: (peer) => link.removePeer(peer),
    send: (envelope) => {
      if (life.alive) link.send(envelope);
    },
    address: () => link.address(),
    close: () => link.close(),
  };
}
