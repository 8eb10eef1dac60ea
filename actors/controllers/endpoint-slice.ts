/**
 * EndpointSlices of services with a selector: carries out what endpoint-slice-decision.ts decides. Proxies follow
 * these, so every change of a pod is looked at as it comes, without batching.
 */
import {
  controllerActor,
  endpointSlices,
  type Informer,
  keyOf,
  keysOf,
  nodes,
  pods,
  services,
  unlessGone,
} from '../client/index.js';
import type { Node, Pod, Service } from '../objects/types/core.js';
import type { EndpointSlice } from '../objects/types/discovery.js';
import type { ChildSpec } from '../runtime/index.js';
import type { ControllerContext } from './context.js';
import {
  decideSlices,
  managedByLabel,
  serviceNameLabel,
  sliceController,
} from './endpoint-slice-decision.js';
import { controllerLimits } from './limits.js';
import { OwnWrites } from './own-writes.js';
import { hasOwnBackends, servicesOf } from './service-backends.js';

export function endpointSliceController(context: ControllerContext): ChildSpec<never> {
  const controller = new EndpointSliceController(context);
  return controllerActor({
    name: 'endpointslice',
    workers: controllerLimits.workers,
    sources: controller.sources(),
    reconcile: (key) => controller.reconcile(key),
  });
}

class EndpointSliceController {
  readonly #context: ControllerContext;
  readonly #services: Informer<Service>;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  readonly #slices: Informer<EndpointSlice>;
  readonly #writes = new OwnWrites();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#services = context.informers.informer(services);
    this.#pods = context.informers.informer(pods);
    this.#nodes = context.informers.informer(nodes);
    this.#slices = context.informers.informer(endpointSlices);
  }

  sources() {
    return [
      keysOf(this.#services, (service) => [keyOf(service)]),
      keysOf(this.#pods, (pod) => servicesOf(pod, this.#services)),
      keysOf(this.#slices, (slice) => (isOurs(slice) ? [serviceKeyOf(slice)] : [])),
    ];
  }

  async reconcile(key: string): Promise<{ requeueAfterMs: number } | void> {
    const service = this.#services.get(key);
    // The slices of a deleted service go by their owner reference.
    if (!service || service.metadata?.deletionTimestamp) return this.#writes.forget(key);
    if (!hasOwnBackends(service)) return;
    if (!this.#writes.seenBy(key, this.#slices)) return { requeueAfterMs: controllerLimits.ownWritesRetryMs };
    const namespace = service.metadata?.namespace ?? '';
    const slices = this.#slices
      .inNamespace(namespace)
      .filter((slice) => isOurs(slice) && serviceKeyOf(slice) === key);
    const decision = decideSlices(service, this.#pods.inNamespace(namespace), slices, (node) =>
      this.#zoneOf(node),
    );
    const { client } = this.#context;
    for (const slice of decision.update) this.#writes.wrote(key, await client.update(endpointSlices, slice));
    for (const slice of decision.create) this.#writes.wrote(key, await client.create(endpointSlices, slice));
    for (const { metadata } of decision.remove) {
      await unlessGone(client.delete(endpointSlices, metadata?.namespace, metadata?.name ?? ''));
    }
  }

  #zoneOf(node: string): string | undefined {
    return this.#nodes.get(node)?.metadata?.labels?.['topology.kubernetes.io/zone'];
  }
}

function isOurs(slice: EndpointSlice): boolean {
  return slice.metadata?.labels?.[managedByLabel] === sliceController;
}

function serviceKeyOf(slice: EndpointSlice): string {
  return `${slice.metadata?.namespace}/${slice.metadata?.labels?.[serviceNameLabel] ?? ''}`;
}
