/** What the actors of one kubelet share. */
import type { ApiClient, EventRecorder, Informer } from '../client/index.js';
import type { Node, Service } from '../objects/types/core.js';
import type { ContainerRuntime } from './container-runtime.js';
import type { KubeletLimits } from './limits.js';
import type { PodNetwork } from './pod-network.js';

export interface KubeletParts {
  readonly nodeName: string;
  readonly hostIP: string;
  readonly client: ApiClient;
  readonly runtime: ContainerRuntime;
  readonly network: PodNetwork;
  readonly events: EventRecorder;
  readonly services: Informer<Service>;
  readonly limits: KubeletLimits;
  readonly allocatable: NonNullable<Node['status']>['allocatable'];
  /** Containers may be given another user; only root can do that. */
  readonly mayChangeUser: boolean;
}
