/** DaemonSets: carries out what daemon-set-decision.ts decides. */
import { controllerActor, daemonSets, type Informer, keyOf, keysOf, nodes, pods } from '../client/index.js';
import { labelSelectorFromObject } from '../objects/index.js';
import type { DaemonSet } from '../objects/types/apps.js';
import type { Node, Pod } from '../objects/types/core.js';
import type { ChildSpec } from '../runtime/index.js';
import { inBatches } from './batches.js';
import type { ControllerContext } from './context.js';
import { daemonPodSpec, decideDaemonSet } from './daemon-set-decision.js';
import { controllerLimits } from './limits.js';
import { OwnedPods } from './owned-pods.js';
import { controllerOf, controllerReference } from './ownership.js';
import { OwnWrites } from './own-writes.js';
import { podFromTemplate } from './pod-from-template.js';
import { revisionHashLabel, Revisions } from './revisions.js';
import { sameStatus } from './same-status.js';

export function daemonSetController(context: ControllerContext): ChildSpec<never> {
  const controller = new DaemonSetController(context);
  return controllerActor({
    name: 'daemonset',
    workers: controllerLimits.workers,
    sources: controller.sources(),
    reconcile: (key) => controller.reconcile(key),
  });
}

const kind = { apiVersion: 'apps/v1', kind: 'DaemonSet' } as const;

class DaemonSetController {
  readonly #context: ControllerContext;
  readonly #sets: Informer<DaemonSet>;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  readonly #revisions: Revisions;
  readonly #writes = new OwnWrites();
  readonly #owned: OwnedPods;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#sets = context.informers.informer(daemonSets);
    this.#pods = context.informers.informer(pods);
    this.#nodes = context.informers.informer(nodes);
    this.#revisions = new Revisions(context, kind);
    this.#owned = new OwnedPods(context, kind, this.#writes);
  }

  sources() {
    return [
      keysOf(this.#sets, (set) => [keyOf(set)]),
      keysOf(this.#nodes, () => this.#sets.list().map(keyOf)),
      keysOf(this.#revisions.informer, (revision) => ownerKeys(revision)),
      keysOf(this.#pods, (pod) => ownerKeys(pod)),
    ];
  }

  async reconcile(key: string): Promise<{ requeueAfterMs: number } | void> {
    const set = this.#sets.get(key);
    if (!set) return this.#writes.forget(key);
    if (!this.#writes.seenBy(key, this.#pods)) return { requeueAfterMs: controllerLimits.ownWritesRetryMs };
    const hash = this.#revisions.hashOf(set);
    const selector = labelSelectorFromObject(set.spec?.selector);
    const owned = this.#pods
      .inNamespace(set.metadata?.namespace ?? '')
      .filter(
        (pod) => controllerOf(pod)?.uid === set.metadata?.uid && selector.matches(pod.metadata?.labels),
      );
    if (!set.metadata?.deletionTimestamp) {
      const hashes = owned.map((pod) => pod.metadata?.labels?.[revisionHashLabel] ?? '');
      await this.#revisions.keep(set, new Set(hashes.map((each) => this.#revisions.nameOf(set, each))));
    }
    const nowMs = this.#context.env.clock.nowMs();
    const decision = decideDaemonSet(set, this.#nodes.list(), owned, hash, nowMs);
    await inBatches(decision.remove.length, (i) => this.#owned.remove(set, decision.remove[i]!));
    await inBatches(decision.create.length, (i) => this.#create(key, set, decision.create[i]!, hash));
    if (!sameStatus(set.status, decision.status))
      await this.#context.client.updateStatus(daemonSets, { ...set, status: decision.status });
    if (decision.requeueAfterMs !== undefined) return { requeueAfterMs: decision.requeueAfterMs };
  }

  #create(key: string, set: DaemonSet, node: string, hash: string): Promise<void> {
    const template = set.spec?.template ?? {};
    const pod = podFromTemplate(template, set, controllerReference(set, kind.apiVersion, kind.kind), {
      labels: { [revisionHashLabel]: hash },
      spec: daemonPodSpec(template, node),
    });
    return this.#owned.create(key, set, pod);
  }
}

function ownerKeys(object: Pod): string[] {
  const controller = controllerOf(object);
  return controller?.kind === 'DaemonSet' ? [`${object.metadata?.namespace}/${controller.name}`] : [];
}
