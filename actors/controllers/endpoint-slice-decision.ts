/**
 * The judgement of the EndpointSlice controller (kubernetes: endpointslice/reconciler.go): which slices of a service
 * to make, change and delete so that they show its pods, with as few writes as possible. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Pod, Service } from '../objects/types/core.js';
import type { Endpoint, EndpointPort, EndpointSlice } from '../objects/types/discovery.js';
import { controllerLimits } from './limits.js';
import { controllerReference } from './ownership.js';
import {
  addressesOf,
  addressType,
  type Backend,
  backendsOf,
  headlessLabel,
  hostnameOf,
  isHeadless,
  podReference,
} from './service-backends.js';

export const serviceNameLabel = 'kubernetes.io/service-name';
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
export const sliceController = 'endpointslice-controller.k8s.io';

export interface SliceDecision {
  readonly create: readonly EndpointSlice[];
  readonly update: readonly EndpointSlice[];
  readonly remove: readonly EndpointSlice[];
}

/** Endpoints that share a slice: same addresses' family, same ports. */
interface Group {
  readonly addressType: string;
  readonly ports: readonly EndpointPort[];
  /** By the pod's uid, in the order of pods' names. */
  readonly endpoints: Map<string, Endpoint>;
}

/** `slices`: those of this service that this controller manages. `zoneOf` names a node's zone, if it has one. */
export function decideSlices(
  service: Service,
  pods: readonly Pod[],
  slices: readonly EndpointSlice[],
  zoneOf: (node: string) => string | undefined = () => undefined,
): SliceDecision {
  const groups = groupsOf(service, backendsOf(service, pods), zoneOf);
  const frame = frameOf(service);
  const create: EndpointSlice[] = [];
  const update: EndpointSlice[] = [];
  const remove: EndpointSlice[] = [];
  const kept = new Map<Group, EndpointSlice[]>();
  for (const slice of slices) {
    if (slice.metadata?.deletionTimestamp) continue;
    const group = groups.get(groupKey(slice.addressType, slice.ports ?? []));
    if (!group) remove.push(slice);
    else kept.set(group, [...(kept.get(group) ?? []), slice]);
  }
  for (const group of groups.values()) {
    const filled = fill(group, kept.get(group) ?? []);
    for (const { slice, endpoints } of filled) {
      if (endpoints.length === 0 && (group.endpoints.size > 0 || slice !== filled[0]?.slice)) {
        if (slice) remove.push(slice);
        continue;
      }
      const wanted = sliceWith(frame, group, endpoints, slice);
      if (!slice) create.push(wanted);
      else if (!sameSlice(slice, wanted)) update.push(wanted);
    }
  }
  return { create, update, remove };
}

interface Filled {
  readonly slice: EndpointSlice | undefined;
  readonly endpoints: readonly Endpoint[];
}

/** What is there stays where it is; what is new goes into slices that change anyway, then where room is, then apart. */
function fill(group: Group, slices: readonly EndpointSlice[]): Filled[] {
  const rest = new Map(group.endpoints);
  const max = controllerLimits.endpointsPerSliceMax;
  const open = slices.map((slice) => {
    const before = slice.endpoints ?? [];
    const endpoints: Endpoint[] = [];
    let changed = false;
    for (const endpoint of before) {
      const uid = endpoint.targetRef?.uid ?? '';
      const wanted = rest.get(uid);
      if (!wanted || endpoints.length >= max) {
        changed = true;
        continue;
      }
      rest.delete(uid);
      if (!isDeepStrictEqual(endpoint, wanted)) changed = true;
      endpoints.push(wanted);
    }
    return { slice: slice as EndpointSlice | undefined, endpoints, changed };
  });
  const added = [...rest.values()];
  const byChange = [...open.filter(({ changed }) => changed), ...open.filter(({ changed }) => !changed)];
  for (const { endpoints } of byChange) endpoints.push(...added.splice(0, max - endpoints.length));
  while (added.length > 0) open.push({ slice: undefined, endpoints: added.splice(0, max), changed: true });
  // A service without pods still has one slice, so that watchers know it is looked after.
  if (open.length === 0) open.push({ slice: undefined, endpoints: [], changed: true });
  return open;
}

