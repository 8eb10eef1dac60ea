/** What exec, attach, port-forward and proxies have in common: the pod, its node and container, the first letter. */
import type { ContainerSelector } from '../../kubelet/messages.js';
import type { Pod } from '../../objects/types/core.js';
import type { SessionRequest } from '../kubelet-session.js';
import type { ApiResponse } from '../request.js';
import type { RequestContext, ServerContext } from '../server-context.js';
import { badRequest, conflict, notFound } from '../status.js';
import { objectKey, resourcePrefix, type StoredResource } from '../storage.js';

export interface Target {
  /** '' when the pod has none yet. */
  readonly node: string;
  readonly pod: Pod;
  readonly selector: ContainerSelector;
}

const pods: StoredResource = { group: '', resource: 'pods' };

export function podAt(server: ServerContext, namespace: string, name: string): Pod | undefined {
  const entry = server.cache.resource(resourcePrefix(pods)).get(objectKey(pods, namespace, name));
  return entry?.object as Pod | undefined;
}

/** Throws 404. */
export function podOf(server: ServerContext, namespace: string, name: string): Pod {
  const pod = podAt(server, namespace, name);
  if (!pod) throw notFound(pods, name);
  return pod;
}

export async function targetOf({ server, info }: RequestContext): Promise<Target> {
  await server.cache.fresh();
  const pod = podOf(server, info.namespace, info.name);
  const container = containerOf(pod, info.query.get('container') ?? '');
  return {
    node: pod.spec?.nodeName ?? '',
    pod,
    selector: {
      namespace: info.namespace,
      pod: info.name,
      podUid: pod.metadata!.uid!,
      ...(container && { container }),
    },
  };
}

function containerOf({ metadata, spec }: Pod, asked: string): string | undefined {
  const name = metadata?.name ?? '';
  const containers = (spec?.containers ?? []).map((container) => container.name);
  const init = (spec?.initContainers ?? []).map((container) => container.name);
  const ephemeral = (spec?.ephemeralContainers ?? []).map((container) => container.name);
  if (asked !== '') {
    if ([...containers, ...init, ...ephemeral].includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  if (containers.length <= 1) return containers[0];
  const chosen = metadata?.annotations?.['kubectl.kubernetes.io/default-container'];
  if (chosen !== undefined && containers.includes(chosen)) return chosen;
  const others = init.length > 0 ? ` or one of the init containers: [${init.join(' ')}]` : '';
  throw badRequest(
    `a container name must be specified for pod ${name}, choose one of: [${containers.join(' ')}]${others}`,
  );
}

export interface ForwardTarget {
  readonly node: string;
  readonly pod: { readonly name: string; readonly uid: string };
  requestFor(port: number): SessionRequest;
}

/** The pod that ports are forwarded to, whatever the ports. */
export async function forwardTarget({ server, info }: RequestContext): Promise<ForwardTarget> {
  await server.cache.fresh();
  return forwardTo(podOf(server, info.namespace, info.name));
}

export function forwardTo({ metadata, spec }: Pod): ForwardTarget {
  const { name = '', namespace = '', uid = '' } = metadata ?? {};
  const node = spec?.nodeName ?? '';
  if (node === '') throw badRequest(`pod ${name} does not have a host assigned`);
  const target = { namespace, pod: name, podUid: uid };
  return { node, pod: { name, uid }, requestFor: (port) => ({ type: 'KubeletPortForward', target, port }) };
}

/** The node and first letter of an exec or attach session. */
export async function sessionOf(
  context: RequestContext,
): Promise<{ readonly node: string; readonly request: SessionRequest }> {
  const { info } = context;
  const { node, pod, selector } = await targetOf(context);
  if (node === '') throw badRequest(`pod ${info.name} does not have a host assigned`);
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') {
    throw badRequest(
      `cannot exec or attach to a container in a completed pod; current phase is ${pod.status.phase}`,
    );
  }
  const flag = (name: string) => info.query.get(name) === 'true' || info.query.get(name) === '1';
  const stdin = flag('stdin');
  const tty = flag('tty');
  switch (info.subresource) {
    case 'exec': {
      const command = info.query.getAll('command');
      if (command.length === 0) throw badRequest('you must specify at least one command for the container');
      return { node, request: { type: 'KubeletExec', target: selector, command, stdin, tty } };
    }
    case 'attach':
      return { node, request: { type: 'KubeletAttach', target: selector, stdin, tty } };
    default:
      throw conflict(context.resource, info.name, `${info.subresource} is not a session`);
  }
}

/** A plain request for what needs a full-duplex connection. */
export async function refuseSession(): Promise<ApiResponse> {
  throw badRequest('Upgrade request required');
}
