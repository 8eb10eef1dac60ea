/**
 * The judgement of the Job controller (kubernetes: pkg/controller/job): which pods to make and end, and what to
 * report. Ended pods are counted exactly once: their uid is noted in the status first, then their tracking finalizer
 * is taken off, and only then the count goes up (KEP-2307). Pure.
 */
import { formatTime, parseTime } from '../objects/index.js';
import type { Job, JobCondition, JobStatus } from '../objects/types/batch.js';
import type { Pod } from '../objects/types/core.js';
import { formatIndexes, parseIndexes } from './completion-indexes.js';
import { controllerLimits } from './limits.js';
import { isReady } from './pods.js';

export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';
export const indexAnnotation = 'batch.kubernetes.io/job-completion-index';

export interface JobDecision {
  readonly status: JobStatus;
  /** Pods to make; of an indexed job each has its index. */
  readonly create: readonly (number | undefined)[];
  readonly remove: readonly Pod[];
  /** Ended pods whose uid the status has noted: they may go. */
  readonly untrack: readonly Pod[];
  readonly requeueAfterMs?: number;
}

interface Ending {
  readonly type: 'Complete' | 'Failed';
  readonly reason: string;
  readonly message: string;
}

/** `pods`: those that the job controls. */
export function decideJob(job: Job, pods: readonly Pod[], nowMs: number): JobDecision {
  const old = job.status ?? {};
  const counted = count(job, pods);
  const alive = pods.filter((pod) => !hasEnded(pod));
  const active = alive.filter((pod) => !pod.metadata?.deletionTimestamp);
  const suspended = job.spec?.suspend === true;
  const isOver = isFinished(job);
  const startTime = suspended || isOver ? old.startTime : (old.startTime ?? formatTime(nowMs));
  const ending = isOver ? undefined : endingOf(job, counted, pods, active, startTime, nowMs);
  const stops = isOver || ending !== undefined || suspended;
  const plan = stops ? { create: [], remove: active } : sizing(job, counted, active, pods, nowMs);
  const settled = counted.uncounted.succeeded.length + counted.uncounted.failed.length === 0;
  const isDone = ending !== undefined && settled && alive.length === 0;
  const status: JobStatus = {
    ...counted.status,
    active: stops ? 0 : active.length,
    ready: active.filter(isReady).length,
    terminating: alive.length - active.length,
    ...(startTime !== undefined && !suspended && { startTime }),
    ...(isDone && ending.type === 'Complete' && { completionTime: formatTime(nowMs) }),
    ...(old.completionTime !== undefined && { completionTime: old.completionTime }),
    conditions: conditions(old.conditions ?? [], ending, isDone, suspended, nowMs),
  };
  const deadline = startTime === undefined ? undefined : deadlineMs(job, startTime);
  const waits = [plan.waitMs, deadline === undefined || stops ? undefined : deadline - nowMs];
  const requeueAfterMs = waits
    .filter((ms): ms is number => ms !== undefined && ms > 0)
    .sort((a, b) => a - b)[0];
  return {
    status,
    create: plan.create,
    remove: plan.remove,
    untrack: pods.filter((pod) => isTracked(pod) && counted.noted.has(pod.metadata?.uid ?? '')),
    ...(requeueAfterMs !== undefined && { requeueAfterMs }),
  };
}

export function isFinished(job: Job): boolean {
  return (
    job.status?.conditions?.some(
      ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
    ) ?? false
  );
}

/** When a finished job may be deleted; undefined: never by itself. */
export function expiryMs(job: Job): number | undefined {
  const ttl = job.spec?.ttlSecondsAfterFinished;
  const end = job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
  if (ttl === undefined || !end?.lastTransitionTime) return undefined;
  return parseTime(end.lastTransitionTime) + ttl * 1000;
}

interface Counted {
  readonly status: Pick<JobStatus, 'succeeded' | 'failed' | 'completedIndexes' | 'uncountedTerminatedPods'>;
  readonly uncounted: { readonly succeeded: readonly string[]; readonly failed: readonly string[] };
  /** Uids that the stored status knows already. */
  readonly noted: ReadonlySet<string>;
  readonly succeeded: number;
  readonly failed: number;
  readonly indexes: ReadonlySet<number>;
}

