/**
 * The judgement of the Endpoints controller (kubernetes: endpoint_controller.go): what the Endpoints object of a
 * service shows. Pods with the same ports share a subset; a terminating pod is not shown at all. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import { compareText } from '../objects/index.js';
import type { EndpointAddress, Endpoints, EndpointSubset, Pod, Service } from '../objects/types/core.js';
import { controllerLimits } from './limits.js';
import {
  addressesOf,
  type Backend,
  backendsOf,
  headlessLabel,
  hostnameOf,
  isHeadless,
  podReference,
} from './service-backends.js';

export const endpointsManagedByLabel = 'endpoints.kubernetes.io/managed-by';
export const endpointsController = 'endpoint-controller';
const overCapacityAnnotation = 'endpoints.kubernetes.io/over-capacity';
const triggerTimeAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time';

/** The object to write, or undefined when `current` already says it. */
export function decideEndpoints(
  service: Service,
  pods: readonly Pod[],
  current: Endpoints | undefined,
): Endpoints | undefined {
  const publishes = service.spec?.publishNotReadyAddresses === true;
  const backends = backendsOf(service, pods)
    .filter(({ terminating }) => !terminating || publishes)
    .map((backend) => ({ ...backend, ready: backend.ready || publishes }));
  const isOver = backends.length > controllerLimits.endpointsMax;
  const subsets = subsetsOf(service, isOver ? truncated(backends) : backends);
  const wanted: Endpoints = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: {
      ...current?.metadata,
      name: service.metadata?.name ?? '',
      namespace: service.metadata?.namespace ?? 'default',
      labels: labelsOf(service),
      annotations: annotationsOf(current, isOver),
    },
    subsets,
  };
  return current && same(current, wanted) ? undefined : wanted;
}

/** Ready ones first, then by name. */
function truncated(backends: readonly Backend[]): Backend[] {
  const order = [...backends.filter(({ ready }) => ready), ...backends.filter(({ ready }) => !ready)];
  return order.slice(0, controllerLimits.endpointsMax);
}

function subsetsOf(service: Service, backends: readonly Backend[]): EndpointSubset[] {
  const subsets = new Map<
    string,
    { ports: Backend['ports']; up: EndpointAddress[]; down: EndpointAddress[] }
  >();
  const isPortless = (service.spec?.ports ?? []).length === 0;
  for (const backend of backends) {
    // A pod without any of the named ports serves nothing; a headless service without ports only names pods.
    if (backend.ports.length === 0 && !(isPortless && isHeadless(service))) continue;
    const ports = backend.ports.toSorted((a, b) => compareText(portText(a), portText(b)));
    const key = JSON.stringify(ports.map(portText));
    const subset = subsets.get(key) ?? { ports, up: [], down: [] };
    subsets.set(key, subset);
    (backend.ready ? subset.up : subset.down).push(addressOf(service, backend));
  }
  return [...subsets.entries()]
    .sort(([a], [b]) => compareText(a, b))
    .map(([, { ports, up, down }]) => ({
      ...(up.length > 0 && { addresses: up.sort(byIp) }),
      ...(down.length > 0 && { notReadyAddresses: down.sort(byIp) }),
      ...(ports.length > 0 && {
        ports: ports.map(({ name, ...port }) => ({ ...(name !== '' && { name }), ...port })),
      }),
    }));
}

function addressOf(service: Service, { pod }: Backend): EndpointAddress {
  const hostname = hostnameOf(service, pod);
  const nodeName = pod.spec?.nodeName;
  return {
    ...(hostname !== undefined && { hostname }),
    ip: addressesOf(pod)[0] ?? '',
    ...(nodeName !== undefined && { nodeName }),
    targetRef: podReference(pod),
  };
}

function portText({ name, port, protocol, appProtocol = '' }: Backend['ports'][number]): string {
  return `${name}/${protocol}/${port}/${appProtocol}`;
}

function byIp(a: EndpointAddress, b: EndpointAddress): number {
  return compareText(a.ip, b.ip);
}

function labelsOf(service: Service): Record<string, string> {
  const labels = { ...service.metadata?.labels };
  delete labels[headlessLabel];
  if (isHeadless(service)) labels[headlessLabel] = '';
  return { ...labels, [endpointsManagedByLabel]: endpointsController };
}

function annotationsOf(current: Endpoints | undefined, isOver: boolean): Record<string, string> {
  const annotations = { ...current?.metadata?.annotations };
  delete annotations[overCapacityAnnotation];
  delete annotations[triggerTimeAnnotation];
  return isOver ? { ...annotations, [overCapacityAnnotation]: 'truncated' } : annotations;
}

function same(a: Endpoints, b: Endpoints): boolean {
  return (
    isDeepStrictEqual(a.subsets ?? [], b.subsets) &&
    isDeepStrictEqual(a.metadata?.labels ?? {}, b.metadata?.labels) &&
    isDeepStrictEqual(a.metadata?.annotations ?? {}, b.metadata?.annotations)
  );
}
