/**
 * Deletes pods that nobody will ever end: on nodes that are gone, deleted before they had a node, on nodes out of
 * service, and ended ones above a bound. Looks at all of them every now and then, as upstream.
 */
import {
  type ControllerSource,
  controllerActor,
  type Informer,
  isNotFound,
  nodes,
  pods,
  unlessGone,
} from '../client/index.js';
import type { KubeObject } from '../objects/meta.js';
import type { Node, Pod } from '../objects/types/core.js';
import type { ChildSpec } from '../runtime/index.js';
import type { ControllerContext } from './context.js';
import { disruptPod } from './disrupted-pod.js';
import { controllerLimits } from './limits.js';
import { decidePodGarbage } from './pod-gc-decision.js';

export function podGarbageCollector(context: ControllerContext): ChildSpec<never> {
  const collector = new PodGarbageCollector(context);
  return controllerActor({
    name: 'pod-garbage-collector',
    workers: 1,
    sources: collector.sources(),
    reconcile: () => collector.sweep(),
  });
}

class PodGarbageCollector {
  readonly #context: ControllerContext;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  /** When a node that pods name was first missed. */
  readonly #missedAtMs = new Map<string, number>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#pods = context.informers.informer(pods);
    this.#nodes = context.informers.informer(nodes);
  }

  sources(): ControllerSource[] {
    return [
      sweepOnceSynced(this.#pods as Informer<KubeObject>),
      sweepOnceSynced(this.#nodes as Informer<KubeObject>),
    ];
  }

  async sweep(): Promise<{ requeueAfterMs: number }> {
    const { orphaned, unbound, outOfService, surplus } = decidePodGarbage(
      this.#pods.list(),
      (name) => this.#nodes.get(name),
      controllerLimits.terminatedPodsMax,
    );
    const gone = await this.#goneNodes(new Set(orphaned.map((pod) => pod.spec?.nodeName ?? '')));
    for (const pod of orphaned) {
      if (gone.has(pod.spec?.nodeName ?? '')) await this.#fail(pod, 'PodGC: node no longer exists');
    }
    for (const pod of outOfService) await this.#fail(pod, 'PodGC: node is out of service');
    for (const pod of [...unbound, ...surplus]) await this.#delete(pod);
    return { requeueAfterMs: controllerLimits.podGcMs };
  }

  /** A node counts as gone when it was missed for a while and the API says so too. */
  async #goneNodes(missed: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    const { client, env } = this.#context;
    const nowMs = env.clock.monotonicMs();
    for (const name of this.#missedAtMs.keys()) if (!missed.has(name)) this.#missedAtMs.delete(name);
    const gone = new Set<string>();
    for (const name of missed) {
      const sinceMs = this.#missedAtMs.get(name) ?? nowMs;
      this.#missedAtMs.set(name, sinceMs);
      if (nowMs - sinceMs < controllerLimits.podGcQuarantineMs) continue;
      try {
        await client.get(nodes, undefined, name);
      } catch (error) {
        if (!isNotFound(error)) throw error;
        gone.add(name);
      }
    }
    return gone;
  }

  async #fail(pod: Pod, message: string): Promise<void> {
    const { client, env } = this.#context;
    const { phase } = pod.status ?? {};
    try {
      if (phase !== 'Failed' && phase !== 'Succeeded') {
        const reason = 'DeletionByPodGC';
        await disruptPod(client, pod, env.clock.nowMs(), { reason, message, phase: 'Failed' });
      }
      await this.#delete(pod);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async #delete(pod: Pod): Promise<void> {
    const { namespace, name = '', uid = '' } = pod.metadata ?? {};
    const options = { gracePeriodSeconds: 0, preconditions: { uid } };
    await unlessGone(this.#context.client.delete(pods, namespace, name, options));
  }
}

/** One key for everything, named once; the sweep asks for its own repetition. */
function sweepOnceSynced(informer: Informer<KubeObject>): ControllerSource {
  return {
    synced: () => informer.hasSynced,
    attach(sink) {
      sink.enqueue('sweep');
      return informer.addHandlers({ synced: () => sink.synced() });
    },
    allKeys: () => ['sweep'],
  };
}
