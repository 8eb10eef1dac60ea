/**
 * What differs from kind to kind on the way into the store (Kubernetes: pkg/registry/*\/strategy.go): which parts a
 * create or an update may set, what starts a new generation, how deletion waits. Everything else is generic.
 */
import type { ResourceInfo } from '../objects/index.js';
import type { KubeObject } from '../objects/meta.js';
import type { Namespace, Pod } from '../objects/types/core.js';

export interface Strategy {
  /** The object has a status that only /status changes. */
  readonly hasStatus: boolean;
  readonly hasGeneration: boolean;
  /** PUT of what does not exist creates it. */
  readonly createOnUpdate: boolean;
  /** PUT without a resourceVersion overwrites. */
  readonly unconditionalUpdate: boolean;
  /** DELETE answers with the object instead of a Status. */
  readonly returnsDeleted: boolean;
  /** Seconds that a delete waits for whoever runs the object; undefined: the kind is deleted at once. */
  gracePeriodSeconds?(object: KubeObject, requested: number | undefined): number;
  prepareForUpdate?(next: KubeObject, old: KubeObject): void;
}

export function strategyFor(info: ResourceInfo): Strategy {
  const key = `${info.group}/${info.resource}`;
  const custom = info.definition === undefined;
  return {
    hasStatus: info.subresources.has('status') || key === '/pods',
    hasGeneration: custom || generationKinds.has(key),
    createOnUpdate: createOnUpdateKinds.has(key),
    unconditionalUpdate: !custom && !conditionalUpdateKinds.has(key),
    returnsDeleted: returnsDeletedKinds.has(key) || info.group === 'storage.k8s.io',
    ...special[key],
  };
}

const admissionKinds = [
  'admissionregistration.k8s.io/mutatingadmissionpolicies',
  'admissionregistration.k8s.io/mutatingadmissionpolicybindings',
  'admissionregistration.k8s.io/mutatingwebhookconfigurations',
  'admissionregistration.k8s.io/validatingadmissionpolicies',
  'admissionregistration.k8s.io/validatingadmissionpolicybindings',
  'admissionregistration.k8s.io/validatingwebhookconfigurations',
];

const generationKinds = new Set([
  '/pods',
  '/replicationcontrollers',
  ...admissionKinds,
  'apiextensions.k8s.io/customresourcedefinitions',
  'apps/daemonsets',
  'apps/deployments',
  'apps/replicasets',
  'apps/statefulsets',
  'batch/cronjobs',
  'batch/jobs',
  'discovery.k8s.io/endpointslices',
  'flowcontrol.apiserver.k8s.io/flowschemas',
  'flowcontrol.apiserver.k8s.io/prioritylevelconfigurations',
  'networking.k8s.io/ingresses',
  'networking.k8s.io/ingressclasses',
  'networking.k8s.io/networkpolicies',
  'policy/poddisruptionbudgets',
  'resource.k8s.io/deviceclasses',
  'resource.k8s.io/resourceslices',
  'scheduling.k8s.io/priorityclasses',
]);

const createOnUpdateKinds = new Set([
  '/endpoints',
  '/events',
  '/limitranges',
  '/services',
  'coordination.k8s.io/leases',
  'events.k8s.io/events',
  'rbac.authorization.k8s.io/clusterrolebindings',
  'rbac.authorization.k8s.io/clusterroles',
  'rbac.authorization.k8s.io/rolebindings',
  'rbac.authorization.k8s.io/roles',
]);

const conditionalUpdateKinds = new Set([
  ...admissionKinds,
  'apiextensions.k8s.io/customresourcedefinitions',
  'apiregistration.k8s.io/apiservices',
  'coordination.k8s.io/leases',
  'flowcontrol.apiserver.k8s.io/flowschemas',
  'flowcontrol.apiserver.k8s.io/prioritylevelconfigurations',
  'internal.apiserver.k8s.io/storageversions',
  'node.k8s.io/runtimeclasses',
  'policy/poddisruptionbudgets',
  'storage.k8s.io/csidrivers',
  'storage.k8s.io/csinodes',
  'storage.k8s.io/volumeattachments',
  'storagemigration.k8s.io/storageversionmigrations',
]);

const returnsDeletedKinds = new Set([
  '/persistentvolumeclaims',
  '/persistentvolumes',
  '/pods',
  '/podtemplates',
  '/resourcequotas',
  '/serviceaccounts',
]);

const special: Readonly<Record<string, Partial<Strategy>>> = {
  '/pods': {
    gracePeriodSeconds(object, requested) {
      const { spec, status } = object as Pod;
      let seconds = requested ?? spec?.terminationGracePeriodSeconds ?? 30;
      if (!spec?.nodeName) seconds = 0;
      if (status?.phase === 'Failed' || status?.phase === 'Succeeded') seconds = 0;
      return seconds < 0 ? 1 : seconds;
    },
  },
  '/namespaces': {
    prepareForUpdate(next, old) {
      const namespace = next as Namespace;
      const { spec } = old as Namespace;
      if (spec === undefined) delete namespace.spec;
      else namespace.spec = spec;
    },
  },
  'certificates.k8s.io/certificatesigningrequests': {
    /** The spec never changes after creation. */
    prepareForUpdate(next, old) {
      (next as { spec?: unknown }).spec = (old as { spec?: unknown }).spec;
    },
  },
};
