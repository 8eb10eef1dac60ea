/**
 * Endpoints of services with a selector, for clients from before EndpointSlices. Endpoints that somebody else keeps
 * (by hand, the apiservers' own, records of leader election) are not touched.
 */
import {
  controllerActor,
  endpoints,
  type Informer,
  keyOf,
  keysOf,
  pods,
  services,
  unlessGone,
} from '../client/index.js';
import { leaderAnnotation } from '../leadership/index.js';
import type { Endpoints, Pod, Service } from '../objects/types/core.js';
import type { ChildSpec } from '../runtime/index.js';
import type { ControllerContext } from './context.js';
import { decideEndpoints, endpointsController, endpointsManagedByLabel } from './endpoints-decision.js';
import { controllerLimits } from './limits.js';
import { OwnWrites } from './own-writes.js';
import { hasOwnBackends, servicesOf } from './service-backends.js';

export function endpointsControllerSpec(context: ControllerContext): ChildSpec<never> {
  const controller = new EndpointsController(context);
  return controllerActor({
    name: 'endpoint',
    workers: controllerLimits.workers,
    sources: controller.sources(),
    reconcile: (key) => controller.reconcile(key),
  });
}

class EndpointsController {
  readonly #context: ControllerContext;
  readonly #services: Informer<Service>;
  readonly #pods: Informer<Pod>;
  readonly #endpoints: Informer<Endpoints>;
  readonly #writes = new OwnWrites();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#services = context.informers.informer(services);
    this.#pods = context.informers.informer(pods);
    this.#endpoints = context.informers.informer(endpoints);
  }

  sources() {
    return [
      keysOf(this.#services, (service) => [keyOf(service)]),
      keysOf(this.#pods, (pod) => servicesOf(pod, this.#services)),
      keysOf(this.#endpoints, (object) => (isLeaderRecord(object) ? [] : [keyOf(object)])),
    ];
  }

  async reconcile(key: string): Promise<{ requeueAfterMs: number } | void> {
    if (!this.#writes.seenBy(key, this.#endpoints))
      return { requeueAfterMs: controllerLimits.ownWritesRetryMs };
    const service = this.#services.get(key);
    const current = this.#endpoints.get(key);
    if (!service) {
      this.#writes.forget(key);
      return this.#removeLeftOver(current);
    }
    if (!hasOwnBackends(service) || service.metadata?.deletionTimestamp) return;
    if (current && isLeaderRecord(current)) return;
    const namespace = service.metadata?.namespace ?? '';
    const wanted = decideEndpoints(service, this.#pods.inNamespace(namespace), current);
    if (!wanted) return;
    const { client } = this.#context;
    const written = current ? await client.update(endpoints, wanted) : await client.create(endpoints, wanted);
    this.#writes.wrote(key, written);
  }

  async #removeLeftOver(current: Endpoints | undefined): Promise<void> {
    if (!current || current.metadata?.labels?.[endpointsManagedByLabel] !== endpointsController) return;
    if (isLeaderRecord(current)) return;
    const { namespace, name = '', uid = '' } = current.metadata ?? {};
    await unlessGone(this.#context.client.delete(endpoints, namespace, name, { preconditions: { uid } }));
  }
}

function isLeaderRecord(object: Endpoints): boolean {
  return object.metadata?.annotations?.[leaderAnnotation] !== undefined;
}
