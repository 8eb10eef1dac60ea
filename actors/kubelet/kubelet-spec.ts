/** How a supervisor starts a kubelet: options in, child specification out. */
import {
  type ApiClient,
  createEventRecorder,
  type InformerFactory,
  pods,
  services,
} from '../client/index.js';
import type { Taint } from '../objects/types/core.js';
import type { Actor, ActorSystem, ChildSpec } from '../runtime/index.js';
import type { ContainerRuntime } from './container-runtime.js';
import { Kubelet } from './kubelet.js';
import { type KubeletLimits, kubeletLimits } from './limits.js';
import type { KubeletMessage } from './messages.js';
import { allocatableOf, type NodeFacts, type NodeOptions } from './node-object.js';
import type { NodeMessage } from './pod-messages.js';
import type { PodNetwork } from './pod-network.js';
import type { StaticPodSource } from './static-pods.js';

export interface KubeletOptions {
  readonly system: ActorSystem;
  readonly client: ApiClient;
  readonly informers: InformerFactory;
  readonly runtime: ContainerRuntime;
  readonly network: PodNetwork;
  readonly facts: NodeFacts;
  readonly nodeName: string;
  /** Loopback address of the node itself; pods with hostNetwork have it. */
  readonly nodeIP: string;
  /** `127.64.<n>.0/24` */
  readonly podCidr: string;
  /** Beside those that every node has, such as `node-role.kubernetes.io/control-plane`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** At registration only. */
  readonly taints?: readonly Taint[];
  readonly staticPods?: StaticPodSource;
  readonly limits?: Partial<KubeletLimits>;
  /** Last segment of the actor's path, default `kubelet`; several in one system need several. */
  readonly id?: string;
}

const shutdownMs = 15_000;

/** The messages that others may send are KubeletMessage. */
export function kubeletSpec(options: KubeletOptions): ChildSpec<KubeletMessage> {
  const { system, client, informers, runtime, network, facts, nodeName, nodeIP } = options;
  const limits = { ...kubeletLimits, ...options.limits };
  const node: NodeOptions = {
    nodeName,
    nodeIP,
    podCidr: options.podCidr,
    facts,
    labels: options.labels ?? {},
    taints: options.taints ?? [],
    podsMax: limits.podsMax,
    containerRuntime: `${runtime.name}://${runtime.version}`,
    // Known when the runtime has started, which the kubelet waits for.
    isolation: () => runtime.isolation,
  };
  const podsHere = informers.informer(pods, { fieldSelector: `spec.nodeName=${nodeName}` });
  const parts = {
    nodeName,
    hostIP: nodeIP,
    client,
    runtime,
    network,
    events: createEventRecorder({ system, client, component: 'kubelet', host: nodeName }),
    services: informers.informer(services),
    limits,
    allocatable: allocatableOf(facts, limits.podsMax),
    mayChangeUser: facts.isRoot,
  };
  const spec: ChildSpec<KubeletMessage | NodeMessage> = {
    id: options.id ?? 'kubelet',
    restart: 'permanent',
    shutdownMs,
    start: () =>
      new Kubelet({
        parts,
        node,
        pods: podsHere,
        ...(options.staticPods === undefined ? {} : { staticPods: options.staticPods }),
      }) as Actor<unknown, KubeletMessage | NodeMessage>,
  };
  return spec as ChildSpec<KubeletMessage>;
}
