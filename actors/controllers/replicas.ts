/**
 * ReplicaSet and ReplicationController: keep `replicas` pods that match the selector. One frame serves both kinds, as
 * upstream; the judgement is in replicas-decision.ts.
 */
import {
  controllerActor,
  type Informer,
  keyOf,
  keysOf,
  pods,
  replicaSets,
  replicationControllers,
  type Resource,
} from '../client/index.js';
import { labelSelectorFromMap, labelSelectorFromObject, type LabelSelector } from '../objects/index.js';
import type { OwnerReference } from '../objects/meta.js';
import type { ReplicaSet } from '../objects/types/apps.js';
import type { Pod, ReplicationController } from '../objects/types/core.js';
import type { ChildSpec } from '../runtime/index.js';
import { inBatches } from './batches.js';
import type { ControllerContext } from './context.js';
import { controllerLimits } from './limits.js';
import { OwnedPods } from './owned-pods.js';
import { adoptionPatch, controllerOf, controllerReference, releasePatch } from './ownership.js';
import { OwnWrites } from './own-writes.js';
import { podFromTemplate } from './pod-from-template.js';
import { decideReplicas, type ReplicaDecision, type Replicated, withFailure } from './replicas-decision.js';
import { sameStatus } from './same-status.js';

export function replicaSetController(context: ControllerContext): ChildSpec<never> {
  return replicaController(context, {
    name: 'replicaset',
    resource: replicaSets as Resource<Replicated>,
    apiVersion: 'apps/v1',
    selectorOf: (owner) => labelSelectorFromObject((owner as ReplicaSet).spec?.selector),
  });
}

export function replicationControllerController(context: ControllerContext): ChildSpec<never> {
  return replicaController(context, {
    name: 'replicationcontroller',
    resource: replicationControllers as Resource<Replicated>,
    apiVersion: 'v1',
    selectorOf: (owner) => labelSelectorFromMap((owner as ReplicationController).spec?.selector ?? {}),
  });
}

interface ReplicatedKind {
  readonly name: string;
  readonly resource: Resource<Replicated>;
  readonly apiVersion: string;
  selectorOf(owner: Replicated): LabelSelector;
}

function replicaController(context: ControllerContext, kind: ReplicatedKind): ChildSpec<never> {
  const owners = context.informers.informer(kind.resource);
  const podInformer = context.informers.informer(pods);
  const controller = new ReplicaController(context, kind, owners, podInformer);
  return controllerActor({
    name: kind.name,
    workers: controllerLimits.workers,
    sources: [
      keysOf(owners, (owner) => [keyOf(owner)]),
      keysOf(podInformer, (pod) => controller.ownersOf(pod)),
    ],
    reconcile: (key) => controller.reconcile(key),
  });
}

class ReplicaController {
  readonly #context: ControllerContext;
  readonly #kind: ReplicatedKind;
  readonly #owners: Informer<Replicated>;
  readonly #pods: Informer<Pod>;
  readonly #writes = new OwnWrites();
  readonly #owned: OwnedPods;

  constructor(
    context: ControllerContext,
    kind: ReplicatedKind,
    owners: Informer<Replicated>,
    podInformer: Informer<Pod>,
  ) {
    this.#context = context;
    this.#kind = kind;
    this.#owners = owners;
    this.#pods = podInformer;
    const { apiVersion, resource } = kind;
    this.#owned = new OwnedPods(context, { apiVersion, kind: resource.kind }, this.#writes);
  }

  /** The controller of a pod, or for an orphan everybody who would adopt it. */
  ownersOf(pod: Pod): string[] {
    const namespace = pod.metadata?.namespace ?? '';
    const controller = controllerOf(pod);
    if (controller) {
      return controller.kind === this.#kind.resource.kind ? [`${namespace}/${controller.name}`] : [];
    }
    return this.#owners
      .inNamespace(namespace)
      .filter((owner) => this.#kind.selectorOf(owner).matches(pod.metadata?.labels ?? {}))
      .map(keyOf);
  }

  async reconcile(key: string): Promise<{ requeueAfterMs: number } | void> {
    const owner = this.#owners.get(key);
    if (!owner) return this.#writes.forget(key);
    if (!this.#writes.seenBy(key, this.#pods)) return { requeueAfterMs: controllerLimits.ownWritesRetryMs };
    const nowMs = this.#context.env.clock.nowMs();
    const candidates = this.#pods.inNamespace(owner.metadata?.namespace ?? '');
    const decision = decideReplicas(owner, this.#kind.selectorOf(owner), candidates, nowMs);
    await this.#claim(owner, decision);
    let failure: unknown;
    try {
      await this.#scale(key, owner, decision);
    } catch (error) {
      // Reported in the status first; then the frame tries again.
      failure = error;
    }
    const status = withFailure(owner.status, decision, failure, nowMs);
    if (!sameStatus(owner.status, status)) {
      await this.#context.client.updateStatus(this.#kind.resource, { ...owner, status } as Replicated);
    }
    if (failure !== undefined) throw failure;
    if (decision.requeueAfterMs !== undefined) return { requeueAfterMs: decision.requeueAfterMs };
  }

  async #claim(owner: Replicated, { adopt, release }: ReplicaDecision): Promise<void> {
    const reference = this.#referenceTo(owner);
    const { client } = this.#context;
    for (const pod of adopt) {
      const { namespace, name = '' } = pod.metadata ?? {};
      await client.patch(pods, namespace, name, 'strategic', adoptionPatch(pod, reference));
    }
    for (const pod of release) {
      const { namespace, name = '' } = pod.metadata ?? {};
      await client.patch(pods, namespace, name, 'strategic', releasePatch(pod, owner.metadata?.uid));
    }
  }

  async #scale(key: string, owner: Replicated, { create, remove }: ReplicaDecision): Promise<void> {
    const reference = this.#referenceTo(owner);
    await inBatches(create, () =>
      this.#owned.create(key, owner, podFromTemplate(owner.spec?.template ?? {}, owner, reference)),
    );
    await inBatches(remove.length, (i) => this.#owned.remove(owner, remove[i]!));
  }

  #referenceTo(owner: Replicated): OwnerReference {
    return controllerReference(owner, this.#kind.apiVersion, this.#kind.resource.kind);
  }
}
