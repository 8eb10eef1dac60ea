/**
 * Deployment: carries out what deployment-decision.ts decides, one step at a time, and reports. Replica sets are found
 * again by their template, so nothing but the API remembers where a rollout stands.
 */
import {
  controllerActor,
  deployments,
  type Informer,
  isAlreadyExists,
  keyOf,
  keysOf,
  pods,
  replicaSets,
  unlessGone,
} from '../client/index.js';
import { labelSelectorFromObject } from '../objects/index.js';
import type { Deployment, ReplicaSet } from '../objects/types/apps.js';
import type { Pod } from '../objects/types/core.js';
import type { ChildSpec } from '../runtime/index.js';
import type { ControllerContext } from './context.js';
import {
  decideDeployment,
  type DeploymentAction,
  type DeploymentDecision,
  hashLabel,
  inherited,
  revisionAnnotation,
  sameTemplate,
  sizeAnnotations,
  sizeOf,
} from './deployment-decision.js';
import { deploymentStatus } from './deployment-status.js';
import { controllerLimits } from './limits.js';
import { adoptionPatch, claim, controllerOf, controllerReference, releasePatch } from './ownership.js';
import { OwnWrites } from './own-writes.js';
import { sameStatus } from './same-status.js';
import { templateHash } from './template-hash.js';

export function deploymentController(context: ControllerContext): ChildSpec<never> {
  const controller = new DeploymentController(context);
  return controllerActor({
    name: 'deployment',
    workers: controllerLimits.workers,
    sources: controller.sources(),
    reconcile: (key) => controller.reconcile(key),
  });
}

