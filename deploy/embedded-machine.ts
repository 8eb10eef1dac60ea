/**
 * A machine of a cluster inside this process: the same assembly as machine-main.ts, on links without sockets. A master's
 * store member shares the thread with the components. It can be killed, which ends it without a word to its peers, and
 * started again with the data it had.
 */
import { RealDisk, SimDisk, type Disk } from 'raft-consensus';
import type { HttpsDoor } from '../actors/apiserver/index.js';
import type { Identity } from '../actors/apiserver/request.js';
import {
  type ContainerRuntime,
  machineFacts,
  ProcessRuntime,
  simulatedPodNetwork,
  SimulatedRuntime,
  socketPodNetwork,
  staticPodFolder,
} from '../actors/kubelet/index.js';
import { SimulatedServiceProxy, UserSpaceProxy } from '../actors/proxy/index.js';
import {
  actorRef,
  type ActorSystem,
  createActorSystem,
  createNactEngine,
  createRealEnv,
  realClock,
  realRandom,
  type RunningActorSystem,
} from '../actors/runtime/index.js';
import type { EtcdStore } from '../actors/store/etcd-client/index.js';
import { openDiskStorage, storeMember, type StoreMessage } from '../actors/store/index.js';
import {
  FaultPolicy,
  FileJournal,
  type Incarnation,
  InprocNetwork,
  type NodeId,
} from '../transport/index.js';
import {
  type ClusterSpec,
  type MachineSpec,
  mainNode,
  masters,
  storeMachines,
  storeNode,
} from './cluster-spec.js';
import type { DataDir } from './data-dir.js';
import { openApiServerDoor } from './apiserver-door.js';
import { startControlPlane } from './control-plane.js';
import { openExternalStore } from './external-store.js';
import { type Machine, type MachineParts, startMachine } from './machine.js';
import { MortalClock } from './mortal-clock.js';
import { doors } from './doors.js';
import { tokenSigner } from './token-signer.js';

export interface EmbeddedWorld {
  readonly dir: DataDir;
  readonly spec: ClusterSpec;
  readonly network: InprocNetwork;
  /** `disk`: files in the data directory, fsynced. `memory`: gone with the process. */
  readonly storage: 'disk' | 'memory';
  /** `process`: containers are host processes. `simulated`: they only say so. */
  readonly runtime: 'process' | 'simulated';
  /** Nodes that are no machines, such as the harness itself; they are everybody's peers. */
  readonly guests: ReadonlyMap<NodeId, Identity>;
  /** A machine gave up, as its process would have; it is stopped already. */
  onFailure(machine: string, error: Error): void;
}

type Outside = Pick<MachineParts, 'runtime' | 'podNetwork' | 'serviceProxy' | 'facts' | 'staticPods'>;

/** What runs between a start and the next stop. */
interface Run {
  readonly runtime: ContainerRuntime;
  readonly machine: Machine;
  readonly door?: HttpsDoor;
  /** What the apiserver uses instead of the built-in store. */
  readonly store?: EtcdStore;
}

export class EmbeddedMachine {
  readonly spec: MachineSpec;
  readonly #world: EmbeddedWorld;
  readonly #disks = new Map<string, SimDisk>();
  #incarnation = 0;
  #systems: RunningActorSystem[] = [];
  #clocks: MortalClock[] = [];
  #run: Run | undefined;
  #ending: Promise<void> = Promise.resolve();

  constructor(world: EmbeddedWorld, spec: MachineSpec) {
    this.#world = world;
    this.spec = spec;
  }

  get running(): boolean {
    return this.#run !== undefined;
  }

  /** Its actor systems: the components', and a master's store. Empty while it does not run. */
  get systems(): readonly ActorSystem[] {
    return this.#systems;
  }

  async start(): Promise<void> {
    if (this.running) throw new Error(`${this.spec.name} runs already`);
    await this.#ending;
    // Later starts have later clocks, unless two of them fall into one millisecond.
    this.#incarnation = Math.max(this.#incarnation + 1, Date.now());
    try {
      if (storeMachines(this.#world.spec).includes(this.spec))
        this.#startStore(await this.#system(storeNode(this.spec)));
      this.#run = await this.#startComponents(await this.#system(mainNode(this.spec)));
    } catch (error) {
      await this.#stopSystems();
      throw error;
    }
  }

  /** As SIGTERM: says goodbye to its peers and ends its containers. */
  async stop(): Promise<void> {
    await this.#end(1_000);
  }

  /**
   * As SIGKILL: from this call on its peers hear nothing more, and of a disk in memory only what was fsynced survives. What is
   * left to clear away (sockets, containers) ends in the background; `start` and `stop` wait for it.
   */
  kill(): void {
    for (const system of this.#systems) this.#world.network.kill(system.node);
    for (const disk of this.#disks.values()) disk.crash(() => realRandom.next());
    // A failure is told to whoever waits.
    this.#end(0).catch(() => {});
  }

  #end(graceMs: number): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    if (run) {
      this.#ending = (async () => {
        await run.door?.close(graceMs);
        run.machine.stop();
        run.store?.close();
        await this.#stopSystems(run.runtime);
      })();
    }
    return this.#ending;
  }

