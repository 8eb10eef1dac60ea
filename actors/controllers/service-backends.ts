/**
 * Which pods stand behind a service, and on which of their ports: what Endpoints and EndpointSlices have in common
 * (kubernetes: endpoint_slice utils, podutil.FindPort). Pure.
 */
import { type Informer, keyOf } from '../client/index.js';
import { compareText, labelSelectorFromMap } from '../objects/index.js';
import type { Pod, Service } from '../objects/types/core.js';
import { isReady } from './pods.js';

export interface BackendPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}

export interface Backend {
  readonly pod: Pod;
  /** In the order of the service; a named target port that the pod does not have is left out. */
  readonly ports: readonly BackendPort[];
  readonly ready: boolean;
  readonly terminating: boolean;
}

export const headlessLabel = 'service.kubernetes.io/headless';

/** False for services whose endpoints somebody else keeps, or that have none. */
export function hasOwnBackends(service: Service): boolean {
  const { type, selector } = service.spec ?? {};
  return type !== 'ExternalName' && selector !== undefined && Object.keys(selector).length > 0;
}

export function isHeadless(service: Service): boolean {
  return service.spec?.clusterIP === 'None';
}

/** Keys of those of `services` that the pod may stand behind. */
export function servicesOf({ metadata }: Pod, services: Pick<Informer<Service>, 'inNamespace'>): string[] {
  return services
    .inNamespace(metadata?.namespace ?? '')
    .filter(hasOwnBackends)
    .filter(({ spec }) => labelSelectorFromMap(spec?.selector).matches(metadata?.labels))
    .map(keyOf);
}

/** `pods` of the service's namespace; ended ones and those without an address yet are no backends. By name. */
export function backendsOf(service: Service, pods: readonly Pod[]): Backend[] {
  if (!hasOwnBackends(service)) return [];
  const selector = labelSelectorFromMap(service.spec?.selector);
  return pods
    .filter((pod) => selector.matches(pod.metadata?.labels) && hasAddress(pod))
    .sort((a, b) => compareText(a.metadata?.name ?? '', b.metadata?.name ?? ''))
    .map((pod) => ({
      pod,
      ports: portsOf(service, pod),
      ready: isReady(pod),
      terminating: pod.metadata?.deletionTimestamp !== undefined,
    }));
}

/** The pod's addresses, the primary one first. */
export function addressesOf(pod: Pod): string[] {
  const all = (pod.status?.podIPs ?? []).map(({ ip }) => ip).filter((ip): ip is string => Boolean(ip));
  if (all.length > 0) return all;
  return pod.status?.podIP ? [pod.status.podIP] : [];
}

export function addressType(address: string): 'IPv4' | 'IPv6' {
  return address.includes(':') ? 'IPv6' : 'IPv4';
}

/** A pod that asks for a DNS name of its own under this service. */
export function hostnameOf(service: Service, pod: Pod): string | undefined {
  const { hostname, subdomain } = pod.spec ?? {};
  return hostname && subdomain === service.metadata?.name ? hostname : undefined;
}

export function podReference({ metadata }: Pod) {
  const { namespace = '', name = '', uid = '' } = metadata ?? {};
  return { kind: 'Pod', namespace, name, uid };
}

function hasAddress(pod: Pod): boolean {
  const { phase } = pod.status ?? {};
  return phase !== 'Succeeded' && phase !== 'Failed' && addressesOf(pod).length > 0;
}

function portsOf(service: Service, pod: Pod): BackendPort[] {
  const ports: BackendPort[] = [];
  for (const { name = '', protocol = 'TCP', port, targetPort, appProtocol } of service.spec?.ports ?? []) {
    const target = typeof targetPort === 'string' ? namedPort(pod, targetPort, protocol) : targetPort || port;
    if (target === undefined) continue;
    ports.push({ name, port: target, protocol, ...(appProtocol !== undefined && { appProtocol }) });
  }
  return ports;
}

function namedPort(pod: Pod, name: string, protocol: string): number | undefined {
  const { containers = [], initContainers = [] } = pod.spec ?? {};
  const sidecars = initContainers.filter((container) => container.restartPolicy === 'Always');
  for (const container of [...containers, ...sidecars]) {
    const found = container.ports?.find(
      (port) => port.name === name && (port.protocol ?? 'TCP') === protocol,
    );
    if (found) return found.containerPort;
  }
  return undefined;
}
