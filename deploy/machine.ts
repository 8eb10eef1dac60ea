/**
 * One machine of a cluster, put together: which components run there, as whom, and who they talk to. The same assembly
 * runs in a process, in a test and in the simulator; what touches the outside comes in as parts.
 */
import { strict as assert } from 'node:assert';
import type { ApiServer, TokenSigner } from '../actors/apiserver/index.js';
import type { ApiServerMessage } from '../actors/apiserver/messages.js';
import type { Identity } from '../actors/apiserver/request.js';
import {
  type ApiClient,
  type ApiClientOptions,
  createApiClient,
  createInformerFactory,
  informersChild,
} from '../actors/client/index.js';
import {
  type ContainerRuntime,
  kubeletSpec,
  type NodeFacts,
  type PodNetwork,
  type StaticPodSource,
} from '../actors/kubelet/index.js';
import { proxySpec, type ServiceProxy } from '../actors/proxy/index.js';
import { actorRef, type ActorSystem } from '../actors/runtime/index.js';
import type { ApiStore } from '../actors/store/index.js';
import type { NodeId } from '../transport/index.js';
import { type ClusterSpec, type MachineSpec, mainNode, nodeAddress, ownFirst } from './cluster-spec.js';

export interface MachineParts {
  readonly spec: ClusterSpec;
  readonly machine: MachineSpec;
  readonly system: ActorSystem;
  /** What the apiserver of a master keeps its objects in; absent: the built-in store of the cluster. */
  readonly store?: ApiStore;
  readonly tokens?: TokenSigner;
  /** PEM of the cluster's authority, which pods are told to trust. */
  readonly rootCa?: string;
  /** What runs the containers of this machine, how its pods are reached, and what the machine is. */
  readonly runtime: ContainerRuntime;
  readonly podNetwork: PodNetwork;
  readonly facts: NodeFacts;
  readonly staticPods?: StaticPodSource;
  /** Serves the virtual addresses of services. */
  readonly serviceProxy: ServiceProxy;
  /** Who else may speak through the actor door, besides the cluster's own components; for harnesses. */
  readonly identifyGuest?: (node: NodeId) => Identity | undefined;
}

export interface Machine {
  /** Of masters. */
  readonly apiServer?: ApiServer;
  stop(): void;
}

/** How a master starts what only masters have: control-plane.ts, which a worker need not load. */
export type ControlPlane = (parts: MachineParts) => ApiServer;

/** `controlPlane` is for masters. */
export function startMachine(parts: MachineParts, controlPlane: ControlPlane | undefined): Machine {
  const isMaster = parts.machine.role === 'master';
  assert(!isMaster || controlPlane, `${parts.machine.name} is a master and needs a control plane`);
  const apiServer = isMaster ? controlPlane?.(parts) : undefined;
  startNodeAgents(parts);
  return {
    ...(apiServer && { apiServer }),
    stop: () => apiServer?.stop(),
  };
}

const controlPlaneRole = 'node-role.kubernetes.io/control-plane';

/** What every machine runs: a kubelet and a proxy. */
function startNodeAgents(parts: MachineParts): void {
  const { machine, system, runtime, podNetwork, facts, staticPods, serviceProxy } = parts;
  const client = clientFor(parts, 'kubelet');
  const informers = createInformerFactory({ system, client, startPaused: true });
  const isMaster = machine.role === 'master';
  const nodeIP = nodeAddress(machine.podCidr);
  const kubelet = kubeletSpec({
    system,
    client,
    informers,
    runtime,
    network: podNetwork,
    facts,
    nodeName: machine.name,
    nodeIP,
    podCidr: machine.podCidr,
    ...(isMaster && {
      labels: { [controlPlaneRole]: '' },
      taints: [{ key: controlPlaneRole, effect: 'NoSchedule' }],
    }),
    ...(staticPods && { staticPods }),
  });
  system.spawn({ ...informersChild(informers), id: 'kubelet-informers' });
  system.spawn(kubelet);
  const proxyClient = clientFor(parts, 'kube-proxy');
  const proxyInformers = createInformerFactory({ system, client: proxyClient, startPaused: true });
  const proxy = { proxy: serviceProxy, nodeName: machine.name, nodeIP };
  const proxyActor = proxySpec({ system, client: proxyClient, informers: proxyInformers, ...proxy });
  system.spawn({ ...informersChild(proxyInformers), id: 'proxy-informers' });
  system.spawn(proxyActor);
}

export function clientFor(
  parts: MachineParts,
  component: string,
  limits?: ApiClientOptions['limits'],
): ApiClient {
  const { spec, machine, system } = parts;
  const apiservers = ownFirst(spec, machine).map((master) =>
    actorRef<ApiServerMessage>(mainNode(master), '/apiserver'),
  );
  return createApiClient({ system, apiservers, userAgent: component, ...(limits && { limits }) });
}
