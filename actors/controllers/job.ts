/**
 * Jobs: carries out what job-decision.ts decides, and deletes finished ones whose time to live is over
 * (kubernetes: job and ttl-after-finished controllers).
 */
import {
  controllerActor,
  type Informer,
  isConflict,
  isNotFound,
  jobs,
  keyOf,
  keysOf,
  pods,
  unlessGone,
} from '../client/index.js';
import type { Job } from '../objects/types/batch.js';
import type { Pod, PodSpec } from '../objects/types/core.js';
import type { ChildSpec } from '../runtime/index.js';
import { inBatches } from './batches.js';
import type { ControllerContext } from './context.js';
import { decideJob, expiryMs, indexAnnotation, isFinished, trackingFinalizer } from './job-decision.js';
import { controllerLimits } from './limits.js';
import { OwnedPods } from './owned-pods.js';
import { controllerOf, controllerReference } from './ownership.js';
import { OwnWrites } from './own-writes.js';
import { podFromTemplate } from './pod-from-template.js';
import { sameStatus } from './same-status.js';

export function jobController(context: ControllerContext): ChildSpec<never> {
  const controller = new JobController(context);
  return controllerActor({
    name: 'job',
    workers: controllerLimits.workers,
    sources: controller.sources(),
    reconcile: (key) => controller.reconcile(key),
  });
}

const kind = { apiVersion: 'batch/v1', kind: 'Job' } as const;

