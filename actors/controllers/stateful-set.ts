/** StatefulSets: carries out what stateful-set-decision.ts decides; each pod has its name and its claims for good. */
import {
  controllerActor,
  type Informer,
  isAlreadyExists,
  keyOf,
  keysOf,
  persistentVolumeClaims,
  pods,
  statefulSets,
} from '../client/index.js';
import type { StatefulSet } from '../objects/types/apps.js';
import type { Pod, PodSpec, PodTemplateSpec, Volume } from '../objects/types/core.js';
import type { ChildSpec } from '../runtime/index.js';
import { inBatches } from './batches.js';
import type { ControllerContext } from './context.js';
import { controllerLimits } from './limits.js';
import { OwnedPods } from './owned-pods.js';
import { controllerOf, controllerReference } from './ownership.js';
import { OwnWrites } from './own-writes.js';
import { podFromTemplate } from './pod-from-template.js';
import { revisionHashLabel, Revisions } from './revisions.js';
import { sameStatus } from './same-status.js';
import { decideStatefulSet } from './stateful-set-decision.js';

export function statefulSetController(context: ControllerContext): ChildSpec<never> {
  const controller = new StatefulSetController(context);
  return controllerActor({
    name: 'statefulset',
    workers: controllerLimits.workers,
    sources: controller.sources(),
    reconcile: (key) => controller.reconcile(key),
  });
}

const kind = { apiVersion: 'apps/v1', kind: 'StatefulSet' } as const;

class StatefulSetController {
  readonly #context: ControllerContext;
  readonly #sets: Informer<StatefulSet>;
  readonly #pods: Informer<Pod>;
  readonly #revisions: Revisions;
  readonly #writes = new OwnWrites();
  readonly #owned: OwnedPods;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#sets = context.informers.informer(statefulSets);
    this.#pods = context.informers.informer(pods);
    this.#revisions = new Revisions(context, kind);
    this.#owned = new OwnedPods(context, kind, this.#writes);
  }

  sources() {
    const ownerKeys = (object: Pod) => {
      const controller = controllerOf(object);
      return controller?.kind === 'StatefulSet' ? [`${object.metadata?.namespace}/${controller.name}`] : [];
    };
    return [
      keysOf(this.#sets, (set) => [keyOf(set)]),
      keysOf(this.#pods, ownerKeys),
      keysOf(this.#revisions.informer, (revision) => ownerKeys(revision)),
    ];
  }

  async reconcile(key: string): Promise<{ requeueAfterMs: number } | void> {
    const set = this.#sets.get(key);
    if (!set) return this.#writes.forget(key);
    if (!this.#writes.seenBy(key, this.#pods)) return { requeueAfterMs: controllerLimits.ownWritesRetryMs };
    const refused = unsupported(set);
    if (refused !== undefined)
      return this.#context.events.event({ ...set, ...kind }, 'Warning', 'Unsupported', refused);
    const owned = this.#pods
      .inNamespace(set.metadata?.namespace ?? '')
      .filter((pod) => controllerOf(pod)?.uid === set.metadata?.uid);
    const update = this.#revisions.nameOf(set, this.#revisions.hashOf(set));
    if (!set.metadata?.deletionTimestamp) {
      const used = owned.map((pod) => pod.metadata?.labels?.[revisionHashLabel] ?? '');
      await this.#revisions.keep(set, new Set([...used, set.status?.currentRevision ?? '']));
    }
    const nowMs = this.#context.env.clock.nowMs();
    const decision = decideStatefulSet(set, owned, update, nowMs);
    await inBatches(decision.remove.length, (i) => this.#owned.remove(set, decision.remove[i]!));
    await inBatches(decision.create.length, (i) => {
      const { ordinal, revision } = decision.create[i]!;
      return this.#create(key, set, ordinal, revision, update);
    });
    if (!sameStatus(set.status, decision.status))
      await this.#context.client.updateStatus(statefulSets, { ...set, status: decision.status });
    if (decision.requeueAfterMs !== undefined) return { requeueAfterMs: decision.requeueAfterMs };
  }

  async #create(
    key: string,
    set: StatefulSet,
    ordinal: number,
    wanted: string,
    update: string,
  ): Promise<void> {
    const old = wanted === update ? undefined : this.#revisions.templateOf(set, wanted);
    const revision = old ? wanted : update;
    const template: PodTemplateSpec = old ?? set.spec?.template ?? {};
    const name = `${set.metadata?.name}-${ordinal}`;
    const volumes = await this.#claim(set, name);
    const pod = podFromTemplate(template, set, controllerReference(set, kind.apiVersion, kind.kind), {
      name,
      labels: {
        'statefulset.kubernetes.io/pod-name': name,
        'apps.kubernetes.io/pod-index': String(ordinal),
        [revisionHashLabel]: revision,
      },
      spec: identifiedSpec(template.spec ?? { containers: [] }, set, name, volumes),
    });
    await this.#owned.create(key, set, pod);
  }

  /** The pod's claims, which outlive it. */
  async #claim(set: StatefulSet, pod: string): Promise<Volume[]> {
    const volumes: Volume[] = [];
    for (const claim of set.spec?.volumeClaimTemplates ?? []) {
      const name = claim.metadata?.name ?? '';
      const claimName = `${name}-${pod}`;
      volumes.push({ name, persistentVolumeClaim: { claimName } });
      const { annotations, labels } = claim.metadata ?? {};
      const metadata = {
        name: claimName,
        namespace: set.metadata?.namespace ?? 'default',
        ...(annotations && { annotations }),
        labels: { ...labels, ...set.spec?.selector.matchLabels },
      };
      try {
        await this.#context.client.create(persistentVolumeClaims, {
          metadata,
          ...(claim.spec && { spec: claim.spec }),
        });
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
      }
    }
    return volumes;
  }
}

function identifiedSpec(spec: PodSpec, set: StatefulSet, name: string, volumes: readonly Volume[]): PodSpec {
  const others = (spec.volumes ?? []).filter((volume) => !volumes.some((each) => each.name === volume.name));
  const { serviceName } = set.spec ?? {};
  return {
    ...spec,
    hostname: name,
    ...(serviceName && { subdomain: serviceName }),
    ...(others.length + volumes.length > 0 && { volumes: [...others, ...volumes] }),
  };
}

/** Why a set cannot be run as it is written. */
function unsupported({ spec }: StatefulSet): string | undefined {
  const { whenDeleted = 'Retain', whenScaled = 'Retain' } = spec?.persistentVolumeClaimRetentionPolicy ?? {};
  if (whenDeleted !== 'Retain' || whenScaled !== 'Retain')
    return 'not supported here: spec.persistentVolumeClaimRetentionPolicy other than Retain';
  const { maxUnavailable = 1 } = spec?.updateStrategy?.rollingUpdate ?? {};
  if (maxUnavailable !== 1) return 'not supported here: spec.updateStrategy.rollingUpdate.maxUnavailable';
  return undefined;
}