  async #stopSystems(runtime?: ContainerRuntime): Promise<void> {
    const systems = this.#systems;
    const clocks = this.#clocks;
    this.#systems = [];
    this.#clocks = [];
    await Promise.all(
      systems.map(async (system) => {
        await system.stop();
        await system.journal.close();
      }),
    );
    // The kubelet has closed it already, unless it had given up before.
    await runtime?.close();
    for (const clock of clocks) clock.end();
  }

  /** What would end the process of a real machine ends this one. */
  #fail(error: Error): void {
    if (!this.running) return;
    this.kill();
    this.#world.onFailure(this.spec.name, error);
  }

  async #system(node: NodeId): Promise<RunningActorSystem> {
    const { dir, network, guests, spec } = this.#world;
    const incarnation = this.#incarnation as Incarnation;
    const faults = new FaultPolicy();
    const clock = new MortalClock(realClock);
    const env = {
      ...createRealEnv({
        disk: (name) => this.#disk(name),
        link: (request) => network.link(request.node, request.incarnation, request.policy),
      }),
      clock,
    };
    const system = createActorSystem({
      node,
      incarnation,
      env,
      link: env.link(node, incarnation, faults),
      journal: new FileJournal(dir.journalPath(this.spec.name, node), { clock: realClock, node }),
      faults,
      engine: createNactEngine(),
      doors,
      cluster: new Map([...nodesOf(spec), ...guests.keys()].map((peer) => [peer, network.addressOf(peer)])),
    });
    this.#systems.push(system);
    this.#clocks.push(clock);
    void system.whenFailed.then((error) => this.#fail(error));
    await system.started;
    return system;
  }

  async #disk(folder: string): Promise<Disk> {
    const { dir, storage } = this.#world;
    if (storage === 'disk') return RealDisk.open(`${dir.machineDir(this.spec.name)}/${folder}`);
    const disk = this.#disks.get(folder) ?? new SimDisk();
    this.#disks.set(folder, disk);
    return disk;
  }

  #startStore(system: RunningActorSystem): void {
    const { spec } = this.#world;
    system.spawn<StoreMessage>(
      storeMember({
        name: this.spec.name,
        members: masters(spec).map((member) => ({
          name: member.name,
          ref: actorRef<StoreMessage>(storeNode(member), '/store'),
        })),
        openStorage: async () => openDiskStorage(await system.env.disk('store'), spec.id, this.spec.name),
        onFatal: (error) => this.#fail(error instanceof Error ? error : new Error(String(error))),
      }),
    );
  }

  async #startComponents(system: RunningActorSystem): Promise<Run> {
    const { dir, spec, guests } = this.#world;
    const outside = this.#outside(system);
    const isMaster = this.spec.role === 'master';
    const tokens = isMaster ? await tokenSigner(dir) : undefined;
    const first = masters(spec).indexOf(this.spec);
    const store = isMaster && spec.externalStore ? openExternalStore(spec.externalStore, first) : undefined;
    store?.startCompacting();
    const machine = startMachine(
      {
        spec,
        machine: this.spec,
        system,
        ...outside,
        rootCa: dir.readText('pki/ca.crt'),
        ...(tokens && { tokens }),
        ...(store && { store }),
        identifyGuest: (node) => guests.get(node),
      },
      startControlPlane,
    );
    const door = machine.apiServer && (await openApiServerDoor(dir, this.spec, system, machine.apiServer));
    return { runtime: outside.runtime, machine, ...(door && { door }), ...(store && { store }) };
  }

  /** What the components have of the world outside. */
  #outside(system: ActorSystem): Outside {
    const { clock, random } = system.env;
    const dataDir = this.#world.dir.machineDir(this.spec.name);
    const facts = machineFacts(dataDir);
    if (this.#world.runtime === 'simulated') {
      const runtime = new SimulatedRuntime({ clock, random });
      return { runtime, podNetwork: simulatedPodNetwork, serviceProxy: new SimulatedServiceProxy(), facts };
    }
    const runtime = new ProcessRuntime({ dataDir, clock, random });
    const serviceProxy = new UserSpaceProxy({ clock, random });
    const staticPods = staticPodFolder(this.#world.dir.manifestDir(this.spec.name));
    return { runtime, podNetwork: socketPodNetwork, serviceProxy, facts, staticPods };
  }
}

function nodesOf(spec: ClusterSpec): NodeId[] {
  return [...spec.machines.map(mainNode), ...storeMachines(spec).map(storeNode)];
}
