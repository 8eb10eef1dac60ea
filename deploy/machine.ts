/**
 * One machine of a cluster, put together: which components run there, as whom, and who they talk to. The same assembly
 * runs in a process, in a test and in the simulator; what touches the outside comes in as parts.
 */
import {
  type ApiServer,
  apiserverActor,
  createApiServer,
  type TokenSigner,
} from '../actors/apiserver/index.js';
import type { ApiServerMessage } from '../actors/apiserver/messages.js';
import type { Identity } from '../actors/apiserver/request.js';
import {
  type ApiClient,
  type ApiClientOptions,
  createApiClient,
  createInformerFactory,
  informersChild,
} from '../actors/client/index.js';
import { controllerManagerSpec } from '../actors/controllers/index.js';
import {
  type ContainerRuntime,
  type KubeletMessage,
  kubeletSpec,
  type NodeFacts,
  type PodNetwork,
  type StaticPodSource,
} from '../actors/kubelet/index.js';
import { electionClientLimits, leaderElection } from '../actors/leadership/index.js';
import { builtinRegistry } from '../actors/objects/index.js';
import { proxySpec, type ServiceProxy } from '../actors/proxy/index.js';
import { actorRef, type ActorSystem, type SupervisorSpec } from '../actors/runtime/index.js';
import { schedulerSpec } from '../actors/scheduler/index.js';
import { createStoreClient, type StoreMessage } from '../actors/store/index.js';
import { type NodeId, nodeId } from '../transport/index.js';
import {
  type ClusterSpec,
  type MachineSpec,
  mainNode,
  masters,
  nodeAddress,
  storeNode,
} from './cluster-spec.js';
import { identifyComponent } from './identity.js';
import { versionInfo } from './version.js';

export interface MachineParts {
  readonly spec: ClusterSpec;
  readonly machine: MachineSpec;
  readonly system: ActorSystem;
  readonly tokens?: TokenSigner;
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

export function startMachine(parts: MachineParts): Machine {
  const { machine } = parts;
  const apiServer = machine.role === 'master' ? startApiServer(parts) : undefined;
  if (machine.role === 'master') startLeaders(parts);
  startNodeAgents(parts);
  return {
    ...(apiServer && { apiServer }),
    stop: () => apiServer?.stop(),
  };
}

function startApiServer({ spec, machine, system, tokens, identifyGuest }: MachineParts): ApiServer {
  const members = ownFirst(spec, machine).map((master) => ({
    name: master.name,
    ref: actorRef<StoreMessage>(storeNode(master), '/store'),
  }));
  const server = createApiServer({
    system,
    store: createStoreClient({ system, members }),
    registry: builtinRegistry(),
    kubelets: (node) => actorRef<KubeletMessage>(nodeId(node), '/kubelet'),
    serviceCidr: spec.serviceCidr,
    version: versionInfo,
    advertise: { address: '127.0.0.1', port: machine.httpsPort ?? 0 },
    ...(tokens && { tokens }),
  });
  server.start();
  const identify = (node: NodeId, userAgent: string) =>
    identifyComponent(spec, node, userAgent) ?? identifyGuest?.(node);
  system.spawn(apiserverActor({ handler: server, identify }));
  return server;
}

/** Scheduler and controllers run on every master and are active on one (DESIGN rule 10). */
function startLeaders(parts: MachineParts): void {
  elect(parts, 'kube-scheduler', (fencing) =>
    schedulerSpec({ system: parts.system, client: clientFor(parts, 'kube-scheduler'), fencing }),
  );
  elect(parts, 'kube-controller-manager', (fencing) =>
    controllerManagerSpec({
      system: parts.system,
      client: clientFor(parts, 'kube-controller-manager'),
      fencing,
    }),
  );
}

function elect(parts: MachineParts, component: string, onLead: (fencing: string) => SupervisorSpec): void {
  const { machine, system } = parts;
  system.spawn({
    ...leaderElection({
      lockName: component,
      identity: `${machine.name}_${system.env.uuid()}`,
      // A hung apiserver must not eat the lease.
      client: clientFor(parts, component, electionClientLimits),
      onLead,
    }),
    id: component,
  });
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

/** All masters, this machine first: what is near is asked first, and load spreads. */
function ownFirst(spec: ClusterSpec, machine: MachineSpec): MachineSpec[] {
  const all = masters(spec);
  const own = Math.max(0, all.indexOf(machine));
  const start = machine.role === 'master' ? own : spec.machines.indexOf(machine) % all.length;
  return [...all.slice(start), ...all.slice(0, start)];
}
