/**
 * Empties namespaces that are being deleted, pods first, then lets them go through /finalize. What is left of them is
 * listed live, never from a cache.
 */
import {
  type ApiClient,
  controllerActor,
  type Informer,
  isConflict,
  isNotFound,
  keysOf,
  namespaces,
  pods,
  type Resource,
  unlessGone,
} from '../client/index.js';
import { builtinRegistry, type ResourceInfo } from '../objects/index.js';
import type { KubeObject } from '../objects/meta.js';
import type { Namespace, NamespaceStatus } from '../objects/types/core.js';
import type { ChildSpec } from '../runtime/index.js';
import { inBatches } from './batches.js';
import type { ControllerContext } from './context.js';
import { controllerLimits } from './limits.js';
import { deletionOrder, type Emptying, namespaceConditions, type Remaining } from './namespace-decision.js';

export function namespaceController(context: ControllerContext): ChildSpec<never> {
  const controller = new NamespaceController(context);
  return controllerActor({
    name: 'namespace',
    workers: controllerLimits.workers,
    sources: controller.sources(),
    reconcile: (key) => controller.reconcile(key),
  });
}

const finalizer = 'kubernetes';

class NamespaceController {
  readonly #context: ControllerContext;
  readonly #namespaces: Informer<Namespace>;
  readonly #waves: readonly (readonly ResourceInfo[])[] = deletionOrder(builtinRegistry());
  /** Looks in a row that found something left. */
  readonly #looks = new Map<string, number>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#namespaces = context.informers.informer(namespaces);
  }

  sources() {
    return [
      keysOf(this.#namespaces, (namespace) =>
        namespace.metadata?.deletionTimestamp ? [namespace.metadata.name ?? ''] : [],
      ),
      // The end of a pod is what a namespace mostly waits for.
      keysOf(this.#context.informers.informer(pods), ({ metadata }) => {
        const name = metadata?.namespace ?? '';
        return this.#namespaces.get(name)?.metadata?.deletionTimestamp ? [name] : [];
      }),
    ];
  }

  async reconcile(name: string): Promise<{ requeueAfterMs: number } | void> {
    const namespace = this.#namespaces.get(name);
    const isOurs = namespace?.spec?.finalizers?.includes(finalizer) ?? false;
    if (!namespace?.metadata?.deletionTimestamp || !isOurs) {
      this.#looks.delete(name);
      return;
    }
    const emptying = await this.#empty(name);
    const current = await this.#writeConditions(namespace, emptying);
    if (!current) return;
    if (emptying.failures.length > 0) throw new Error(emptying.failures.join('; '));
    if (emptying.remaining.some(({ count }) => count > 0)) {
      const looks = this.#looks.get(name) ?? 0;
      this.#looks.set(name, looks + 1);
      const { namespaceLookMinMs, namespaceLookMaxMs } = controllerLimits;
      return { requeueAfterMs: Math.min(namespaceLookMinMs * 2 ** Math.min(looks, 16), namespaceLookMaxMs) };
    }
    this.#looks.delete(name);
    await this.#finalize(current);
  }

  async #empty(namespace: string): Promise<Emptying> {
    const remaining: Remaining[] = [];
    const failures: string[] = [];
    for (const wave of this.#waves) {
      await inBatches(wave.length, async (i) => {
        const info = wave[i]!;
        try {
          remaining.push(await emptyResource(this.#context.client, namespace, info));
        } catch (error) {
          failures.push(`${info.resource}: ${error instanceof Error ? error.message : String(error)}`);
        }
      });
      if (failures.length > 0 || remaining.some(({ count }) => count > 0)) break;
    }
    return { remaining, failures: failures.sort() };
  }

  /** Undefined when the namespace is gone already. */
  async #writeConditions(namespace: Namespace, emptying: Emptying): Promise<Namespace | undefined> {
    const before = namespace.status?.conditions ?? [];
    const nowMs = this.#context.env.clock.nowMs();
    const conditions = namespaceConditions(before, emptying, nowMs);
    const isEmpty = emptying.failures.length === 0 && emptying.remaining.every(({ count }) => count === 0);
    // Nobody would see the conditions of a namespace that goes at once.
    if (conditions === before || (isEmpty && before.length === 0)) return namespace;
    const status: NamespaceStatus = {
      ...namespace.status,
      phase: 'Terminating',
      conditions: [...conditions],
    };
    return await unlessGone(this.#context.client.updateStatus(namespaces, { ...namespace, status }));
  }

  async #finalize(namespace: Namespace): Promise<void> {
    const finalizers = (namespace.spec?.finalizers ?? []).filter((each) => each !== finalizer);
    const { client } = this.#context;
    try {
      await client.update(
        namespaces,
        { ...namespace, spec: { ...namespace.spec, finalizers } },
        { subresource: 'finalize' },
      );
    } catch (error) {
      if (isNotFound(error) || isConflict(error)) return;
      throw error;
    }
  }
}

/** Asks all objects of a resource to go, and counts those that are still there then. */
async function emptyResource(client: ApiClient, namespace: string, info: ResourceInfo): Promise<Remaining> {
  const { group, version, resource, kind, namespaced } = info;
  const of: Resource = { group, version, resource, kind, namespaced };
  const before = await allOf(client, of, namespace);
  const due = before.filter(({ metadata }) => !metadata?.deletionTimestamp);
  await inBatches(due.length, async (i) => {
    const { name = '', uid = '' } = due[i]?.metadata ?? {};
    try {
      await client.delete(of, namespace, name, {
        propagationPolicy: 'Background',
        preconditions: { uid },
      });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  });
  const left = due.length === 0 ? before : await allOf(client, of, namespace);
  const finalizers: Record<string, number> = {};
  for (const name of left.flatMap(({ metadata }) => metadata?.finalizers ?? []))
    finalizers[name] = (finalizers[name] ?? 0) + 1;
  return { resource, group, count: left.length, finalizers };
}

async function allOf(client: ApiClient, resource: Resource, namespace: string): Promise<KubeObject[]> {
  const objects: KubeObject[] = [];
  let token: string | undefined;
  do {
    const limit = controllerLimits.listPageItems;
    const page = await client.list(resource, { namespace, limit, ...(token && { continue: token }) });
    objects.push(...page.items);
    token = page.metadata.continue;
  } while (token);
  return objects;
}
