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
import type { Identity } from './request.js';
import { requestInfo } from './request-info.js';
import { nowText, type RequestContext, type ServerContext } from './server-context.js';
import { firstServiceAddress } from './service-allocation.js';
import { type GroupResource, internalError, StatusError } from './status.js';
import { objectKey, resourcePrefix } from './storage.js';
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
  readonly #servicePort: number;
  #stopped = true;
  #timer: Timer | undefined;
  #publishing = false;
  #stopListening: (() => void) | undefined;

  constructor(
    server: ServerContext,
    options: { readonly advertise: Advertised | undefined; readonly servicePort: number },
  ) {
    this.#server = server;
    this.#advertise = options.advertise;
    this.#servicePort = options.servicePort;
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#stopListening?.();
    this.#stopListening = undefined;
  }

  async #run(): Promise<void> {
    const { system, cache } = this.#server;
    try {
      await cache.reached(0);
      await cache.fresh();
      for (const wanted of birthObjects(this.#server.serviceCidr, this.#servicePort)) {
        if (this.#stopped) return;
        await this.#ensure(wanted);
      }
      if (this.#advertise) {
        await this.#announce(this.#advertise);
        await this.#publish();
        this.#follow();
      }
      this.done = true;
      system.note('apiserver', 'objects of birth are there');
      if (this.#advertise) this.#again(limits.endpointRefreshMs);
    } catch (error) {
      if (this.#stopped) return;
      system.note('apiserver', 'objects of birth are missing', { error: String(error) });
      this.#again(limits.relistBackoffMs);
    }
  }

  /** A dead apiserver leaves as soon as its announcement does. */
  #follow(): void {
    if (this.#stopListening) return;
    const told = () => {
      if (this.#stopped || this.#publishing) return;
      this.#publishing = true;
      void this.#publish()
        .catch((error: unknown) => {
          // The next round, within limits.endpointRefreshMs, tries again.
          this.#server.system.note('apiserver', 'endpoints not published', { error: String(error) });
        })
        .finally(() => {
          this.#publishing = false;
        });
    };
    this.#stopListening = this.#server.cache.listen(announcements, {
      changed: ({ previous, entry }) => {
        if (!previous || !entry) told();
      },
      reset: told,
    });
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

  /** Says under a lease that this apiserver is there; a dead one is forgotten when its lease runs out. */
  async #announce({ address, port }: Advertised): Promise<void> {
    const { storage, system } = this.#server;
    const lease = await storage.grantLease(limits.endpointTtlMs);
    await storage.announce(`${announcements}${address}:${port}`, system.node, lease);
  }

  /** Makes the endpoints of default/kubernetes those apiservers that are there. All come to the same result. */
  async #publish(): Promise<void> {
    const { cache } = this.#server;
    await cache.fresh();
    const ports = new Map<number, string[]>();
    for (const { key } of cache.resource(announcements).range(announcements)) {
      const [address = '', port = ''] = key.slice(announcements.length).split(':');
      ports.set(Number(port), [...(ports.get(Number(port)) ?? []), address]);
    }
    const live = [...ports].sort(([a], [b]) => a - b);
    await this.#merge<Endpoints>(endpointsResource, 'kubernetes', {}, (endpoints) => {
      endpoints.subsets = live.map(([port, addresses]) => ({
        addresses: addresses.map((ip) => ({ ip })),
        ports: [{ name: 'https', port, protocol: 'TCP' }],
      }));
    });
    // A slice has one set of ports; apiservers of one machine differ in them.
    const wanted = new Map(
      live.map(([port], index) => [index === 0 ? 'kubernetes' : `kubernetes-${port}`, port]),
    );
    const slices = cache
      .resource(resourcePrefix(slicesResource))
      .range(`${resourcePrefix(slicesResource)}default/`)
      .map(({ object }) => object.metadata!)
      .filter(({ labels }) => labels?.[serviceName] === 'kubernetes');
    for (const name of new Set([...wanted.keys(), ...slices.map((metadata) => metadata.name!)])) {
      const port = wanted.get(name);
      await this.#merge<EndpointSlice>(slicesResource, name, { [serviceName]: 'kubernetes' }, (slice) => {
        slice.addressType = 'IPv4';
        if (port !== undefined) slice.ports = [{ name: 'https', port, protocol: 'TCP' }];
        slice.endpoints = (port === undefined ? [] : ports.get(port)!).map((address) => ({
          addresses: [address],
          conditions: { ready: true },
        }));
      });
    }
  }

  async #merge<T extends KubeObject>(
    { group, resource }: GroupResource,
    name: string,
    labels: Record<string, string>,
    change: (object: T) => void,
  ): Promise<void> {
    const namespace = 'default';
    const context = this.#context(group, 'v1', resource, namespace);
    if (!context) return;
    const key = objectKey(context.resource.storage, namespace, name);
    const fresh = (): KubeObject => ({
      metadata: {
        name,
        namespace,
        labels: { ...labels, 'endpointslice.kubernetes.io/skip-mirror': 'true' },
        uid: this.#server.system.env.uuid(),
        creationTimestamp: nowText(this.#server),
        ...(resource === 'endpointslices' && { generation: 1 }),
      },
    });
    await transact(context, { group, resource, name }, key, (current) => {
      const object = current ? structuredClone(current.object) : fresh();
      change(object as T);
      applyDefaults(context.resource, object);
      return { type: 'write', object };
    });
  }
}

/** Keys of apiservers that are there, as kube-apiserver keeps them. */
const announcements = '/registry/masterleases/';
const serviceName = 'kubernetes.io/service-name';
const endpointsResource: GroupResource = { group: '', resource: 'endpoints' };
const slicesResource: GroupResource = { group: 'discovery.k8s.io', resource: 'endpointslices' };

function birthObjects(serviceCidr: string, servicePort: number): Wanted[] {
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
    of('', 'services')(kubernetesService(serviceCidr, servicePort)),
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

function kubernetesService(cidr: string, port: number): Service {
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
      ports: [{ name: 'https', port, protocol: 'TCP', targetPort: 6443 }],
    },
  };
}
