/**
 * A cluster inside this process, for tests: the machines that `kabuki up` starts as processes, assembled by the same code on
 * links without sockets, with HTTPS and one address in front. It can be broken on purpose, and `stop` leaves nothing behind.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiServerMessage } from '../actors/apiserver/messages.js';
import { type ApiClient, createApiClient, nodes } from '../actors/client/index.js';
import {
  actorRef,
  createActorSystem,
  createNactEngine,
  createRealEnv,
  realClock,
  realRandom,
  type RunningActorSystem,
  type TreeNode,
} from '../actors/runtime/index.js';
import type { StoreMessage, StoreReply, StoreStatus } from '../actors/store/index.js';
import {
  FaultPolicy,
  type FaultRule,
  type Incarnation,
  InprocNetwork,
  type JournalEvent,
  nodeId,
  readJournals,
  silentJournal,
} from '../transport/index.js';
import {
  type ClusterSpec,
  type MachineSpec,
  machineNamed,
  mainNode,
  masters,
  storeMachines,
  storeNode,
} from './cluster-spec.js';
import { freePorts } from './create-cluster.js';
import { DataDir } from './data-dir.js';
import { EmbeddedMachine, type EmbeddedWorld } from './embedded-machine.js';
import { parseStore, refuseExternalStore, type StoreOptions } from './external-store.js';
import { startFront } from './front.js';
import type { LoadBalancer } from './load-balancer.js';
import { MortalClock } from './mortal-clock.js';
import { createWithStore, enterStore } from './store-entry.js';
import { waitFor } from './wait.js';

export interface ClusterOptions {
  /** 1, 3 or 5; default 1. */
  readonly masters?: number;
  /** Default 1. */
  readonly workers?: number;
  readonly name?: string;
  /** Kept after `stop`, and taken up again by a later start; absent: a temporary folder that `stop` removes. */
  readonly dataDir?: string;
  /** Where the store's log lives: `disk` (default), or `memory`, which is faster and forgets. */
  readonly storage?: 'disk' | 'memory';
  /** `process` (default): containers are processes of this machine. `simulated`: pods run, but nothing is started. */
  readonly runtime?: 'process' | 'simulated';
  /** An etcd cluster instead of the built-in store; `storage` means nothing then. */
  readonly store?: StoreOptions;
  /** Default 30,000. */
  readonly readyTimeoutMs?: number;
  /** A machine failed, as its process would have ended; default: printed to stderr. */
  readonly onFailure?: (machine: string, error: Error) => void;
}

export interface Cluster {
  readonly name: string;
  /** `https://127.0.0.1:port`, the load balancer. */
  readonly url: string;
  /** YAML of the administrator's kubeconfig, and the file that holds it. */
  readonly kubeconfig: string;
  readonly kubeconfigPath: string;
  readonly dataDir: string;
  readonly machines: readonly {
    readonly name: string;
    readonly role: 'master' | 'worker';
    readonly running: boolean;
    /** Of masters: where this one serves HTTPS itself. */
    readonly url?: string;
  }[];
  /** As administrator, through whichever apiserver answers. */
  readonly client: ApiClient;
  /** As administrator, through the apiserver of this master only. */
  clientOf(master: string): ApiClient;
  readonly fault: ClusterFaults;
  /** Name of the master whose store member leads; rejects while there is none. */
  leader(): Promise<string>;
  /** Supervision tree of one machine. */
  tree(machine: string): readonly TreeNode[];
  /** What the journals of all nodes hold, in causal order. */
  events(): Promise<JournalEvent[]>;
  stop(): Promise<void>;
}

/** Machines are named (`worker-1`), or `leader` for the store's leader. */
export interface ClusterFaults {
  /** Cuts a machine off from all others. Clients still reach it. Resolves with its name. */
  isolate(machine: string): Promise<string>;
  /** Cuts all links between two groups; without a second one, between the group and the rest. */
  partition(group: readonly string[], others?: readonly string[]): Promise<void>;
  /** Any other fault: see FaultRule. The rule is applied by the senders that it names. */
  link(rule: FaultRule): void;
  /** Removes all link faults; killed machines stay dead. */
  heal(): void;
  /** The machine ends without a word. Resolves with its name. */
  kill(machine: string): Promise<string>;
  /** Starts a killed machine with the data it had. */
  start(machine: string): Promise<void>;
  /** Crashes an actor, such as `/apiserver`, as if its handler had thrown; its supervisor restarts it. */
  crash(machine: string, path: string): void;
}