function count(job: Job, pods: readonly Pod[]): Counted {
  const old = job.status ?? {};
  const before = old.uncountedTerminatedPods ?? {};
  const noted = new Set([...(before.succeeded ?? []), ...(before.failed ?? [])]);
  const tracked = new Map(pods.filter(isTracked).map((pod) => [pod.metadata?.uid ?? '', pod]));
  const keep = (uids: readonly string[] = []) => uids.filter((uid) => tracked.has(uid));
  const ended = [...tracked].filter(([uid, pod]) => hasEnded(pod) && !noted.has(uid));
  const good = ended.filter(([, pod]) => pod.status?.phase === 'Succeeded');
  const bad = ended.filter(([, pod]) => pod.status?.phase !== 'Succeeded');
  const uncounted = {
    succeeded: [...keep(before.succeeded), ...good.map(([uid]) => uid)],
    failed: [...keep(before.failed), ...bad.map(([uid]) => uid)],
  };
  const gone = (uids: readonly string[] = []) => uids.filter((uid) => !tracked.has(uid)).length;
  const indexes = parseIndexes(old.completedIndexes);
  const isIndexed = job.spec?.completionMode === 'Indexed';
  for (const pod of pods) {
    const index = indexOf(pod);
    const isSuccess = pod.status?.phase === 'Succeeded';
    if (isIndexed && isSuccess && index !== undefined && index < (job.spec?.completions ?? 0))
      indexes.add(index);
  }
  const countedSuccess = (old.succeeded ?? 0) + gone(before.succeeded);
  const counts = {
    succeeded: isIndexed ? indexes.size : countedSuccess,
    failed: (old.failed ?? 0) + gone(before.failed),
  };
  return {
    status: {
      ...counts,
      ...(isIndexed && indexes.size > 0 && { completedIndexes: formatIndexes(indexes) }),
      uncountedTerminatedPods: {
        ...(uncounted.succeeded.length > 0 && { succeeded: uncounted.succeeded }),
        ...(uncounted.failed.length > 0 && { failed: uncounted.failed }),
      },
    },
    uncounted,
    noted,
    succeeded: isIndexed ? indexes.size : countedSuccess + uncounted.succeeded.length,
    failed: counts.failed + uncounted.failed.length,
    indexes,
  };
}

function endingOf(
  job: Job,
  counted: Counted,
  pods: readonly Pod[],
  active: readonly Pod[],
  startTime: string | undefined,
  nowMs: number,
): Ending | undefined {
  const { completions, backoffLimit = 6, suspend } = job.spec ?? {};
  // What was decided before stays decided while the last pods end.
  const decided = job.status?.conditions?.find(
    ({ type, status }) => (type === 'SuccessCriteriaMet' || type === 'FailureTarget') && status === 'True',
  );
  if (decided) {
    const { reason = '', message = '' } = decided;
    return { type: decided.type === 'FailureTarget' ? 'Failed' : 'Complete', reason, message };
  }
  if (counted.failed > backoffLimit || tooManyRestarts(job, pods, backoffLimit)) {
    const message = 'Job has reached the specified backoff limit';
    return { type: 'Failed', reason: 'BackoffLimitExceeded', message };
  }
  const deadline = startTime === undefined || suspend ? undefined : deadlineMs(job, startTime);
  if (deadline !== undefined && nowMs >= deadline) {
    const message = 'Job was active longer than specified deadline';
    return { type: 'Failed', reason: 'DeadlineExceeded', message };
  }
  // Without `completions` the pods share the work: one success means that it is done, once all have ended.
  const isComplete =
    completions === undefined
      ? counted.succeeded > 0 && active.length === 0
      : counted.succeeded >= completions;
  if (!isComplete) return undefined;
  return {
    type: 'Complete',
    reason: 'CompletionsReached',
    message: 'Reached expected number of succeeded pods',
  };
}

function tooManyRestarts(job: Job, pods: readonly Pod[], backoffLimit: number): boolean {
  if (job.spec?.template.spec?.restartPolicy !== 'OnFailure') return false;
  let restarts = 0;
  for (const { status } of pods) {
    if (status?.phase !== 'Running' && status?.phase !== 'Pending') continue;
    const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
    for (const container of all) restarts += container.restartCount;
  }
  return backoffLimit === 0 ? restarts > 0 : restarts >= backoffLimit;
}

interface Sizing {
  readonly create: readonly (number | undefined)[];
  readonly remove: readonly Pod[];
  readonly waitMs?: number;
}

