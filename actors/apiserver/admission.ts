/**
 * Admission: what the cluster adds to or refuses of an object that its writer may write. A list of functions in the
 * order of kube-apiserver's plugins; each sees the defaulted object and may change it.
 */
import type { KubeObject } from '../objects/meta.js';
import type { Namespace, Pod, ServiceAccount, Toleration } from '../objects/types/core.js';
import type { PriorityClass } from '../objects/types/scheduling.js';
import { CacheEntry } from './resource-cache.js';
import type { RequestContext } from './server-context.js';
import { forbidden, notFound } from './status.js';
import { objectKey, type Requirement, resourcePrefix } from './storage.js';

type Admission = (context: RequestContext, object: KubeObject) => void | Promise<void>;

/** By `group/resource`; '*' is for all. */
const onCreate: readonly (readonly [string, Admission])[] = [
  ['/pods', serviceAccount],
  ['/pods', priority],
  ['/pods', defaultTolerations],
  ['certificates.k8s.io/certificatesigningrequests', requester],
  ['/persistentvolumeclaims', defaultStorageClass],
  ['networking.k8s.io/ingresses', defaultIngressClass],
];

export async function admitCreate(context: RequestContext, object: KubeObject): Promise<void> {
  const key = `${context.resource.group}/${context.resource.resource}`;
  for (const [of, admission] of onCreate) if (of === '*' || of === key) await admission(context, object);
}

const immortalNamespaces = new Set(['default', 'kube-system', 'kube-public']);

export function admitDelete(context: RequestContext, name: string): void {
  const { group, resource } = context.resource;
  if (group === '' && resource === 'namespaces' && immortalNamespaces.has(name)) {
    throw forbidden(context.resource, name, 'this namespace may not be deleted');
  }
}

/** The cached object, or the stored one when the cache does not know it yet. */
async function lookUp<T extends KubeObject>(
  context: RequestContext,
  of: { readonly group: string; readonly resource: string },
  namespace: string,
  name: string,
): Promise<T | undefined> {
  const { cache, storage } = context.server;
  const key = objectKey(of, namespace, name);
  const entry: CacheEntry | undefined =
    cache.resource(resourcePrefix(of)).get(key) ?? (await storage.read(key));
  return entry?.object as T | undefined;
}

const namespaces = { group: '', resource: 'namespaces' };

/**
 * NamespaceLifecycle: nothing is created in a namespace that is absent or going. What was read of the namespace
 * becomes a condition of the write, so that no create slips past a deletion that this server has not seen yet.
 * `stale`: keys whose cached version turned out to be old.
 */
