/**
 * Which port of which pod a request to `pods/proxy` or `services/proxy` is for. Names are `[scheme:]name[:port]`; a
 * service stands for one of its ready pods (kube-apiserver's ResourceLocation).
 */
import type { Pod, Service } from '../objects/types/core.js';
import type { EndpointSlice } from '../objects/types/discovery.js';
import type { RequestContext, ServerContext } from './server-context.js';
import { badRequest, notFound, unavailable } from './status.js';
import { objectKey, resourcePrefix, type StoredResource } from './storage.js';
import { type ForwardTarget, forwardTo, podAt, podOf } from './subresources/session.js';

export interface ProxyTarget extends ForwardTarget {
  readonly scheme: 'http' | 'https';
  readonly address: string;
  readonly port: number;
}

const services: StoredResource = { group: '', resource: 'services' };
const slices: StoredResource = { group: 'discovery.k8s.io', resource: 'endpointslices' };

export async function proxyTarget(context: RequestContext): Promise<ProxyTarget> {
  const { server, info } = context;
  await server.cache.fresh();
  const { scheme, name, port } = splitName(info.name, info.resource);
  if (info.resource === 'services') return serviceTarget(server, info.namespace, { scheme, name, port });
  const pod = podOf(server, info.namespace, name);
  return targetIn(pod, scheme, port === '' ? defaultPort(pod, scheme) : portNumber(port, info.name));
}

export interface SchemeNamePort {
  readonly scheme: 'http' | 'https';
  readonly name: string;
  readonly port: string;
}

/** `name`, `name:port`, `scheme:name:port`; scheme and port may be empty. Throws 400. */
export function splitName(text: string, resource: string): SchemeNamePort {
  const parts = text.split(':');
  const [scheme, name, port] = parts.length === 3 ? parts : ['', parts[0], parts[1] ?? ''];
  const known = scheme === '' || scheme === 'http' || scheme === 'https';
  if (parts.length > 3 || !known || !name) {
    throw badRequest(`invalid ${resource.replace(/s$/, '')} request ${JSON.stringify(text)}`);
  }
  return { scheme: scheme === 'https' ? 'https' : 'http', name, port: port ?? '' };
}

function serviceTarget(server: ServerContext, namespace: string, asked: SchemeNamePort): ProxyTarget {
  const { name, scheme } = asked;
  const entry = server.cache.resource(resourcePrefix(services)).get(objectKey(services, namespace, name));
  if (!entry) throw notFound(services, name);
  const portName = servicePortName(entry.object as Service, asked);
  const candidates: ProxyTarget[] = [];
  for (const slice of server.cache.resource(resourcePrefix(slices)).range(objectKey(slices, namespace, ''))) {
    const { metadata, endpoints = [], ports = [] } = slice.object as EndpointSlice;
    if (metadata?.labels?.['kubernetes.io/service-name'] !== name) continue;
    const port = ports?.find((each) => (each.name ?? '') === portName)?.port;
    if (port === undefined) continue;
    for (const { conditions, targetRef } of endpoints ?? []) {
      if (conditions?.ready === false || targetRef?.kind !== 'Pod') continue;
      const pod = podAt(server, namespace, targetRef.name ?? '');
      if (pod?.spec?.nodeName && pod.status?.podIP) candidates.push(targetIn(pod, scheme, port));
    }
  }
  const chosen = candidates[server.system.env.random.integer(Math.max(1, candidates.length))];
  if (!chosen) throw unavailable(`no endpoints available for service ${JSON.stringify(name)}`);
  return chosen;
}

/** A port's number stands for its name; without one, the service's only port is meant. */
function servicePortName({ spec }: Service, { name, port }: SchemeNamePort): string {
  const ports = spec?.ports ?? [];
  if (port === '') return ports.length === 1 ? (ports[0]!.name ?? '') : '';
  if (!/^\d+$/.test(port)) return port;
  const found = ports.find((each) => each.port === Number(port));
  if (found) return found.name ?? '';
  throw unavailable(`no service port ${port} found for service ${JSON.stringify(name)}`);
}

function targetIn(pod: Pod, scheme: 'http' | 'https', port: number): ProxyTarget {
  const address = pod.status?.podIP;
  if (!address) {
    const { phase = 'Pending' } = pod.status ?? {};
    throw unavailable(
      `error trying to reach service: pod ${pod.metadata?.name} has no address; it is ${phase}`,
    );
  }
  return { ...forwardTo(pod), scheme, address, port };
}

/** The first port that a container declares. */
function defaultPort({ spec }: Pod, scheme: 'http' | 'https'): number {
  const declared = spec?.containers.flatMap(({ ports }) => ports ?? [])[0];
  return declared?.containerPort ?? (scheme === 'https' ? 443 : 80);
}

function portNumber(text: string, name: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw badRequest(
    `invalid pod request ${JSON.stringify(name)}: the port must be a number between 1 and 65535`,
  );
}
