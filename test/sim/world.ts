/**
 * A simulated world for whole components: seeded time, network and disks that outlive their nodes, one journal for all. Any
 * number of nodes are started in it, killed and started again, with the doors of real ones. The same seed gives the same
 * journal, byte for byte.
 */
import { type DiskOperation, SimDisk } from 'raft-consensus';
import { doors } from '../../deploy/doors.js';
import {
  createActorSystem,
  createSimEngine,
  type RunLimits,
  type RunningActorSystem,
  type SimulatedNode,
  Simulation,
} from '../../actors/runtime/index.js';
import {
  type Death,
  FaultPolicy,
  type Incarnation,
  type Journal,
  MemoryJournal,
  type NodeId,
  SimNetwork,
} from '../../transport/index.js';
import { settled } from '../actors/runtime/settled.js';

/** What becomes of one operation of a disk: an error, or how long it takes. */
export type DiskTiming = (node: NodeId, operation: DiskOperation, file: string) => Error | number;

export interface SimWorldOptions<J extends Journal> {
  readonly journal: J;
  /** Default: an fsync takes 0.2 to 2.2 ms, so that what is not durable yet can be lost; all else is at once. */
  readonly disk?: DiskTiming;
  /** Told when an operation has had its effect. */
  readonly diskDone?: (node: NodeId, operation: DiskOperation, file: string) => void;
}

export class SimWorld<J extends Journal = MemoryJournal> {
  readonly journal: J;
  readonly simulation: Simulation;
  readonly network: SimNetwork;
  readonly #disks = new Map<string, SimDisk>();
  readonly #incarnations = new Map<NodeId, number>();
  readonly #systems = new Map<NodeId, RunningActorSystem>();
  readonly #cuts = new Set<string>();
  readonly #timing: DiskTiming | undefined;
  readonly #diskDone: SimWorldOptions<J>['diskDone'];

  constructor(
    seed: number | string,
    options: SimWorldOptions<J> = { journal: new MemoryJournal() as Journal as J },
  ) {
    this.journal = options.journal;
    this.#timing = options.disk;
    this.#diskDone = options.diskDone;
    this.simulation = new Simulation({
      seed,
      disk: async (owner, folder) => this.#disk(owner, folder),
      link: ({ node, incarnation, policy }) => this.network.link(node, incarnation, policy),
      onKill: (node) => {
        this.network.kill(node);
        for (const [name, disk] of this.#disks) {
          if (name.startsWith(`${node}/`)) disk.crash(() => this.simulation.random.next());
        }
      },
    });
    this.network = new SimNetwork({ clock: this.simulation.clock, random: this.simulation.random });
  }

  /** Starts a node, or starts it again after `kill`, with the disks it had. */
  system(node: NodeId): RunningActorSystem {
    const incarnation = (this.#incarnations.get(node) ?? 0) + 1;
    this.#incarnations.set(node, incarnation);
    const env = this.simulation.env(node);
    const faults = new FaultPolicy();
    const system = createActorSystem({
      node,
      incarnation: incarnation as Incarnation,
      env,
      link: env.link(node, incarnation as Incarnation, faults),
      journal: this.journal,
      faults,
      engine: createSimEngine(env.clock),
      doors,
    });
    for (const [name, other] of this.#systems) {
      if (name === node) continue;
      system.link.addPeer(name, this.network.addressOf(name));
      other.link.addPeer(node, this.network.addressOf(node));
    }
    this.#systems.set(node, system);
    return system;
  }

  /** Power off, also where its peers see that its process has ended. */
  kill(node: NodeId, death: Death = 'silent'): void {
    this.network.kill(node, death);
    this.simulation.kill(node);
    this.#systems.delete(node);
  }

  /** As SIGTERM does: the node ends in its own time; `kill` then takes it away. */
  async stop(node: NodeId): Promise<void> {
    await this.#systems.get(node)?.stop();
  }

  /** What the node has in that folder, for whoever does it harm; undefined: it has never opened it. */
  diskOf(node: NodeId, folder: string): SimDisk | undefined {
    return this.#disks.get(`${node}/${folder}`);
  }

  /** Cuts a group of machines off from all others, both ways. */
  isolate(...machines: readonly string[]): void {
    const others = [...new Set([...this.#systems.keys()].map((node) => node.split('.')[0] ?? node))].filter(
      (machine) => !machines.includes(machine),
    );
    const id = `cut-${machines.join('+')}`;
    this.network.faults.add({ id, from: machines, to: others, action: { type: 'cut' } });
    this.network.faults.add({ id: `${id}-back`, from: others, to: machines, action: { type: 'cut' } });
    this.#cuts.add(id);
  }

  heal(): void {
    this.network.paths.clear();
    this.network.faults.clear();
    this.#cuts.clear();
  }

  run(until: number | (() => boolean), limits: RunLimits = {}): Promise<void> {
    return this.simulation.run(until, { maxVirtualMs: 120_000, maxEvents: 5_000_000, ...limits });
  }

  /** Lets that much virtual time pass. */
  pass(ms: number): Promise<void> {
    return this.run(this.simulation.nowMs + ms);
  }

  /** Lets the world go on until the promise is settled. */
  settled<T>(promise: Promise<T>, limits: RunLimits = {}): Promise<T> {
    return settled(promise, (condition) => this.run(condition, limits));
  }

  #disk(owner: SimulatedNode, folder: string): SimDisk {
    const name = `${owner.node}/${folder}`;
    let disk = this.#disks.get(name);
    if (!disk) {
      disk = new SimDisk();
      this.#disks.set(name, disk);
    }
    // On the clock of whoever opens it: a node that is paused or dead does not go on when its disk is ready.
    disk.inject(
      (operation, file) => {
        const outcome = this.#timing?.(owner.node, operation, file) ?? this.#usualMs(operation);
        if (outcome instanceof Error) return outcome;
        return outcome > 0 ? new Promise((resolve) => owner.clock.setTimer(outcome, resolve)) : undefined;
      },
      (operation, file) => this.#diskDone?.(owner.node, operation, file),
    );
    return disk;
  }

  #usualMs(operation: DiskOperation): number {
    return operation === 'sync' ? 0.2 + this.simulation.random.next() * 2 : 0;
  }
}