export async function requireNamespace(
  context: RequestContext,
  { metadata = {} }: KubeObject,
  stale: ReadonlySet<string>,
): Promise<readonly Requirement[]> {
  const { resource, server } = context;
  const { namespace = '', name = '' } = metadata;
  if (!resource.namespaced) return [];
  const key = objectKey(namespaces, '', namespace);
  const cached = stale.has(key) ? undefined : server.cache.resource(resourcePrefix(namespaces)).get(key);
  const entry = cached ?? (await server.storage.read(key));
  if (!entry) throw notFound(namespaces, namespace);
  const found = entry.object as Namespace;
  if (found.metadata?.deletionTimestamp || found.status?.phase === 'Terminating') {
    throw forbidden(
      resource,
      name,
      `unable to create new content in namespace ${namespace} because it is being terminated`,
      [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    );
  }
  return [{ key, revision: entry.revision }];
}

const serviceAccounts = { group: '', resource: 'serviceaccounts' };
const mirrorAnnotation = 'kubernetes.io/config.mirror';
const tokenMountPath = '/var/run/secrets/kubernetes.io/serviceaccount';

async function serviceAccount(context: RequestContext, object: KubeObject): Promise<void> {
  const pod = object as Pod;
  const { spec } = pod;
  if (!spec || pod.metadata?.annotations?.[mirrorAnnotation]) return;
  const name = spec.serviceAccountName || 'default';
  spec.serviceAccountName = name;
  spec.serviceAccount = name;
  const namespace = pod.metadata?.namespace ?? '';
  const account = await lookUp<ServiceAccount>(context, serviceAccounts, namespace, name);
  if (!account) {
    // The controller that creates `default` may be a moment behind, or absent in a cluster of the API alone.
    if (name === 'default') return;
    throw forbidden(
      context.resource,
      pod.metadata?.name ?? '',
      `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`,
    );
  }
  if (account.imagePullSecrets && !spec.imagePullSecrets) spec.imagePullSecrets = account.imagePullSecrets;
  if (context.server.mountTokens) mountToken(context, pod, account);
}

/** Kubernetes: plugin/pkg/admission/serviceaccount, TokenVolumeSource. */
function mountToken(context: RequestContext, pod: Pod, account: ServiceAccount): void {
  const spec = pod.spec!;
  const automount = spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
  const bare = containers.filter(
    (container) => !container.volumeMounts?.some((mount) => mount.mountPath === tokenMountPath),
  );
  if (!automount || bare.length === 0) return;
  const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
  const { random } = context.server.system.env;
  const suffix = Array.from({ length: 5 }, () => alphabet[random.integer(alphabet.length)]).join('');
  const name = `kube-api-access-${suffix}`;
  spec.volumes = [
    ...(spec.volumes ?? []),
    {
      name,
      projected: {
        defaultMode: 420,
        sources: [
          { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
          { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
          {
            downwardAPI: {
              items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
            },
          },
        ],
      },
    },
  ];
  for (const container of bare) {
    container.volumeMounts = [
      ...(container.volumeMounts ?? []),
      { name, readOnly: true, mountPath: tokenMountPath },
    ];
  }
}

const priorityClasses = { group: 'scheduling.k8s.io', resource: 'priorityclasses' };

async function priority(context: RequestContext, object: KubeObject): Promise<void> {
  const { spec, metadata } = object as Pod;
  if (!spec) return;
  let chosen: PriorityClass | undefined;
  if (spec.priorityClassName) {
    chosen = await lookUp<PriorityClass>(context, priorityClasses, '', spec.priorityClassName);
    if (!chosen) {
      throw forbidden(
        context.resource,
        metadata?.name ?? '',
        `no PriorityClass with name ${spec.priorityClassName} was found`,
      );
    }
  } else {
    const cache = context.server.cache.resource(resourcePrefix(priorityClasses));
    const defaults = cache
      .range(cache.prefix)
      .map((entry) => entry.object as PriorityClass)
      .filter((each) => each.globalDefault === true)
      .sort((a, b) => (a.value ?? 0) - (b.value ?? 0));
    chosen = defaults[0];
    if (chosen) spec.priorityClassName = chosen.metadata!.name!;
  }
  const value = chosen?.value ?? 0;
  if (spec.priority !== undefined && spec.priority !== null && spec.priority !== value) {
    throw forbidden(
      context.resource,
      metadata?.name ?? '',
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; ` +
        `priority admission controller computed ${value} from the given PriorityClass name`,
    );
  }
  spec.priority = value;
  spec.preemptionPolicy ??= chosen?.preemptionPolicy ?? 'PreemptLowerPriority';
}

function defaultTolerations(_context: RequestContext, object: KubeObject): void {
  const { spec } = object as Pod;
  if (!spec) return;
  const tolerations: Toleration[] = spec.tolerations ?? [];
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    const tolerated = tolerations.some(
      (each) => (each.key === key || !each.key) && (each.effect === 'NoExecute' || !each.effect),
    );
    if (!tolerated) {
      tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 });
    }
  }
  spec.tolerations = tolerations;
}

/** A signing request is its sender's, whoever it says that it is of. */
function requester({ identity }: RequestContext, object: KubeObject): void {
  const request = object as KubeObject & { spec?: Record<string, unknown> };
  const { username, uid, groups, extra } = identity;
  const { username: _username, uid: _uid, groups: _groups, extra: _extra, ...rest } = request.spec ?? {};
  request.spec = { ...rest, username, groups, ...(uid && { uid }), ...(extra && { extra }) };
}

function defaultStorageClass(context: RequestContext, object: KubeObject): void {
  const claim = object as { spec?: { storageClassName?: string } };
  if (!claim.spec || claim.spec.storageClassName !== undefined) return;
  const name = annotatedDefault(
    context,
    { group: 'storage.k8s.io', resource: 'storageclasses' },
    'storageclass.kubernetes.io/is-default-class',
  );
  if (name) claim.spec.storageClassName = name;
}

function defaultIngressClass(context: RequestContext, object: KubeObject): void {
  const ingress = object as KubeObject & { spec?: { ingressClassName?: string } };
  if (ingress.spec?.ingressClassName !== undefined) return;
  if (ingress.metadata?.annotations?.['kubernetes.io/ingress.class'] !== undefined) return;
  const name = annotatedDefault(
    context,
    { group: 'networking.k8s.io', resource: 'ingressclasses' },
    'ingressclass.kubernetes.io/is-default-class',
  );
  if (name) ingress.spec = { ...ingress.spec, ingressClassName: name };
}

/** The newest object that its annotation makes the default. */
function annotatedDefault(
  context: RequestContext,
  of: { readonly group: string; readonly resource: string },
  annotation: string,
): string | undefined {
  const cache = context.server.cache.resource(resourcePrefix(of));
  const marked = cache
    .range(cache.prefix)
    .map((entry) => entry.object.metadata!)
    .filter((metadata) => metadata.annotations?.[annotation] === 'true')
    .sort((a, b) => ((a.creationTimestamp ?? '') < (b.creationTimestamp ?? '') ? 1 : -1));
  return marked[0]?.name;
}