class JobController {
  readonly #context: ControllerContext;
  readonly #jobs: Informer<Job>;
  readonly #pods: Informer<Pod>;
  readonly #writes = new OwnWrites();
  readonly #owned: OwnedPods;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#jobs = context.informers.informer(jobs);
    this.#pods = context.informers.informer(pods);
    this.#owned = new OwnedPods(context, kind, this.#writes);
  }

  sources() {
    return [
      keysOf(this.#jobs, (job) => [keyOf(job)]),
      keysOf(this.#pods, (pod) => {
        const controller = controllerOf(pod);
        return controller?.kind === 'Job' ? [`${pod.metadata?.namespace}/${controller.name}`] : [];
      }),
    ];
  }

  async reconcile(key: string): Promise<{ requeueAfterMs: number } | void> {
    if (!this.#writes.seenBy(key, this.#pods)) return { requeueAfterMs: controllerLimits.ownWritesRetryMs };
    const job = this.#jobs.get(key);
    await this.#freeLostPods(key, job);
    if (!job || job.metadata?.deletionTimestamp) return this.#writes.forget(key);
    if (job.spec?.managedBy && job.spec.managedBy !== 'kubernetes.io/job-controller') return;
    const refused = unsupported(job);
    if (refused.length > 0) {
      const message = `not supported here: ${refused.map((field) => `spec.${field}`).join(', ')}`;
      return this.#context.events.event({ ...job, ...kind }, 'Warning', 'Unsupported', message);
    }
    const nowMs = this.#context.env.clock.nowMs();
    const owned = this.#podsOf(job);
    const decision = decideJob(job, owned, nowMs);
    // Uids are in the stored status before any finalizer goes: what is counted is never lost and never twice.
    if (!sameStatus(job.status, decision.status)) await this.#writeStatus(job, decision.status);
    await inBatches(decision.untrack.length, (i) => this.#untrack(key, decision.untrack[i]!));
    await inBatches(decision.remove.length, (i) => this.#owned.remove(job, decision.remove[i]!));
    await inBatches(decision.create.length, (i) => this.#create(key, job, decision.create[i]));
    if (decision.requeueAfterMs !== undefined) return { requeueAfterMs: decision.requeueAfterMs };
    return this.#expire(job, nowMs);
  }

  #podsOf(job: Job): Pod[] {
    return this.#pods
      .inNamespace(job.metadata?.namespace ?? '')
      .filter((pod) => controllerOf(pod)?.uid === job.metadata?.uid);
  }

  /** Pods of a job that is gone or going need not be counted any more. */
  async #freeLostPods(key: string, job: Job | undefined): Promise<void> {
    const [namespace = '', name = ''] = key.split('/');
    const isAlive = job !== undefined && !job.metadata?.deletionTimestamp;
    for (const pod of this.#pods.inNamespace(namespace)) {
      const controller = controllerOf(pod);
      if (controller?.kind !== 'Job' || controller.name !== name) continue;
      if (isAlive && controller.uid === job.metadata?.uid) continue;
      if (pod.metadata?.finalizers?.includes(trackingFinalizer)) await this.#untrack(key, pod);
    }
  }

  async #writeStatus(job: Job, status: Job['status'] & object): Promise<void> {
    const { client, events } = this.#context;
    await client.updateStatus(jobs, { ...job, status });
    const next = { ...job, ...kind, status };
    if (isFinished(job) || !isFinished(next)) return;
    const end = status.conditions?.find(({ type }) => type === 'Complete' || type === 'Failed');
    if (end?.type === 'Complete') events.event(next, 'Normal', 'Completed', 'Job completed');
    else events.event(next, 'Warning', end?.reason ?? 'Failed', end?.message ?? 'Job failed');
  }

  async #untrack(key: string, pod: Pod): Promise<void> {
    const { namespace, name = '', resourceVersion, finalizers = [] } = pod.metadata ?? {};
    if (!finalizers.includes(trackingFinalizer)) return;
    const left = finalizers.filter((finalizer) => finalizer !== trackingFinalizer);
    const patch = { metadata: { resourceVersion, finalizers: left.length > 0 ? left : null } };
    const untracked = await unlessGone(this.#context.client.patch(pods, namespace, name, 'merge', patch));
    if (untracked) this.#writes.wrote(key, untracked);
  }

  #create(key: string, job: Job, index: number | undefined): Promise<void> {
    const template = job.spec?.template ?? {};
    const reference = controllerReference(job, kind.apiVersion, kind.kind);
    const finalizers = [trackingFinalizer];
    if (index === undefined)
      return this.#owned.create(key, job, podFromTemplate(template, job, reference, { finalizers }));
    const name = job.metadata?.name ?? '';
    const mark = { [indexAnnotation]: String(index) };
    const pod = podFromTemplate(template, job, reference, {
      finalizers,
      generateName: `${name}-${index}-`,
      annotations: mark,
      labels: mark,
      ...(template.spec && { spec: indexedSpec(template.spec, name, index) }),
    });
    return this.#owned.create(key, job, pod);
  }

  async #expire(job: Job, nowMs: number): Promise<{ requeueAfterMs: number } | void> {
    const expiry = expiryMs(job);
    if (expiry === undefined) return;
    if (expiry > nowMs) return { requeueAfterMs: expiry - nowMs };
    const { namespace, name = '', uid = '', resourceVersion = '' } = job.metadata ?? {};
    try {
      await this.#context.client.delete(jobs, namespace, name, {
        propagationPolicy: 'Foreground',
        preconditions: { uid, resourceVersion },
      });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }
}

/** Fields that would change what happens, and that nobody here acts on: such a job does not start. */
function unsupported({ spec }: Job): string[] {
  const fields = ['backoffLimitPerIndex', 'maxFailedIndexes', 'podFailurePolicy', 'successPolicy'] as const;
  return fields.filter((field) => spec?.[field] !== undefined);
}

/** Each container knows its index, and the pod answers to a name of its own. */
function indexedSpec(spec: PodSpec, name: string, index: number): PodSpec {
  const variable = {
    name: 'JOB_COMPLETION_INDEX',
    valueFrom: { fieldRef: { fieldPath: `metadata.annotations['${indexAnnotation}']` } },
  };
  const withIndex = <C extends { env?: { name: string }[] }>(container: C): C => ({
    ...container,
    env: [...(container.env ?? []).filter((each) => each.name !== variable.name), variable],
  });
  return {
    ...spec,
    hostname: `${name}-${index}`,
    containers: spec.containers.map(withIndex),
    ...(spec.initContainers && { initContainers: spec.initContainers.map(withIndex) }),
  };
}