function sizing(
  job: Job,
  counted: Counted,
  active: readonly Pod[],
  pods: readonly Pod[],
  nowMs: number,
): Sizing {
  const { parallelism = 1, completions, completionMode } = job.spec ?? {};
  // Pods that are still ending count as well: two of one index must not run side by side.
  const going = pods.filter((pod) => !hasEnded(pod) && pod.metadata?.deletionTimestamp).length;
  const wanted =
    completions === undefined
      ? counted.succeeded > 0
        ? active.length
        : parallelism
      : Math.min(parallelism, completions - counted.succeeded);
  const surplus = active.length - wanted;
  if (surplus > 0) return { create: [], remove: active.toReversed().slice(0, surplus) };
  const missing = Math.min(wanted - active.length - going, controllerLimits.podBurstMax);
  if (missing <= 0) return { create: [], remove: [] };
  const waitMs = backoffMs(counted.failed, pods, nowMs);
  if (waitMs > 0) return { create: [], remove: [], waitMs };
  if (completionMode !== 'Indexed') return { create: Array<undefined>(missing).fill(undefined), remove: [] };
  const taken = new Set(pods.filter((pod) => !hasEnded(pod)).map(indexOf));
  const free: number[] = [];
  for (let index = 0; index < (completions ?? 0) && free.length < missing; index += 1) {
    if (!counted.indexes.has(index) && !taken.has(index)) free.push(index);
  }
  return { create: free, remove: [] };
}

/** 10 s after the first failure, doubled with every further one, from when the last pod failed. */
function backoffMs(failed: number, pods: readonly Pod[], nowMs: number): number {
  if (failed === 0) return 0;
  const ends = pods.filter(({ status }) => status?.phase === 'Failed').map((pod) => endedAtMs(pod, nowMs));
  if (ends.length === 0) return 0;
  const { jobBackoffMinMs, jobBackoffMaxMs } = controllerLimits;
  const pause = Math.min(jobBackoffMinMs * 2 ** Math.min(failed - 1, 20), jobBackoffMaxMs);
  return Math.max(...ends) + pause - nowMs;
}

function endedAtMs({ status, metadata }: Pod, nowMs: number): number {
  const times = (status?.containerStatuses ?? [])
    .map(({ state }) => state?.terminated?.finishedAt)
    .filter((time): time is string => time !== undefined);
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime;
  const known = [...times, ...(times.length === 0 && ready ? [ready] : [])];
  if (known.length > 0) return Math.max(...known.map(parseTime));
  return metadata?.creationTimestamp ? parseTime(metadata.creationTimestamp) : nowMs;
}

function deadlineMs({ spec }: Job, startTime: string): number | undefined {
  const { activeDeadlineSeconds } = spec ?? {};
  return activeDeadlineSeconds === undefined
    ? undefined
    : parseTime(startTime) + activeDeadlineSeconds * 1000;
}

function conditions(
  before: readonly JobCondition[],
  ending: Ending | undefined,
  isDone: boolean,
  suspended: boolean,
  nowMs: number,
): JobCondition[] {
  const now = formatTime(nowMs);
  const all = [...before];
  const set = (type: string, status: string, reason: string, message: string) => {
    const at = all.findIndex((condition) => condition.type === type);
    if (at >= 0 && all[at]?.status === status) return;
    const times = { lastProbeTime: now, lastTransitionTime: now };
    all.splice(at >= 0 ? at : all.length, at >= 0 ? 1 : 0, { type, status, ...times, reason, message });
  };
  if (ending) {
    set(
      ending.type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget',
      'True',
      ending.reason,
      ending.message,
    );
    if (isDone) set(ending.type, 'True', ending.reason, ending.message);
  } else if (suspended) {
    set('Suspended', 'True', 'JobSuspended', 'Job suspended');
  } else if (all.some(({ type, status }) => type === 'Suspended' && status === 'True')) {
    set('Suspended', 'False', 'JobResumed', 'Job resumed');
  }
  return all;
}

export function hasEnded({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

function isTracked({ metadata }: Pod): boolean {
  return metadata?.finalizers?.includes(trackingFinalizer) ?? false;
}

function indexOf({ metadata }: Pod): number | undefined {
  const text = metadata?.annotations?.[indexAnnotation];
  return text === undefined ? undefined : Number(text);
}
