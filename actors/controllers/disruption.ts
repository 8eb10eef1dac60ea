/** Keeps the status of PodDisruptionBudgets, from which the eviction subresource takes its leave. */
import {
  controllerActor,
  deployments,
  type Informer,
  keyOf,
  keysOf,
  podDisruptionBudgets,
  pods,
  replicaSets,
  replicationControllers,
  statefulSets,
} from '../client/index.js';
import { labelSelectorFromObject } from '../objects/index.js';
import type { KubeObject } from '../objects/meta.js';
import type { Pod } from '../objects/types/core.js';
import type { PodDisruptionBudget } from '../objects/types/policy.js';
import type { ChildSpec } from '../runtime/index.js';
import type { ControllerContext } from './context.js';
import { decideBudget } from './disruption-decision.js';
import { controllerLimits } from './limits.js';
import { controllerOf } from './ownership.js';
import { sameStatus } from './same-status.js';

export function disruptionController(context: ControllerContext): ChildSpec<never> {
  const controller = new DisruptionController(context);
  return controllerActor({
    name: 'disruption',
    workers: controllerLimits.workers,
    sources: controller.sources(),
    reconcile: (key) => controller.reconcile(key),
  });
}

type Scalable = KubeObject & { readonly spec?: { readonly replicas?: number } };

class DisruptionController {
  readonly #context: ControllerContext;
  readonly #budgets: Informer<PodDisruptionBudget>;
  readonly #pods: Informer<Pod>;
  readonly #scalables: Readonly<Record<string, Informer<Scalable>>>;

  constructor(context: ControllerContext) {
    const { informers } = context;
    this.#context = context;
    this.#budgets = informers.informer(podDisruptionBudgets);
    this.#pods = informers.informer(pods);
    this.#scalables = {
      Deployment: informers.informer(deployments) as Informer<Scalable>,
      ReplicaSet: informers.informer(replicaSets) as Informer<Scalable>,
      ReplicationController: informers.informer(replicationControllers) as Informer<Scalable>,
      StatefulSet: informers.informer(statefulSets) as Informer<Scalable>,
    };
  }

  sources() {
    return [
      keysOf(this.#budgets, (budget) => [keyOf(budget)]),
      keysOf(this.#pods, (pod) => this.#budgetsOf(pod)),
      // Their size counts; whose pods they are shows in the budget itself.
      ...Object.values(this.#scalables).map((informer) =>
        keysOf(informer, ({ metadata }) => this.#budgets.inNamespace(metadata?.namespace ?? '').map(keyOf)),
      ),
    ];
  }

  #budgetsOf(pod: Pod): string[] {
    return this.#budgets
      .inNamespace(pod.metadata?.namespace ?? '')
      .filter((budget) => labelSelectorFromObject(budget.spec?.selector).matches(pod.metadata?.labels))
      .map(keyOf);
  }

  async reconcile(key: string): Promise<{ requeueAfterMs: number } | void> {
    const budget = this.#budgets.get(key);
    if (!budget || budget.metadata?.deletionTimestamp) return;
    const selector = labelSelectorFromObject(budget.spec?.selector);
    const selected = this.#pods
      .inNamespace(budget.metadata?.namespace ?? '')
      .filter((pod) => selector.matches(pod.metadata?.labels));
    const nowMs = this.#context.env.clock.nowMs();
    const { status, requeueAfterMs } = decideBudget(budget, selected, this.#scaleOf(selected), nowMs);
    if (!sameStatus(budget.status, status))
      await this.#context.client.updateStatus(podDisruptionBudgets, { ...budget, status });
    if (requeueAfterMs !== undefined) return { requeueAfterMs };
  }

  /** How many pods the controllers of these pods want together; pods without one do not count. */
  #scaleOf(selected: readonly Pod[]): number | Error {
    const owners = new Map<string, number>();
    for (const pod of selected) {
      const top = this.#topControllerOf(pod);
      if (top instanceof Error) return top;
      if (top) owners.set(top.metadata?.uid ?? '', top.spec?.replicas ?? 1);
    }
    return [...owners.values()].reduce((sum, replicas) => sum + replicas, 0);
  }

  #topControllerOf(pod: KubeObject): Scalable | Error | undefined {
    const reference = controllerOf(pod);
    if (!reference) return undefined;
    const { kind, name, uid } = reference;
    const informer = this.#scalables[kind];
    const found = informer?.get(`${pod.metadata?.namespace}/${name}`);
    if (found?.metadata?.uid !== uid)
      return new Error(
        `found no controller with a scale for pod "${pod.metadata?.name}" (${kind} "${name}")`,
      );
    // A replica set of a deployment wants what the deployment wants.
    const above = kind === 'ReplicaSet' ? this.#topControllerOf(found) : undefined;
    return above === undefined || above instanceof Error ? found : above;
  }
}