class DeploymentController {
  readonly #context: ControllerContext;
  readonly #deployments: Informer<Deployment>;
  readonly #sets: Informer<ReplicaSet>;
  readonly #pods: Informer<Pod>;
  readonly #writes = new OwnWrites();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#deployments = context.informers.informer(deployments);
    this.#sets = context.informers.informer(replicaSets);
    this.#pods = context.informers.informer(pods);
  }

  sources() {
    return [
      keysOf(this.#deployments, (deployment) => [keyOf(deployment)]),
      keysOf(this.#sets, (set) => this.#ownersOf(set)),
      // Recreate waits for the last old pod to be gone.
      keysOf(this.#pods, (pod) => this.#recreateOwnersOf(pod)),
    ];
  }

  #ownersOf(set: ReplicaSet): string[] {
    const namespace = set.metadata?.namespace ?? '';
    const controller = controllerOf(set);
    if (controller) return controller.kind === 'Deployment' ? [`${namespace}/${controller.name}`] : [];
    return this.#deployments
      .inNamespace(namespace)
      .filter((owner) => labelSelectorFromObject(owner.spec?.selector).matches(set.metadata?.labels ?? {}))
      .map(keyOf);
  }

  #recreateOwnersOf(pod: Pod): string[] {
    return this.#deployments
      .inNamespace(pod.metadata?.namespace ?? '')
      .filter((owner) => owner.spec?.strategy?.type === 'Recreate')
      .filter((owner) => labelSelectorFromObject(owner.spec?.selector).matches(pod.metadata?.labels ?? {}))
      .map(keyOf);
  }

  async reconcile(key: string): Promise<{ requeueAfterMs: number } | void> {
    const deployment = this.#deployments.get(key);
    if (!deployment) return this.#writes.forget(key);
    if (!this.#writes.seenBy(key, this.#sets)) return { requeueAfterMs: controllerLimits.ownWritesRetryMs };
    const sets = await this.#claimSets(deployment);
    const decision = decideDeployment(deployment, sets, this.#hasOldPods(deployment, sets));
    for (const action of decision.actions) await this.#carryOut(key, deployment, action);
    await this.#writeRevision(deployment, decision);
    const nowMs = this.#context.env.clock.nowMs();
    const { status, requeueAfterMs } = deploymentStatus(deployment, decision.current, decision.old, nowMs);
    if (!sameStatus(deployment.status, status)) {
      await this.#context.client.updateStatus(deployments, { ...deployment, status });
    }
    if (requeueAfterMs !== undefined) return { requeueAfterMs };
  }

  async #claimSets(deployment: Deployment): Promise<ReplicaSet[]> {
    const selector = labelSelectorFromObject(deployment.spec?.selector);
    const candidates = this.#sets.inNamespace(deployment.metadata?.namespace ?? '');
    const { owned, adopt, release } = claim(deployment, selector, candidates);
    const reference = controllerReference(deployment, 'apps/v1', 'Deployment');
    const { client } = this.#context;
    const adopted: ReplicaSet[] = [];
    for (const set of adopt) {
      const { namespace, name = '' } = set.metadata ?? {};
      adopted.push(
        await client.patch(replicaSets, namespace, name, 'strategic', adoptionPatch(set, reference)),
      );
    }
    for (const set of release) {
      const { namespace, name = '' } = set.metadata ?? {};
      await client.patch(
        replicaSets,
        namespace,
        name,
        'strategic',
        releasePatch(set, deployment.metadata?.uid),
      );
    }
    return [...owned, ...adopted];
  }

  #hasOldPods(deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
    if (deployment.spec?.strategy?.type !== 'Recreate') return false;
    const old = new Set(
      sets
        .filter((set) => !sameTemplate(set.spec?.template, deployment.spec?.template))
        .map((set) => set.metadata?.uid),
    );
    return this.#pods
      .inNamespace(deployment.metadata?.namespace ?? '')
      .some(
        (pod) =>
          old.has(controllerOf(pod)?.uid) &&
          pod.status?.phase !== 'Succeeded' &&
          pod.status?.phase !== 'Failed',
      );
  }

  async #carryOut(key: string, deployment: Deployment, action: DeploymentAction): Promise<void> {
    const { client } = this.#context;
    switch (action.type) {
      case 'create':
        return this.#createSet(key, deployment, action.replicas, action.revision);
      case 'scale': {
        const { namespace, name = '' } = action.set.metadata ?? {};
        const patch = {
          metadata: {
            resourceVersion: action.set.metadata?.resourceVersion,
            annotations: sizeAnnotations(deployment),
          },
          spec: { replicas: action.replicas },
        };
        this.#writes.wrote(key, await client.patch(replicaSets, namespace, name, 'merge', patch));
        this.#report(deployment, name, sizeOf(action.set), action.replicas);
        return;
      }
      case 'annotate': {
        const { namespace, name = '' } = action.set.metadata ?? {};
        const patch = { metadata: { annotations: action.annotations } };
        this.#writes.wrote(key, await client.patch(replicaSets, namespace, name, 'merge', patch));
        return;
      }
      case 'delete': {
        const { namespace, name = '', uid = '' } = action.set.metadata ?? {};
        await unlessGone(client.delete(replicaSets, namespace, name, { preconditions: { uid } }));
        return;
      }
      default:
        action satisfies never;
    }
  }

  async #createSet(key: string, deployment: Deployment, replicas: number, revision: number): Promise<void> {
    const { client } = this.#context;
    const hash = templateHash(deployment.spec?.template, deployment.status?.collisionCount);
    const set = replicaSetFor(deployment, hash, replicas, revision);
    try {
      this.#writes.wrote(key, await client.create(replicaSets, set));
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const { namespace, name = '' } = set.metadata ?? {};
      const there = await client.get(replicaSets, namespace, name);
      const isOurs = controllerOf(there)?.uid === deployment.metadata?.uid;
      // Ours already, made by a leader before us: the informer will show it.
      if (isOurs && sameTemplate(there.spec?.template, deployment.spec?.template))
        return this.#writes.wrote(key, there);
      // Another template with the same hash: count the collision, which gives another name.
      const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
      await client.updateStatus(deployments, {
        ...deployment,
        status: { ...deployment.status, collisionCount },
      });
      return;
    }
    this.#report(deployment, set.metadata?.name ?? '', 0, replicas);
  }

  #report(deployment: Deployment, set: string, from: number, to: number): void {
    if (from === to) return;
    const subject = { ...deployment, apiVersion: 'apps/v1', kind: 'Deployment' };
    const message = `Scaled ${to > from ? 'up' : 'down'} replica set ${set} from ${from} to ${to}`;
    this.#context.events.event(subject, 'Normal', 'ScalingReplicaSet', message);
  }

  /** `kubectl rollout history` reads the revision from the deployment too. */
  async #writeRevision(deployment: Deployment, decision: DeploymentDecision): Promise<void> {
    const revision = String(decision.revision);
    if (deployment.metadata?.annotations?.[revisionAnnotation] === revision) return;
    const { namespace, name = '' } = deployment.metadata ?? {};
    const patch = { metadata: { annotations: { [revisionAnnotation]: revision } } };
    await this.#context.client.patch(deployments, namespace, name, 'merge', patch);
  }
}

function replicaSetFor(deployment: Deployment, hash: string, replicas: number, revision: number): ReplicaSet {
  const template = deployment.spec?.template ?? {};
  const selector = deployment.spec?.selector ?? {};
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${deployment.metadata?.name}-${hash}`,
      namespace: deployment.metadata?.namespace ?? 'default',
      labels,
      annotations: {
        ...inherited(deployment),
        ...sizeAnnotations(deployment),
        [revisionAnnotation]: String(revision),
      },
      ownerReferences: [controllerReference(deployment, 'apps/v1', 'Deployment')],
    },
    spec: {
      replicas,
      ...(deployment.spec?.minReadySeconds && { minReadySeconds: deployment.spec.minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}
