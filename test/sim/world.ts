/**
 * A simulated world for whole components: seeded time, network and disks that outlive their nodes, one journal for all. Any
 * number of nodes are started in it, killed and started again. The same seed gives the same journal, byte for byte.
 */
import { SimDisk } from 'raft-consensus';
import {
  type ActorSystem,
  createActorSystem,
  createSimEngine,
  type RunLimits,
  Simulation,
} from '../../actors/runtime/index.js';
import {
  FaultPolicy,
  type Incarnation,
  type Journal,
  type JournalEvent,
  type NodeId,
  SimNetwork,
} from '../../transport/index.js';

/** Keeps every event as one line of NDJSON. */
export class TextJournal implements Journal {
  readonly lines: string[] = [];

  record(event: JournalEvent): void {
    this.lines.push(JSON.stringify(event));
  }
  flush = async () => {};
  close = async () => {};

  get text(): string {
    return this.lines.join('\n');
  }
}

export class SimWorld {
  readonly journal = new TextJournal();
  readonly simulation: Simulation;
  readonly network: SimNetwork;
  readonly #disks = new Map<string, SimDisk>();
  readonly #incarnations = new Map<NodeId, number>();
  readonly #systems = new Map<NodeId, ActorSystem>();
  readonly #cuts = new Set<string>();

  constructor(seed: number | string) {
    this.simulation = new Simulation({
      seed,
      disk: async (owner, folder) => this.#disk(`${owner.node}/${folder}`),
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
  system(node: NodeId): ActorSystem {
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
    });
    for (const [name, other] of this.#systems) {
      if (name === node) continue;
      system.link.addPeer(name, this.network.addressOf(name));
      other.link.addPeer(node, this.network.addressOf(node));
    }
    this.#systems.set(node, system);
    return system;
  }

  kill(node: NodeId): void {
    this.simulation.kill(node);
    this.#systems.delete(node);
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
    this.network.faults.clear();
    this.#cuts.clear();
  }

  run(until: number | (() => boolean), limits: RunLimits = {}): Promise<void> {
    return this.simulation.run(until, { maxVirtualMs: 120_000, maxEvents: 5_000_000, ...limits });
  }

  /** Lets the world go on until the promise is settled. */
  async settled<T>(promise: Promise<T>, limits: RunLimits = {}): Promise<T> {
    let done = false;
    const mark = () => {
      done = true;
    };
    promise.then(mark, mark);
    await this.run(() => done, limits);
    return promise;
  }

  #disk(name: string): SimDisk {
    let disk = this.#disks.get(name);
    if (!disk) {
      disk = new SimDisk();
      // An fsync takes its time, so that what is not durable yet can be lost.
      const { clock, random } = this.simulation;
      disk.inject((operation) =>
        operation === 'sync'
          ? new Promise((resolve) => clock.setTimer(0.2 + random.next() * 2, resolve))
          : undefined,
      );
      this.#disks.set(name, disk);
    }
    return disk;
  }
}