function groupsOf(
  service: Service,
  backends: readonly Backend[],
  zoneOf: (node: string) => string | undefined,
): Map<string, Group> {
  const groups = new Map<string, Group>();
  const families = service.spec?.ipFamilies?.length ? service.spec.ipFamilies : ['IPv4'];
  for (const family of families) {
    for (const backend of backends) {
      const addresses = addressesOf(backend.pod).filter((address) => addressType(address) === family);
      const address = addresses[0];
      if (address === undefined) continue;
      const key = groupKey(family, backend.ports);
      let group = groups.get(key);
      if (!group) {
        group = { addressType: family, ports: backend.ports, endpoints: new Map() };
        groups.set(key, group);
      }
      group.endpoints.set(backend.pod.metadata?.uid ?? '', endpointOf(service, backend, address, zoneOf));
    }
    if ([...groups.values()].some((group) => group.addressType === family)) continue;
    groups.set(groupKey(family, []), { addressType: family, ports: [], endpoints: new Map() });
  }
  return groups;
}

function endpointOf(
  service: Service,
  { pod, ready, terminating }: Backend,
  address: string,
  zoneOf: (node: string) => string | undefined,
): Endpoint {
  const nodeName = pod.spec?.nodeName;
  const hostname = hostnameOf(service, pod);
  const zone = nodeName === undefined ? undefined : zoneOf(nodeName);
  return {
    addresses: [address],
    conditions: {
      ready: service.spec?.publishNotReadyAddresses === true || (ready && !terminating),
      serving: ready,
      terminating,
    },
    ...(hostname !== undefined && { hostname }),
    ...(nodeName !== undefined && { nodeName }),
    targetRef: podReference(pod),
    ...(zone !== undefined && { zone }),
  };
}

type Frame = Pick<EndpointSlice, 'apiVersion' | 'kind' | 'metadata'>;

function frameOf(service: Service): Frame {
  const { name = '', namespace = 'default', labels = {} } = service.metadata ?? {};
  const shared = Object.fromEntries(Object.entries(labels).filter(([key]) => key !== headlessLabel));
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      generateName: `${name}-`,
      namespace,
      labels: {
        ...shared,
        ...(isHeadless(service) && { [headlessLabel]: '' }),
        [serviceNameLabel]: name,
        [managedByLabel]: sliceController,
      },
      ownerReferences: [controllerReference(service, 'v1', 'Service')],
    },
  };
}

function sliceWith(
  frame: Frame,
  group: Group,
  endpoints: readonly Endpoint[],
  old: EndpointSlice | undefined,
): EndpointSlice {
  const { labels = {}, ownerReferences = [] } = frame.metadata ?? {};
  const metadata = old ? { ...old.metadata, labels, ownerReferences } : frame.metadata;
  return {
    ...frame,
    ...(metadata && { metadata }),
    addressType: group.addressType,
    endpoints: [...endpoints],
    ports: [...group.ports],
  };
}

function sameSlice(a: EndpointSlice, b: EndpointSlice): boolean {
  return (
    isDeepStrictEqual(a.endpoints ?? [], b.endpoints) &&
    isDeepStrictEqual(a.metadata?.labels, b.metadata?.labels) &&
    isDeepStrictEqual(a.metadata?.ownerReferences, b.metadata?.ownerReferences)
  );
}

function groupKey(family: string, ports: readonly EndpointPort[]): string {
  const texts = ports.map(({ name = '', port = 0, protocol = 'TCP', appProtocol = '' }) =>
    JSON.stringify([name, protocol, port, appProtocol]),
  );
  return `${family} ${texts.sort().join()}`;
}
