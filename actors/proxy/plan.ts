/**
 * Which addresses a node's proxy listens on, and where each leads: a pure function of Services and
 * EndpointSlices (kube-proxy's ServiceMap and EndpointsMap). A listener without endpoints is not opened at
 * all, so that clients see `connection refused`, as with kube-proxy's REJECT rule.
 */
import type { Service, ServicePort } from '../objects/types/core.js';
import type { Endpoint, EndpointSlice } from '../objects/types/discovery.js';

export interface PlanOptions {
  readonly nodeName: string;
  /** Where NodePorts of this node are served. */
  readonly nodeIP: string;
}

export interface Backend {
  readonly address: string;
  readonly port: number;
}

export interface Listener {
  /** `tcp/127.96.0.10:80` */
  readonly key: string;
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  /** Key `namespace/name` of the service. */
  readonly service: string;
  /** Sorted, without repetition, never empty. */
  readonly backends: readonly Backend[];
  /** Session affinity by client address, for so long after the last connection. */
  readonly affinityMs?: number;
}

/** What cannot be done as the service asks; told in an event. */
export interface PlanProblem {
  readonly service: string;
  readonly reason: string;
  readonly message: string;
}

export interface Plan {
  /** Sorted by key. */
  readonly listeners: readonly Listener[];
  readonly problems: readonly PlanProblem[];
}

const serviceNameLabel = 'kubernetes.io/service-name';
const affinitySecondsDefault = 10_800;

export function plan(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  options: PlanOptions,
): Plan {
  const slicesOf = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const { namespace, labels } = slice.metadata ?? {};
    const key = `${namespace}/${labels?.[serviceNameLabel]}`;
    const list = slicesOf.get(key);
    if (list) list.push(slice);
    else slicesOf.set(key, [slice]);
  }
  const listeners = new Map<string, Listener>();
  const problems: PlanProblem[] = [];
  for (const service of services) {
    if (!hasVirtualIP(service)) continue;
    const key = `${service.metadata?.namespace}/${service.metadata?.name}`;
    for (const port of service.spec?.ports ?? []) {
      for (const listener of listenersOf(service, key, port, slicesOf.get(key) ?? [], options, problems)) {
        // The older service keeps an address that two claim; the API does not let that happen.
        if (!listeners.has(listener.key)) listeners.set(listener.key, listener);
      }
    }
  }
  const sorted = [...listeners.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  return { listeners: sorted, problems };
}

function hasVirtualIP({ spec }: Service): boolean {
  return (
    spec?.type !== 'ExternalName' &&
    spec?.clusterIP !== undefined &&
    spec.clusterIP !== '' &&
    spec.clusterIP !== 'None'
  );
}

function listenersOf(
  service: Service,
  key: string,
  port: ServicePort,
  slices: readonly EndpointSlice[],
  options: PlanOptions,
  problems: PlanProblem[],
): Listener[] {
  const spec = service.spec ?? {};
  const protocol = (port.protocol ?? 'TCP').toLowerCase();
  if (protocol !== 'tcp' && protocol !== 'udp') {
    const message = `port ${port.port}: the user-space proxy cannot serve ${port.protocol}: use TCP or UDP`;
    problems.push({ service: key, reason: 'ProtocolNotSupported', message });
    return [];
  }
  if (spec.internalTrafficPolicy === 'Local') {
    // All nodes of a machine share the virtual addresses, so that nobody knows from which node a client
    // comes.
    const message =
      'internalTrafficPolicy Local is not applied by the user-space proxy: endpoints of all nodes are used';
    problems.push({ service: key, reason: 'TrafficPolicyNotApplied', message });
  }
  const affinity =
    spec.sessionAffinity === 'ClientIP'
      ? {
          affinityMs: (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? affinitySecondsDefault) * 1000,
        }
      : {};
  const make = (address: string, number: number, backends: readonly Backend[]): Listener[] =>
    backends.length === 0
      ? []
      : [
          {
            key: `${protocol}/${address}:${number}`,
            protocol,
            address,
            port: number,
            service: key,
            backends,
            ...affinity,
          },
        ];
  const everywhere = backendsOf(slices, port, protocol, undefined);
  const virtual = (spec.clusterIPs ?? [spec.clusterIP ?? ''])
    .filter(isIPv4)
    .flatMap((ip) => make(ip, port.port, everywhere));
  const exposed = (spec.type === 'NodePort' || spec.type === 'LoadBalancer') && port.nodePort !== undefined;
  if (!exposed) return virtual;
  const outside =
    spec.externalTrafficPolicy === 'Local'
      ? backendsOf(slices, port, protocol, options.nodeName)
      : everywhere;
  return [...virtual, ...make(options.nodeIP, port.nodePort!, outside)];
}

/** Ready endpoints; when there are none, those that end but still serve (KEP-1669). */
function backendsOf(
  slices: readonly EndpointSlice[],
  port: ServicePort,
  protocol: string,
  onlyNode: string | undefined,
): Backend[] {
  const ready = new Map<string, Backend>();
  const ending = new Map<string, Backend>();
  for (const slice of slices) {
    if (slice.addressType !== 'IPv4') continue;
    const slicePort = slice.ports?.find(
      (one) => (one.name ?? '') === (port.name ?? '') && (one.protocol ?? 'TCP').toLowerCase() === protocol,
    );
    if (slicePort?.port === undefined) continue;
    for (const endpoint of slice.endpoints ?? []) {
      if (onlyNode !== undefined && endpoint.nodeName !== onlyNode) continue;
      const target = isReady(endpoint) ? ready : isEndingButServing(endpoint) ? ending : undefined;
      for (const address of endpoint.addresses) {
        target?.set(`${address}:${slicePort.port}`, { address, port: slicePort.port });
      }
    }
  }
  const chosen = ready.size > 0 ? ready : ending;
  return [...chosen].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, backend]) => backend);
}

function isReady({ conditions }: Endpoint): boolean {
  // Absent counts as ready (API conventions of EndpointSlice).
  return conditions?.ready ?? true;
}

function isEndingButServing({ conditions }: Endpoint): boolean {
  return conditions?.terminating === true && conditions.serving === true;
}

function isIPv4(address: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(address);
}