/** Resolves when all nodes are Ready. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const folder = options.dataDir ?? mkdtempSync(join(tmpdir(), 'kabuki-cluster-'));
  const removeFolder = () => {
    if (options.dataDir === undefined) rmSync(folder, { recursive: true, force: true });
  };
  // One after the other: each sees which ports and loopback ranges the one before has taken.
  const opening = turn.then(() => open(new DataDir(folder), options));
  turn = opening.catch(() => undefined);
  let cluster: EmbeddedCluster;
  try {
    cluster = await opening;
  } catch (error) {
    removeFolder();
    throw error;
  }
  cluster.onStopped = removeFolder;
  try {
    await cluster.start(options.readyTimeoutMs ?? 30_000);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

let turn: Promise<unknown> = Promise.resolve();

async function open(dir: DataDir, options: ClusterOptions): Promise<EmbeddedCluster> {
  const shape = {
    name: options.name ?? 'kabuki',
    masters: options.masters ?? 1,
    workers: options.workers ?? 1,
  };
  const store = options.store && parseStore(options.store);
  const spec = dir.exists
    ? await enterStore(dir, dir.readSpec(), store, () => {})
    : await createWithStore(dir, { ...shape, port: (await freePorts(1))[0] as number }, store, () => {});
  const count = { masters: masters(spec).length, workers: spec.machines.length - masters(spec).length };
  if (
    count.masters !== (options.masters ?? count.masters) ||
    count.workers !== (options.workers ?? count.workers)
  ) {
    throw new Error(
      `${dir.path} holds a cluster of ${count.masters} masters and ${count.workers} workers, ` +
        `not ${shape.masters} and ${shape.workers}`,
    );
  }
  const balancer = await startFront(dir, spec);
  return new EmbeddedCluster(dir, spec, options, balancer);
}

const admin = nodeId('admin');
const administrator = { username: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] };

class EmbeddedCluster implements Cluster {
  readonly name: string;
  readonly url: string;
  readonly dataDir: string;
  readonly kubeconfigPath: string;
  readonly client: ApiClient;
  readonly fault: ClusterFaults;
  onStopped: () => void = () => {};
  readonly #dir: DataDir;
  readonly #spec: ClusterSpec;
  readonly #balancer: LoadBalancer;
  readonly #machines: readonly EmbeddedMachine[];
  readonly #admin: RunningActorSystem;
  readonly #clock = new MortalClock(realClock);
  readonly #rules: FaultRule[] = [];
  #stopping: Promise<void> | undefined;

  constructor(dir: DataDir, spec: ClusterSpec, options: ClusterOptions, balancer: LoadBalancer) {
    this.#dir = dir;
    this.#spec = spec;
    this.#balancer = balancer;
    this.name = spec.name;
    this.url = `https://127.0.0.1:${spec.frontPort}`;
    this.dataDir = dir.path;
    this.kubeconfigPath = dir.kubeconfigPath;
    const network = new InprocNetwork({ clock: realClock, random: realRandom, roundTrip: true });
    const world: EmbeddedWorld = {
      dir,
      spec,
      network,
      storage: options.storage ?? 'disk',
      runtime: options.runtime ?? 'process',
      guests: new Map([[admin, administrator]]),
      onFailure:
        options.onFailure ??
        ((machine, error) => console.error(`${machine} of cluster ${spec.name} failed:`, error)),
    };
    this.#machines = spec.machines.map((machine) => new EmbeddedMachine(world, machine));
    this.#admin = guestSystem(network, spec, this.#clock);
    this.client = this.#clientFor(masters(spec));
    this.fault = this.#faults();
  }

  get kubeconfig(): string {
    return this.#dir.readText('kubeconfig');
  }

  get machines(): Cluster['machines'] {
    return this.#machines.map(({ spec, running }) => ({
      name: spec.name,
      role: spec.role,
      running,
      ...(spec.httpsPort !== undefined && { url: `https://127.0.0.1:${spec.httpsPort}` }),
    }));
  }

  async start(timeoutMs: number): Promise<void> {
    await this.#admin.started;
    await Promise.all(this.#machines.map((machine) => machine.start()));
    await waitFor(`${this.#machines.length} nodes to be Ready`, timeoutMs, async () => {
      const { items } = await this.client.list(nodes);
      const ready = items.filter((node) =>
        node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
      );
      return ready.length >= this.#machines.length;
    });
  }

  clientOf(master: string): ApiClient {
    const machine = machineNamed(this.#spec, master);
    if (machine.role !== 'master') throw new Error(`${master} runs no apiserver`);
    return this.#clientFor([machine]);
  }

  async leader(): Promise<string> {
    refuseExternalStore(this.#spec);
    const running = this.#machines.filter(({ spec, running }) => running && spec.role === 'master');
    const roles = await Promise.all(
      running.map(async ({ spec }) => ({ name: spec.name, role: (await this.#storeStatus(spec)).role })),
    );
    const leader = roles.find(({ role }) => role === 'leader');
    if (!leader) throw new Error('the store has no leader now');
    return leader.name;
  }

  tree(machine: string): readonly TreeNode[] {
    return this.#machine(machine).systems.flatMap((system) => system.tree());
  }

  async events(): Promise<JournalEvent[]> {
    const systems = this.#machines.flatMap((machine) => machine.systems);
    await Promise.all(systems.map((system) => system.journal.flush()));
    return readJournals(this.#dir.journalPaths(this.#spec));
  }

  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      await this.#balancer.close();
      await Promise.all(this.#machines.map((machine) => machine.stop()));
      await this.#admin.stop();
      this.#clock.end();
      this.onStopped();
    })();
    return this.#stopping;
  }

  #clientFor(serving: readonly MachineSpec[]): ApiClient {
    const apiservers = serving.map((machine) => actorRef<ApiServerMessage>(mainNode(machine), '/apiserver'));
    return createApiClient({ system: this.#admin, apiservers, userAgent: 'kabuki-test' });
  }

  async #storeStatus(machine: MachineSpec): Promise<StoreStatus> {
    const store = actorRef<StoreMessage>(storeNode(machine), '/store');
    const reply = await this.#admin.ask<StoreMessage, StoreReply>(
      store,
      (replyTo) => ({ type: 'StoreStatus', replyTo }),
      { timeoutMs: 2_000 },
    );
    if (reply.type !== 'StoreStatusIs')
      throw new Error(`the store of ${machine.name} answered ${reply.type}`);
    return reply.status;
  }

  #machine(name: string): EmbeddedMachine {
    const { name: known } = machineNamed(this.#spec, name);
    return this.#machines.find((machine) => machine.spec.name === known) as EmbeddedMachine;
  }

  async #resolve(name: string): Promise<string> {
    return name === 'leader' ? this.leader() : machineNamed(this.#spec, name).name;
  }

  #faults(): ClusterFaults {
    const partition = async (group: readonly string[], others?: readonly string[]) => {
      const left = await Promise.all(group.map((name) => this.#resolve(name)));
      const right = others
        ? await Promise.all(others.map((name) => this.#resolve(name)))
        : this.#spec.machines.map(({ name }) => name).filter((name) => !left.includes(name));
      const id = `partition-${left.join('+')}-${right.join('+')}`;
      this.#apply({ id, from: left, to: right, action: { type: 'cut' } });
      this.#apply({ id: `${id}-back`, from: right, to: left, action: { type: 'cut' } });
    };
    return {
      partition,
      isolate: async (machine) => {
        const name = await this.#resolve(machine);
        await partition([name]);
        return name;
      },
      link: (rule) => this.#apply(rule),
      heal: () => {
        this.#rules.length = 0;
        for (const { systems } of this.#machines) for (const { faults } of systems) faults.clear();
      },
      kill: async (machine) => {
        const name = await this.#resolve(machine);
        this.#machine(name).kill();
        return name;
      },
      start: async (machine) => {
        const target = this.#machine(machine);
        await target.start();
        for (const rule of this.#rules) applyTo(target, rule);
      },
      crash: (machine, path) => {
        const found = this.#machine(machine).systems.some((system) =>
          system.crash(path, 'crashed on purpose'),
        );
        if (!found) throw new Error(`there is no actor ${path} on ${machine}`);
      },
    };
  }

  #apply(rule: FaultRule): void {
    this.#rules.push(rule);
    for (const machine of this.#machines) applyTo(machine, rule);
  }
}

/** Every sender judges its own letters. */
function applyTo(machine: EmbeddedMachine, rule: FaultRule): void {
  if (!rule.from.includes('*') && !rule.from.includes(machine.spec.name)) return;
  for (const system of machine.systems) system.faults.add(rule);
}

/** Where the harness's own client lives: a node that is no machine, and that no fault names. */
function guestSystem(network: InprocNetwork, spec: ClusterSpec, clock: MortalClock): RunningActorSystem {
  const incarnation = Date.now() as Incarnation;
  const faults = new FaultPolicy();
  const env = {
    ...createRealEnv({
      disk: async () => {
        throw new Error('the harness has no disk');
      },
      link: (request) => network.link(request.node, request.incarnation, request.policy),
    }),
    clock,
  };
  const peers = [...spec.machines.map(mainNode), ...storeMachines(spec).map(storeNode)];
  return createActorSystem({
    node: admin,
    incarnation,
    env,
    link: env.link(admin, incarnation, faults),
    journal: silentJournal,
    faults,
    engine: createNactEngine(),
    cluster: new Map(peers.map((peer) => [peer, network.addressOf(peer)])),
  });
}
