/**
 * Objects that must exist at birth: namespaces, roles, priority classes, the service of the apiservers itself. Every
 * apiserver makes sure of them at its start and whichever is first wins; later only this server's endpoint is kept
 * up (kubernetes reference §2.5).
 */
import type { Timer } from '../../transport/index.js';
import type { KubeObject } from '../objects/meta.js';
import type { Endpoints, Service } from '../objects/types/core.js';
import type { EndpointSlice } from '../objects/types/discovery.js';
import { clusterRoleBindings, clusterRoles, roleBindings, roles } from './bootstrap-roles.js';
import { limits } from './limits.js';
import { applyDefaults } from './machinery.js';
import { jsonForm } from './negotiation.js';
import { CacheEntry } from './resource-cache.js';
import type { Identity } from './request.js';
import { requestInfo } from './request-info.js';
import type { RequestContext, ServerContext } from './server-context.js';
import { firstServiceAddress } from './service-allocation.js';
import { internalError, StatusError } from './status.js';
import { objectKey } from './storage.js';
import { transact } from './transact.js';
import { createFrom } from './verbs/create.js';

export interface Advertised {
  readonly address: string;
  readonly port: number;
}

interface Wanted {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly object: KubeObject;
}

const identity: Identity = { username: 'system:apiserver', groups: ['system:masters'] };

export class Bootstrap {
  done = false;
  readonly #server: ServerContext;
  readonly #advertise: Advertised | undefined;
  #stopped = true;
  #timer: Timer | undefined;

  constructor(server: ServerContext, advertise: Advertised | undefined) {
    this.#server = server;
    this.#advertise = advertise;
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #run(): Promise<void> {
    const { system, cache } = this.#server;
    try {
      await cache.reached(0);
      await cache.fresh();
      for (const wanted of birthObjects(this.#server.serviceCidr)) {
        if (this.#stopped) return;
        await this.#ensure(wanted);
      }
      if (this.#advertise) await this.#publish(this.#advertise);
      this.done = true;
      system.note('apiserver', 'objects of birth are there');
      if (this.#advertise) this.#again(limits.endpointRefreshMs);
    } catch (error) {
      if (this.#stopped) return;
      system.note('apiserver', 'objects of birth are missing', { error: String(error) });
      this.#again(limits.relistBackoffMs);
    }
  }

  #again(delayMs: number): void {
    if (this.#stopped) return;
    this.#timer = this.#server.system.env.clock.setTimer(delayMs, () => void this.#run());
  }

  async #ensure({ group, version, resource, object }: Wanted): Promise<void> {
    const context = this.#context(group, version, resource, object.metadata?.namespace ?? '');
    if (!context) return;
    const { namespace = '', name = '' } = object.metadata!;
    const key = objectKey(context.resource.storage, namespace, name);
    const { cache } = this.#server;
    if (
      cache.resource(key.slice(0, key.length - name.length - (namespace ? namespace.length + 1 : 0))).get(key)
    )
      return;
    const apiVersion = group ? `${group}/${version}` : version;
    try {
      await createFrom(context, { ...structuredClone(object), apiVersion, kind: context.resource.kind });
    } catch (error) {
      if (!(error instanceof StatusError) || error.reason !== 'AlreadyExists') throw error;
    }
  }

  /** A registry may serve less than everything: what it does not serve needs no objects. */
  #context(group: string, version: string, resource: string, namespace: string): RequestContext | undefined {
    const found = this.#server.registry.find(group, version, resource);
    if (!found) return undefined;
    const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
    const path = namespace ? `${root}/namespaces/${namespace}/${resource}` : `${root}/${resource}`;
    const request = { method: 'POST', path, query: '', headers: {} };
    const info = requestInfo(request);
    if (info.type !== 'resource') throw internalError(`${path} is not a resource`);
    return {
      server: this.#server,
      request,
      info,
      identity,
      resource: found,
      form: jsonForm,
      dryRun: false,
      fence: undefined,
      fieldManager: 'kube-apiserver',
      fieldValidation: 'Ignore',
      warnings: [],
    };
  }

  /** Adds this apiserver to the endpoints of default/kubernetes. */
  async #publish({ address, port }: Advertised): Promise<void> {
    const ports = [{ name: 'https', port, protocol: 'TCP' }];
    await this.#merge<Endpoints>('', 'v1', 'endpoints', 'Endpoints', {}, (endpoints) => {
      const addresses = new Set(
        endpoints.subsets?.flatMap((subset) =>
          samePort(subset.ports, port) ? (subset.addresses ?? []).map(({ ip }) => ip) : [],
        ),
      );
      addresses.add(address);
      const others = endpoints.subsets?.filter((subset) => !samePort(subset.ports, port)) ?? [];
      endpoints.subsets = [...others, { addresses: [...addresses].sort().map((ip) => ({ ip })), ports }];
    });
    // A slice has one set of ports; apiservers of one machine differ in them.
    await this.#merge<EndpointSlice>(
      'discovery.k8s.io',
      'v1',
      'endpointslices',
      'EndpointSlice',
      { 'kubernetes.io/service-name': 'kubernetes' },
      (slice) => {
        slice.addressType ??= 'IPv4';
        slice.ports ??= ports;
        if (!samePort(slice.ports, port)) return;
        const addresses = new Set((slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses));
        addresses.add(address);
        slice.endpoints = [...addresses]
          .sort()
          .map((each) => ({ addresses: [each], conditions: { ready: true } }));
      },
      `kubernetes-${port}`,
    );
  }

  async #merge<T extends KubeObject>(
    group: string,
    version: string,
    resource: string,
    kind: string,
    labels: Record<string, string>,
    change: (object: T) => void,
    sliceName?: string,
  ): Promise<void> {
    const namespace = 'default';
    const context = this.#context(group, version, resource, namespace);
    if (!context) return;
    const names = sliceName === undefined ? ['kubernetes'] : await this.#sliceNames(sliceName);
    const name = names[0]!;
    const key = objectKey(context.resource.storage, namespace, name);
    const fresh = (): KubeObject => ({
      apiVersion: group ? `${group}/${version}` : version,
      kind,
      metadata: {
        name,
        namespace,
        labels: { ...labels, 'endpointslice.kubernetes.io/skip-mirror': 'true' },
        uid: this.#server.system.env.uuid(),
        creationTimestamp: timestampOf(this.#server),
        ...(kind === 'EndpointSlice' && { generation: 1 }),
      },
    });
    await transact(context, { group, resource, name }, key, (current) => {
      const object = current ? structuredClone(current.object) : fresh();
      change(object as T);
      applyDefaults(context.resource, object);
      return { type: 'write', object };
    });
  }

  /** The slice called `kubernetes` serves the first port seen; further ports get slices of their own. */
  async #sliceNames(named: string): Promise<string[]> {
    const port = Number(named.slice('kubernetes-'.length));
    const of = { group: 'discovery.k8s.io', resource: 'endpointslices' };
    const entry: CacheEntry | undefined = await this.#server.storage.read(
      objectKey(of, 'default', 'kubernetes'),
    );
    const slice = entry?.object as EndpointSlice | undefined;
    return !slice || samePort(slice.ports, port) ? ['kubernetes'] : [named];
  }
}

