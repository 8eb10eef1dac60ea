/** A few nodes joined by the simulated network, for tests that need several actor systems in virtual time. */
import {
  type ActorSystem,
  createActorSystem,
  createSimEngine,
  type RunLimits,
  type RunningActorSystem,
  Simulation,
} from '../../../actors/runtime/index.js';
import {
  FaultPolicy,
  type Incarnation,
  type Journal,
  type JournalEvent,
  type NodeId,
  nodeId,
  SimNetwork,
} from '../../../transport/index.js';
import { settled } from '../runtime/settled.js';
import { PausableClock } from './pausable-clock.js';

export class SimCluster {
  readonly simulation: Simulation;
  readonly network: SimNetwork;
  readonly events: JournalEvent[] = [];
  readonly #systems = new Map<string, RunningActorSystem>();
  readonly #clocks = new Map<string, PausableClock>();
  readonly #incarnations = new Map<string, number>();

  constructor(seed: number | string) {
    this.simulation = new Simulation({
      seed,
      link: ({ node, incarnation, policy, clock, random }) =>
        this.network.link(node, incarnation, policy, { clock, random }),
      onKill: (node) => this.network.kill(node),
    });
    this.network = new SimNetwork({ clock: this.simulation.clock, random: this.simulation.random });
  }

  /** Starts a node that knows every node of `names`, itself included. */
  start(name: string, names: readonly string[]): RunningActorSystem {
    const node = nodeId(name);
    const incarnation = (this.#incarnations.get(name) ?? 0) + 1;
    this.#incarnations.set(name, incarnation);
    const given = this.simulation.env(node);
    const clock = new PausableClock(given.clock);
    this.#clocks.set(name, clock);
    const env = { ...given, clock };
    const faults = new FaultPolicy();
    const journal: Journal = {
      record: (event) => void this.events.push(event),
      flush: async () => {},
      close: async () => {},
    };
    const others = names.filter((other) => other !== name).map((other) => nodeId(other));
    const system = createActorSystem({
      node,
      incarnation: incarnation as Incarnation,
      env,
      link: env.link(node, incarnation as Incarnation, faults),
      journal,
      faults,
      engine: createSimEngine(clock),
      cluster: new Map<NodeId, string>(others.map((other) => [other, this.network.addressOf(other)])),
    });
    this.#systems.set(name, system);
    return system;
  }

  startAll(...names: string[]): RunningActorSystem[] {
    return names.map((name) => this.start(name, names));
  }

  /** Stops the node's process in mid-air; its peers see it silent, it sees nothing. */
  pause(name: string): void {
    this.#clocks.get(name)!.pause();
  }

  resume(name: string): void {
    this.#clocks.get(name)!.resume();
  }

  kill(system: ActorSystem): void {
    this.simulation.kill(system.node);
  }

  /** The actor alone; its supervisor starts it again. */
  crashApiServer(name: string): boolean {
    return this.#systems.get(name)!.crash('/apiserver', 'on purpose');
  }

  /** Cuts `machine` off from all others, both ways; returns the heal. */
  isolate(machine: string): () => void {
    const faults = this.network.faults;
    faults.add({ id: `${machine}>`, from: [machine], to: ['*'], action: { type: 'cut' } });
    faults.add({ id: `>${machine}`, from: ['*'], to: [machine], action: { type: 'cut' } });
    return () => {
      faults.remove(`${machine}>`);
      faults.remove(`>${machine}`);
    };
  }

  until(condition: () => boolean, limits: RunLimits = { maxVirtualMs: 120_000 }): Promise<void> {
    return this.simulation.run(condition, limits);
  }

  run(forMs: number): Promise<void> {
    return this.simulation.run(this.simulation.nowMs + forMs);
  }

  /** Runs until the promise is settled. */
  settled<T>(promise: Promise<T>): Promise<T> {
    return settled(promise, (condition) => this.until(condition));
  }

  notes(kind: string): JournalEvent[] {
    return this.events.filter((event) => event.type === 'note' && event.kind === kind);
  }
}
