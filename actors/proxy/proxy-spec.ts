/** How a supervisor starts a proxy: options in, child specification out. */
import {
  type ApiClient,
  createEventRecorder,
  endpointSlices,
  type InformerFactory,
  services,
} from '../client/index.js';
import type { Actor, ActorSystem, ChildSpec } from '../runtime/index.js';
import { type ProxyLimits, proxyLimits } from './limits.js';
import { Proxy, type ProxyMessage } from './proxy.js';
import type { ServiceProxy } from './service-proxy.js';

export interface ProxyOptions {
  readonly system: ActorSystem;
  readonly client: ApiClient;
  readonly informers: InformerFactory;
  /**
   * `UserSpaceProxy`, or `SimulatedServiceProxy`. Made outside, so that its sockets outlive a crash of the
   * actor.
   */
  readonly proxy: ServiceProxy;
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly limits?: Partial<ProxyLimits>;
  /** Last segment of the actor's path, default `proxy`. */
  readonly id?: string;
}

export function proxySpec(options: ProxyOptions): ChildSpec<never> {
  const { system, client, informers, proxy, nodeName, nodeIP } = options;
  const actor = {
    client,
    services: informers.informer(services),
    slices: informers.informer(endpointSlices),
    proxy,
    events: createEventRecorder({ system, client, component: 'kube-proxy', host: nodeName }),
    limits: { ...proxyLimits, ...options.limits },
    node: { nodeName, nodeIP },
  };
  const spec: ChildSpec<ProxyMessage> = {
    id: options.id ?? 'proxy',
    restart: 'permanent',
    start: () => new Proxy(actor) as Actor<unknown, ProxyMessage>,
  };
  return spec as unknown as ChildSpec<never>;
}
