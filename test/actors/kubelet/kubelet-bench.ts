/**
 * One kubelet over an API in a Map: in virtual time with simulated containers, or in real time with
 * processes.
 */
import {
  createInformerFactory,
  leases,
  nodes,
  pods,
  type SharedInformerFactory,
} from '../../../actors/client/index.js';
import {
  type ContainerRuntime,
  type KubeletLimits,
  type KubeletMessage,
  kubeletSpec,
  type NodeFacts,
  type PodNetwork,
  SimulatedRuntime,
  simulatedPodNetwork,
  type StaticManifest,
} from '../../../actors/kubelet/index.js';
import type { Container, Node, Pod } from '../../../actors/objects/types/core.js';
import type { ActorRef, RunningActorSystem } from '../../../actors/runtime/index.js';
import { simWorld, type World } from '../runtime/world.js';
import { MemoryApi } from './memory-api.js';

export const facts: NodeFacts = {
  cpus: 4,
  memoryBytes: 8 * 2 ** 30,
  storageBytes: 100 * 2 ** 30,
  hostname: 'test',
  operatingSystem: 'linux',
  architecture: 'amd64',
  kernelVersion: '6.0',
  osImage: 'Test',
  machineId: 'machine',
  bootId: 'boot',
  isRoot: false,
};

export interface BenchOptions {
  readonly world?: World;
  readonly runtime?: (system: RunningActorSystem) => ContainerRuntime;
  readonly network?: PodNetwork;
  readonly limits?: Partial<KubeletLimits>;
  readonly manifests?: () => readonly StaticManifest[];
  readonly podCidr?: string;
  readonly taints?: NonNullable<Node['spec']>['taints'];
}

export class Bench {
  readonly world: World;
  readonly system: RunningActorSystem;
  readonly api: MemoryApi;
  readonly runtime: ContainerRuntime;
  readonly kubelet: ActorRef<KubeletMessage>;
  readonly informers: SharedInformerFactory;

  constructor(options: BenchOptions = {}) {
    this.world = options.world ?? simWorld(7);
    this.system = this.world.system('worker-1');
    const { clock, random } = this.system.env;
    this.api = new MemoryApi((callback) => clock.defer(callback));
    this.runtime = options.runtime?.(this.system) ?? new SimulatedRuntime({ clock, random });
    this.informers = createInformerFactory({ system: this.system, client: this.api });
    const { manifests } = options;
    this.kubelet = this.system.spawn(
      kubeletSpec({
        system: this.system,
        client: this.api,
        informers: this.informers,
        runtime: this.runtime,
        network: options.network ?? simulatedPodNetwork,
        facts,
        nodeName: 'worker-1',
        nodeIP: '127.0.0.1',
        podCidr: options.podCidr ?? '127.64.9.0/24',
        ...(options.limits === undefined ? {} : { limits: options.limits }),
        ...(options.taints === undefined ? {} : { taints: options.taints }),
        ...(manifests === undefined ? {} : { staticPods: { read: async () => manifests() } }),
      }),
    );
  }

  async add(
    spec: Partial<NonNullable<Pod['spec']>> = {},
    annotations: Record<string, string> = {},
    name = 'pod-1',
  ): Promise<void> {
    const containers: Container[] = [{ name: 'main', image: 'app:1', command: ['run'] }];
    await this.api.create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', annotations },
      spec: { nodeName: 'worker-1', containers, ...spec },
    });
  }

  async pod(name = 'pod-1', namespace = 'default'): Promise<Pod | undefined> {
    return this.api.get(pods, namespace, name).catch(() => undefined);
  }

  /**
   * Lets the world go on until the pod is as wanted; resolves with it. Undefined stands for a pod that is
   * gone.
   */
  async until(
    what: string,
    wanted: (pod: Pod | undefined) => boolean,
    name = 'pod-1',
  ): Promise<Pod | undefined> {
    let seen: Pod | undefined;
    let asked = false;
    let answered = false;
    const look = () => {
      if (!asked) {
        asked = true;
        void this.pod(name).then((pod) => {
          seen = pod;
          asked = false;
          answered = true;
        });
      }
      return answered && wanted(seen);
    };
    try {
      await this.world.until(look);
    } catch (error) {
      throw new Error(`not seen: ${what}; the pod is ${JSON.stringify(seen?.status, null, 1)}`, {
        cause: error,
      });
    }
    return seen;
  }

  running(name = 'pod-1'): Promise<Pod | undefined> {
    return this.until('ready', (pod) => isTrue(pod, 'Ready'), name);
  }

  async end(): Promise<void> {
    this.informers.stop();
    await this.world.end();
  }

  node(): Promise<Node> {
    return this.api.get(nodes, undefined, 'worker-1');
  }

  lease() {
    return this.api.get(leases, 'kube-node-lease', 'worker-1');
  }
}

export function isTrue(pod: Pod | undefined, type: string): boolean {
  return (
    pod?.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ??
    false
  );
}

export function mainStatus(pod: Pod | undefined) {
  return pod?.status?.containerStatuses?.[0];
}
