/** Two worlds to test actor systems in: nact in real time, and the simulator. One suite runs in both. */
import {
  type Actor,
  type ActorContext,
  createActorSystem,
  createNactEngine,
  createRealEnv,
  createSimEngine,
  type Env,
  type Message,
  realClock,
  type RunningActorSystem,
  Simulation,
} from '../../../actors/runtime/index.js';
import {
  FaultPolicy,
  type Incarnation,
  MemoryJournal,
  type NodeId,
  nodeId,
} from '../../../transport/index.js';
import { Loopback } from './loopback.js';
import { settled } from './settled.js';

export interface World {
  readonly network: Loopback;
  readonly journal: MemoryJournal;
  system(node?: string, incarnation?: number, doors?: readonly string[]): RunningActorSystem;
  /** Lets the world go on until the condition holds; bounded. */
  until(condition: () => boolean): Promise<void>;
  /** Lets the world go on until the promise is settled. */
  settled<T>(promise: Promise<T>): Promise<T>;
  /** Lets everything that is due now happen. */
  quiet(): Promise<void>;
  end(): Promise<void>;
}

export type WorldMaker = () => World;

export function simWorld(seed: number | string = 1): World & { readonly simulation: Simulation } {
  const simulation: Simulation = new Simulation({
    seed,
    link: ({ node, incarnation }) => network.link(node, incarnation),
    onKill: (node) => network.cut(node, 'timeout'),
  });
  const network = new Loopback(simulation.clock);
  const until = (condition: () => boolean) => simulation.run(condition, { maxVirtualMs: 120_000 });
  return {
    simulation,
    ...world(network, (node) => simulation.env(node), until),
    quiet: () => simulation.run(simulation.nowMs + 5),
  };
}

export function realWorld(): World {
  const network = new Loopback(realClock);
  const env = createRealEnv({
    disk: () => Promise.reject(new Error('no disk in this test')),
    link: ({ node, incarnation }) => network.link(node, incarnation),
  });
  return world(network, () => env, eventually, createNactEngine);
}

function world(
  network: Loopback,
  envOf: (node: NodeId) => Env,
  until: World['until'],
  createEngine?: typeof createNactEngine,
): World {
  const systems: RunningActorSystem[] = [];
  const journal = new MemoryJournal();
  return {
    network,
    journal,
    system: (name = 'n1', incarnation = 1, doors) => {
      const node = nodeId(name);
      const env = envOf(node);
      const faults = new FaultPolicy();
      const started = createActorSystem({
        node,
        incarnation: incarnation as Incarnation,
        env,
        link: env.link(node, incarnation as Incarnation, faults),
        journal,
        faults,
        engine: createEngine ? createEngine() : createSimEngine(env.clock),
        ...(doors && { doors }),
      });
      systems.push(started);
      return started;
    },
    until,
    settled: (promise) => settled(promise, until),
    quiet: async () => {
      const endMs = performance.now() + 5;
      await until(() => performance.now() > endMs);
    },
    end: async () => {
      for (const system of systems) await settled(system.stop(), until);
    },
  };
}

async function eventually(condition: () => boolean): Promise<void> {
  const startedMs = performance.now();
  while (!condition()) {
    if (performance.now() - startedMs > 5000) throw new Error('the condition does not hold after 5000 ms');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** An actor without state, from a function. */
export function actor<M extends Message>(
  receive: (message: M, ctx: ActorContext<M>) => void | Promise<void>,
  more: {
    initial?: (ctx: ActorContext<M>) => void | Promise<void>;
    stopped?: Actor<unknown, M>['stopped'];
  } = {},
): Actor<unknown, M> {
  return {
    initial: (ctx) => more.initial?.(ctx),
    receive: (_state, message, ctx) => receive(message, ctx),
    ...(more.stopped && { stopped: more.stopped }),
  };
}
