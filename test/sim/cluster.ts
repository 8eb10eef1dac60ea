/**
 * The whole cluster in the simulator: the same machines as `kabuki up` starts, assembled by the same deploy/machine.ts, on
 * simulated nodes. One thread, virtual time, one seed.
 */
import { type ApiClient, createApiClient } from '../../actors/client/index.js';
import type { ApiServerMessage } from '../../actors/apiserver/messages.js';
import { actorRef, type ActorSystem } from '../../actors/runtime/index.js';
import {
  createStoreClient,
  openDiskStorage,
  storeMember,
  type StoreMessage,
} from '../../actors/store/index.js';
import { machineNames } from '../../deploy/cluster-shape.js';
import { type ClusterSpec, mainNode, masters, storeNode } from '../../deploy/cluster-spec.js';
import { startControlPlane } from '../../deploy/control-plane.js';
import { startMachine } from '../../deploy/machine.js';
import { simulatedParts } from './simulated-parts.js';
import { SimWorld } from './world.js';

const administrator = { username: 'admin', groups: ['system:masters', 'system:authenticated'] };

export class SimCluster {
  readonly world: SimWorld;
  readonly spec: ClusterSpec;
  /** As an administrator, through whichever apiserver answers; lives on a machine of its own. */
  readonly client: ApiClient;
  readonly adminSystem: ActorSystem;

  constructor(seed: number | string, shape: { readonly masters: number; readonly workers: number }) {
    this.world = new SimWorld(seed);
    this.spec = specOf(shape);
    for (const machine of this.spec.machines) this.start(machine.name);
    this.adminSystem = this.world.system(mainNode({ name: 'admin' }));
    this.client = createApiClient({
      system: this.adminSystem,
      apiservers: masters(this.spec).map((master) =>
        actorRef<ApiServerMessage>(mainNode(master), '/apiserver'),
      ),
      userAgent: 'kubectl',
    });
  }

  /** Starts a machine, or starts it again after `kill`, with the disks it had. */
  start(name: string): void {
    const machine = this.spec.machines.find((candidate) => candidate.name === name);
    if (!machine) throw new TypeError(`no machine ${name}`);
    if (machine.role === 'master') {
      const system = this.world.system(storeNode(machine));
      system.spawn(
        storeMember({
          name,
          members: masters(this.spec).map((master) => ({
            name: master.name,
            ref: actorRef<StoreMessage>(storeNode(master), '/store'),
          })),
          openStorage: async () => openDiskStorage(await system.env.disk('store'), this.spec.id, name),
          onFatal: (error) => {
            throw error;
          },
        }),
      );
    }
    const system = this.world.system(mainNode(machine));
    const identifyGuest = (node: string) => (node === 'admin' ? administrator : undefined);
    const parts = { spec: this.spec, machine, system, identifyGuest, ...simulatedParts(system) };
    startMachine(parts, startControlPlane);
  }

  kill(name: string): void {
    const machine = this.spec.machines.find((candidate) => candidate.name === name);
    if (machine?.role === 'master') this.world.kill(storeNode(machine));
    this.world.kill(mainNode({ name }));
  }

  /** The machine whose member leads the store, as most members see it. */
  async storeLeader(): Promise<string> {
    const members = masters(this.spec).map((master) => ({
      name: master.name,
      ref: actorRef<StoreMessage>(storeNode(master), '/store'),
    }));
    const store = createStoreClient({ system: this.adminSystem, members });
    let leader: string | null = null;
    await this.eventually(async () => {
      ({ leader } = await store.status());
      return leader !== null;
    });
    return leader as unknown as string;
  }

  /** Lets the world go on, asking again and again, until the condition holds. Errors count as "not yet". */
  async eventually(condition: () => Promise<boolean>, maxVirtualMs = 60_000): Promise<void> {
    const deadline = this.world.simulation.nowMs + maxVirtualMs;
    let last: unknown;
    while (this.world.simulation.nowMs < deadline) {
      try {
        if (await this.world.settled(condition())) return;
        last = undefined;
      } catch (error) {
        last = error;
      }
      await this.world.pass(100);
    }
    throw new Error(`not within ${maxVirtualMs} ms of virtual time (seed ${this.world.simulation.seed})`, {
      cause: last,
    });
  }
}

function specOf(shape: { readonly masters: number; readonly workers: number }): ClusterSpec {
  return {
    name: 'sim',
    id: 'simulated-cluster',
    machines: machineNames(shape).map(({ name, role }, i) => ({
      name,
      role,
      address: `sim://${name}`,
      publicKey: '',
      podCidr: `127.64.${i + 1}.0/24`,
    })),
    frontPort: 6443,
    serviceCidr: '127.96.0.0/16',
    podCidr: '127.64.0.0/16',
    kubernetesServicePort: 443,
  };
}
