/**
 * All controllers under one supervisor, to be run while this machine leads: shared informers first, so that a restart of
 * theirs restarts everybody who reads from them.
 */
import {
  type ApiClient,
  createEventRecorder,
  createInformerFactory,
  fencedClient,
  informersChild,
} from '../client/index.js';
import type { ActorSystem, ChildSpec, SupervisorSpec } from '../runtime/index.js';
import type { ControllerContext } from './context.js';
import { daemonSetController } from './daemon-set.js';
import { deploymentController } from './deployment.js';
import { disruptionController } from './disruption.js';
import { endpointSliceController } from './endpoint-slice.js';
import { endpointsControllerSpec } from './endpoints.js';
import { garbageCollector } from './garbage-collector.js';
import { jobController } from './job.js';
import { namespaceController } from './namespace.js';
import { nodeLifecycleController } from './node-lifecycle.js';
import { podGarbageCollector } from './pod-gc.js';
import { replicaSetController, replicationControllerController } from './replicas.js';
import { rootCaController } from './root-ca.js';
import { serviceAccountController } from './service-account.js';
import { statefulSetController } from './stateful-set.js';
import { taintEvictionController } from './taint-eviction.js';

export interface ControllerManagerOptions {
  readonly system: ActorSystem;
  readonly client: ApiClient;
  /** Token of the lease under which the controllers write. */
  readonly fencing: string;
  /** A node that is silent for so long is unreachable; default 40 s. */
  readonly nodeGraceMs?: number;
  /** Certificates (PEM) for the ConfigMap kube-root-ca.crt of every namespace; without them there is none. */
  readonly rootCa?: string;
}

const controllers: readonly ((context: ControllerContext) => ChildSpec<never>)[] = [
  deploymentController,
  replicaSetController,
  replicationControllerController,
  endpointSliceController,
  endpointsControllerSpec,
  nodeLifecycleController,
  taintEvictionController,
  podGarbageCollector,
  namespaceController,
  serviceAccountController,
  garbageCollector,
  disruptionController,
  jobController,
  daemonSetController,
  statefulSetController,
];

export function controllerManagerSpec(options: ControllerManagerOptions): SupervisorSpec {
  const { system, client, fencing, nodeGraceMs, rootCa } = options;
  const fenced = fencedClient(client, fencing);
  const informers = createInformerFactory({ system, client: fenced, startPaused: true });
  const events = createEventRecorder({ system, client: fenced, component: 'controller-manager' });
  const context: ControllerContext = {
    env: system.env,
    client: fenced,
    informers,
    events,
    ...(nodeGraceMs !== undefined && { nodeGraceMs }),
  };
  const backoff = { minMs: 100, maxMs: 10_000, resetAfterMs: 60_000 };
  const intensity = { maxRestarts: 10, windowMs: 30_000 };
  return {
    id: 'controllers',
    strategy: 'rest-for-one',
    intensity,
    backoff,
    children: [
      informersChild(informers),
      {
        id: 'each',
        strategy: 'one-for-one',
        intensity,
        backoff,
        children: [
          ...controllers.map((controller) => controller(context)),
          ...(rootCa === undefined ? [] : [rootCaController(context, rootCa)]),
        ],
      },
    ],
  };
}
