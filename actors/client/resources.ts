/** The built-in resources that our own components use, typed. */
import type { KubeObject } from '../objects/meta.js';
import type {
  ControllerRevision,
  DaemonSet,
  Deployment,
  ReplicaSet,
  StatefulSet,
} from '../objects/types/apps.js';
import type { Job } from '../objects/types/batch.js';
import type { Lease } from '../objects/types/coordination.js';
import type {
  ConfigMap,
  Endpoints,
  Event,
  Namespace,
  Node,
  PersistentVolumeClaim,
  Pod,
  ReplicationController,
  Secret,
  Service,
  ServiceAccount,
} from '../objects/types/core.js';
import type { EndpointSlice } from '../objects/types/discovery.js';
import type { PodDisruptionBudget } from '../objects/types/policy.js';
import type { Resource } from './api-client.js';

function define<T extends KubeObject>(
  groupVersion: string,
  resource: string,
  kind: string,
  namespaced = true,
): Resource<T> {
  const slash = groupVersion.indexOf('/');
  return {
    group: slash === -1 ? '' : groupVersion.slice(0, slash),
    version: groupVersion.slice(slash + 1),
    resource,
    kind,
    namespaced,
  };
}

export const configMaps = define<ConfigMap>('v1', 'configmaps', 'ConfigMap');
export const endpoints = define<Endpoints>('v1', 'endpoints', 'Endpoints');
export const events = define<Event>('v1', 'events', 'Event');
export const namespaces = define<Namespace>('v1', 'namespaces', 'Namespace', false);
export const nodes = define<Node>('v1', 'nodes', 'Node', false);
export const persistentVolumeClaims = define<PersistentVolumeClaim>(
  'v1',
  'persistentvolumeclaims',
  'PersistentVolumeClaim',
);
export const pods = define<Pod>('v1', 'pods', 'Pod');
export const replicationControllers = define<ReplicationController>(
  'v1',
  'replicationcontrollers',
  'ReplicationController',
);
export const secrets = define<Secret>('v1', 'secrets', 'Secret');
export const services = define<Service>('v1', 'services', 'Service');
export const serviceAccounts = define<ServiceAccount>('v1', 'serviceaccounts', 'ServiceAccount');
export const controllerRevisions = define<ControllerRevision>(
  'apps/v1',
  'controllerrevisions',
  'ControllerRevision',
);
export const daemonSets = define<DaemonSet>('apps/v1', 'daemonsets', 'DaemonSet');
export const deployments = define<Deployment>('apps/v1', 'deployments', 'Deployment');
export const replicaSets = define<ReplicaSet>('apps/v1', 'replicasets', 'ReplicaSet');
export const statefulSets = define<StatefulSet>('apps/v1', 'statefulsets', 'StatefulSet');
export const jobs = define<Job>('batch/v1', 'jobs', 'Job');
export const leases = define<Lease>('coordination.k8s.io/v1', 'leases', 'Lease');
export const endpointSlices = define<EndpointSlice>('discovery.k8s.io/v1', 'endpointslices', 'EndpointSlice');
export const podDisruptionBudgets = define<PodDisruptionBudget>(
  'policy/v1',
  'poddisruptionbudgets',
  'PodDisruptionBudget',
);
