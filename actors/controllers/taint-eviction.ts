/**
 * Deletes pods from nodes whose NoExecute taints they do not tolerate, or no longer. The time that a pod tolerates
 * runs on our own clock from when we first saw it there.
 */
import { controllerActor, type Informer, isNotFound, keyOf, keysOf, nodes, pods } from '../client/index.js';
import type { Node, Pod } from '../objects/types/core.js';
import type { ChildSpec } from '../runtime/index.js';
import type { ControllerContext } from './context.js';
import { disruptPod } from './disrupted-pod.js';
import { controllerLimits } from './limits.js';
import { decideTaintEviction } from './taint-eviction-decision.js';

export function taintEvictionController(context: ControllerContext): ChildSpec<never> {
  const controller = new TaintEvictionController(context);
  return controllerActor({
    name: 'taint-eviction',
    workers: controllerLimits.workers,
    sources: controller.sources(),
    reconcile: (key) => controller.reconcile(key),
  });
}

interface Stay {
  readonly uid: string;
  readonly sinceMs: number;
}

class TaintEvictionController {
  readonly #context: ControllerContext;
  readonly #nodes: Informer<Node>;
  readonly #pods: Informer<Pod>;
  /** Pods that must leave some time, by key. */
  readonly #leaving = new Map<string, Stay>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#nodes = context.informers.informer(nodes);
    this.#pods = context.informers.informer(pods);
  }

  sources() {
    return [
      keysOf(this.#nodes, (node) => this.#podsOn(node)),
      keysOf(this.#pods, (pod) => {
        const key = keyOf(pod);
        const node = this.#nodes.get(pod.spec?.nodeName ?? '');
        return this.#leaving.has(key) || (node && evicts(node)) ? [key] : [];
      }),
    ];
  }

  #podsOn(node: Node): string[] {
    if (!evicts(node)) return [];
    const name = node.metadata?.name;
    return this.#pods
      .list()
      .filter((pod) => pod.spec?.nodeName === name)
      .map(keyOf);
  }

  async reconcile(key: string): Promise<{ requeueAfterMs: number } | void> {
    const pod = this.#pods.get(key);
    const node = this.#nodes.get(pod?.spec?.nodeName ?? '');
    const verdict =
      pod && node && !pod.metadata?.deletionTimestamp
        ? decideTaintEviction(pod, node.spec?.taints ?? [])
        : undefined;
    if (!pod || verdict?.type !== 'leave') {
      this.#leaving.delete(key);
      return;
    }
    const nowMs = this.#context.env.clock.monotonicMs();
    const uid = pod.metadata?.uid ?? '';
    const known = this.#leaving.get(key);
    const sinceMs = known?.uid === uid ? known.sinceMs : nowMs;
    this.#leaving.set(key, { uid, sinceMs });
    const leftMs = sinceMs + verdict.afterMs - nowMs;
    if (leftMs > 0) return { requeueAfterMs: leftMs };
    await this.#evict(pod);
    this.#leaving.delete(key);
  }

  async #evict(pod: Pod): Promise<void> {
    const { client, events, env } = this.#context;
    const { namespace, name = '', uid = '' } = pod.metadata ?? {};
    const message = `Marking for deletion Pod ${namespace}/${name}`;
    events.event({ ...pod, apiVersion: 'v1', kind: 'Pod' }, 'Normal', 'TaintManagerEviction', message);
    try {
      await disruptPod(client, pod, env.clock.nowMs(), {
        reason: 'DeletionByTaintManager',
        message: 'Taint manager: deleting due to NoExecute taint',
      });
      await client.delete(pods, namespace, name, { preconditions: { uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

function evicts(node: Node): boolean {
  return node.spec?.taints?.some(({ effect }) => effect === 'NoExecute') ?? false;
}