function timestampOf(server: ServerContext): string {
  return `${new Date(server.system.env.clock.nowMs()).toISOString().slice(0, 19)}Z`;
}

function samePort(ports: readonly { readonly port?: number }[] | undefined, port: number): boolean {
  return ports?.[0]?.port === port;
}

function birthObjects(serviceCidr: string): Wanted[] {
  const of = (group: string, resource: string) => (object: KubeObject) => ({
    group,
    version: 'v1',
    resource,
    object,
  });
  const rbac = 'rbac.authorization.k8s.io';
  return [
    ...['kube-system', 'kube-public', 'kube-node-lease', 'default'].map((name) =>
      of('', 'namespaces')({ metadata: { name, labels: { 'kubernetes.io/metadata.name': name } } }),
    ),
    ...clusterRoles.map(of(rbac, 'clusterroles')),
    ...clusterRoleBindings.map(of(rbac, 'clusterrolebindings')),
    ...roles.map(of(rbac, 'roles')),
    ...roleBindings.map(of(rbac, 'rolebindings')),
    ...priorityClasses.map(of('scheduling.k8s.io', 'priorityclasses')),
    of('networking.k8s.io', 'servicecidrs')(serviceCidrObject(serviceCidr)),
    of('', 'services')(kubernetesService(serviceCidr)),
  ];
}

const priorityClasses: readonly KubeObject[] = [
  priorityClass(
    'system-cluster-critical',
    2_000_000_000,
    'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  ),
  priorityClass(
    'system-node-critical',
    2_000_001_000,
    'Used for system critical pods that must not be moved from their current node.',
  ),
];

function priorityClass(name: string, value: number, description: string): KubeObject {
  return { metadata: { name }, value, description, preemptionPolicy: 'PreemptLowerPriority' } as KubeObject;
}

function serviceCidrObject(cidr: string): KubeObject {
  return { metadata: { name: 'kubernetes' }, spec: { cidrs: [cidr] } } as KubeObject;
}

function kubernetesService(cidr: string): Service {
  const clusterIP = firstServiceAddress(cidr);
  return {
    metadata: {
      name: 'kubernetes',
      namespace: 'default',
      labels: { component: 'apiserver', provider: 'kubernetes' },
    },
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      sessionAffinity: 'None',
      ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 6443 }],
    },
  };
}
