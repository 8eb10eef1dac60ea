export { createApiClient, type ApiClientOptions } from './actor-api-client.js';
export {
  type ApiClient,
  ApiError,
  type DeleteOptions,
  isAlreadyExists,
  isConflict,
  isNotFound,
  type KubeList,
  type ListOptions,
  type PatchType,
  type Resource,
  unlessGone,
  type WatchEventType,
  type WatchHandler,
  type WriteOptions,
} from './api-client.js';
export {
  controllerActor,
  type ControllerMessage,
  type ControllerOptions,
  type ControllerSource,
  keysOf,
  type ReconcileResult,
  type ReconcileTools,
  type SourceSink,
} from './controller.js';
export {
  createEventRecorder,
  type EventRecorder,
  type EventRecorderOptions,
  type EventType,
  referenceTo,
} from './events.js';
export { fencedClient } from './fenced-client.js';
export { type Informer, type InformerFactory, type InformerHandlers, keyOf } from './informer.js';
export { JsonLines } from './json-lines.js';
export { type ClientLimits, clientLimits, type EventLimits, type QueueLimits } from './limits.js';
export { groupVersionOf, pathOf } from './request-encoding.js';
export {
  configMaps,
  controllerRevisions,
  daemonSets,
  deployments,
  endpointSlices,
  endpoints,
  events,
  jobs,
  leases,
  namespaces,
  nodes,
  persistentVolumeClaims,
  podDisruptionBudgets,
  pods,
  replicaSets,
  replicationControllers,
  secrets,
  serviceAccounts,
  services,
  statefulSets,
} from './resources.js';
export {
  createInformerFactory,
  type InformerFactoryOptions,
  informersChild,
  type SharedInformerFactory,
} from './shared-informer.js';
export { WorkQueue, type WorkItem, type WorkQueueOptions } from './work-queue.js';
