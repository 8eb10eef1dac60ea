/**
 * What has to happen next to a pod: a pure, level-triggered decision (kubelet's computePodActions). Given
 * the same view it says the same; what is under way is part of the view, so that it can be asked after
 * every event.
 */
import type { Container } from '../objects/types/core.js';
import { crashBackoffUntil, goDuration } from './backoff.js';
import type { ContainerRecord } from './container-runtime.js';
import {
  allContainers,
  initContainers,
  isAlive,
  isSidecar,
  isStarted,
  latest,
  mainContainers,
  memoryOf,
  type PodView,
  previous,
  sidecars,
} from './pod-view.js';

export type PodAction =
  /** Volumes and whatever else the containers need. */
  | { readonly type: 'PrepareSandbox' }
  | { readonly type: 'StartContainer'; readonly name: string; readonly attempt: number }
  | {
      readonly type: 'StopContainer';
      readonly name: string;
      readonly id: string;
      readonly graceMs: number;
      /** Of the `Killing` event; absent when only the grace period of a stop under way is shortened. */
      readonly message?: string;
    }
  | { readonly type: 'RemoveContainer'; readonly id: string }
  | { readonly type: 'FailPod'; readonly reason: string; readonly message: string }
  /** Every container has ended for good: release what the pod held, and finish the deletion. */
  | { readonly type: 'CleanUp' };

export interface Waiting {
  readonly reason: string;
  readonly message?: string;
}

export interface Decision {
  readonly actions: readonly PodAction[];
  /** Ask again then, at the latest. */
  readonly wakeAtMs?: number;
  /** Why containers wait that are not running. */
  readonly waiting: Readonly<Record<string, Waiting>>;
}

export function decide(view: PodView): Decision {
  const draft = new Draft(view);
  if (isEnding(view)) draft.end();
  else if (outcome(view) !== undefined) draft.finish();
  else draft.run();
  draft.removeOld();
  return draft.decision();
}

export function isEnding({ pod, memory }: PodView): boolean {
  return memory.removed || memory.failure !== undefined || pod.metadata?.deletionTimestamp !== undefined;
}

export type Outcome = 'Succeeded' | 'Failed';

/** How the pod ended, if all that it has to do is done. Sidecars may still run. */
export function outcome(view: PodView): Outcome | undefined {
  const { pod } = view;
  const phase = pod.status?.phase;
  if (phase === 'Succeeded' || phase === 'Failed') return phase;
  if (initFailed(view)) return 'Failed';
  const records = mainContainers(pod).map((container) => [container, latest(view, container.name)] as const);
  const over = records.every(
    ([container, record]) =>
      record?.state === 'exited' &&
      memoryOf(view.memory, container.name).operation === 'none' &&
      !restarts(view, container, record),
  );
  if (!over) return undefined;
  return records.every(([, record]) => record?.exitCode === 0) ? 'Succeeded' : 'Failed';
}

/** No container is running or about to. */
export function allEnded(view: PodView): boolean {
  return allContainers(view.pod).every(
    ({ name }) => !isAlive(latest(view, name)) && memoryOf(view.memory, name).operation === 'none',
  );
}

export function initDone(view: PodView): boolean {
  if (view.memory.initialised) return true;
  if (mainContainers(view.pod).some(({ name }) => latest(view, name) !== undefined)) return true;
  return initContainers(view.pod).every((container) =>
    isSidecar(container) ? isStarted(view, container.name) : succeeded(latest(view, container.name)),
  );
}

function initFailed(view: PodView): boolean {
  if (view.memory.initialised || restartPolicy(view) !== 'Never') return false;
  return initContainers(view.pod).some((container) => {
    const record = latest(view, container.name);
    return !isSidecar(container) && record?.state === 'exited' && record.exitCode !== 0;
  });
}

function restartPolicy({ pod }: PodView): string {
  return pod.spec?.restartPolicy ?? 'Always';
}

/** KEP-5307: a container's own policy and rules come before the pod's. */
function restarts(view: PodView, container: Container, record: ContainerRecord): boolean {
  const exitCode = record.exitCode ?? 137;
  for (const { action, exitCodes } of container.restartPolicyRules ?? []) {
    const listed = exitCodes?.values?.includes(exitCode) ?? false;
    const applies = exitCodes?.operator === 'NotIn' ? !listed : listed;
    if (action === 'Restart' && applies) return true;
  }
  switch (container.restartPolicy ?? restartPolicy(view)) {
    case 'Never':
      return false;
    case 'OnFailure':
      return exitCode !== 0;
    default:
      return true;
  }
}

function succeeded(record: ContainerRecord | undefined): boolean {
  return record?.state === 'exited' && record.exitCode === 0;
}

class Draft {
  readonly #view: PodView;
  readonly #actions: PodAction[] = [];
  readonly #waiting: Record<string, Waiting> = {};
  #wakeAtMs: number | undefined;

  constructor(view: PodView) {
    this.#view = view;
  }

  decision(): Decision {
    return {
      actions: this.#actions,
      waiting: this.#waiting,
      ...(this.#wakeAtMs === undefined ? {} : { wakeAtMs: this.#wakeAtMs }),
    };
  }

  run(): void {
    const { pod, memory, nowMs } = this.#view;
    const deadline = pod.spec?.activeDeadlineSeconds;
    if (deadline !== undefined) {
      const atMs = memory.acceptedAtMs + deadline * 1000;
      if (nowMs >= atMs) {
        const message = 'Pod was active on the node longer than the specified deadline';
        this.#actions.push({ type: 'FailPod', reason: 'DeadlineExceeded', message });
        return;
      }
      this.#wake(atMs);
    }
    if (memory.sandbox !== 'ready') return this.#prepare();
    this.#killFlagged();
    if (!this.#runInit()) {
      for (const { name } of mainContainers(pod)) this.#waiting[name] = { reason: 'PodInitializing' };
      return;
    }
    for (const container of mainContainers(pod)) this.#runMain(container);
  }

  /** Deleted, removed or failed: main containers first, all at once; then sidecars, the last one first. */
  end(): void {
    const { pod, memory } = this.#view;
    const grace = pod.metadata?.deletionGracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 30;
    const since = memory.endingSinceMs ?? this.#view.nowMs;
    this.#stopAll(since + Math.max(grace * 1000, this.#view.limits.graceMinMs));
    const leaves = memory.removed || pod.metadata?.deletionTimestamp !== undefined;
    if (leaves && allEnded(this.#view) && memory.cleanup === 'none' && memory.sandbox !== 'preparing') {
      this.#actions.push({ type: 'CleanUp' });
    }
  }

  /** All is done: sidecars have nothing to stand beside any more. */
  finish(): void {
    const grace = this.#view.pod.spec?.terminationGracePeriodSeconds ?? 30;
    this.#stopAll(this.#view.nowMs + grace * 1000);
  }

  /** Keeps the newest ended container of each name and the one before it, for `logs --previous`. */
  removeOld(): void {
    const view = this.#view;
    for (const record of view.records) {
      const kept = latest(view, record.name) === record || previous(view, record.name) === record;
      if (!kept && record.state !== 'running') this.#actions.push({ type: 'RemoveContainer', id: record.id });
    }
  }

  #prepare(): void {
    const { pod, memory, nowMs } = this.#view;
    for (const { name } of allContainers(pod)) {
      this.#waiting[name] = {
        reason:
          initContainers(pod).length > 0 && !this.#isInit(name) ? 'PodInitializing' : 'ContainerCreating',
      };
    }
    if (memory.sandbox === 'preparing') return;
    const retryAtMs = memory.sandboxFailure
      ? memory.sandboxFailure.sinceMs + memory.sandboxFailure.delayMs
      : nowMs;
    if (nowMs < retryAtMs) this.#wake(retryAtMs);
    else this.#actions.push({ type: 'PrepareSandbox' });
  }

  /** True once main containers may run. */
  #runInit(): boolean {
    const view = this.#view;
    const done = initDone(view);
    for (const container of initContainers(view.pod)) {
      const record = latest(view, container.name);
      if (isSidecar(container)) {
        if (!isAlive(record)) this.#startOrWait(container, record);
        if (!done && !isStarted(view, container.name)) return false;
      } else if (!done && !succeeded(record)) {
        if (!isAlive(record)) this.#startOrWait(container, record);
        return false;
      }
    }
    return done;
  }

  #runMain(container: Container): void {
    const record = latest(this.#view, container.name);
    if (isAlive(record)) return;
    if (record?.state === 'exited' && !restarts(this.#view, container, record)) return;
    this.#startOrWait(container, record);
  }

  #startOrWait(container: Container, record: ContainerRecord | undefined): void {
    const { memory, nowMs, limits, pod } = this.#view;
    const { name } = container;
    const own = memoryOf(memory, name);
    if (record === undefined) this.#waiting[name] = { reason: 'ContainerCreating' };
    if (own.operation !== 'none') return;
    if (own.startFailure) {
      const { reason, backoffReason, message, backoffMessage, sinceMs, delayMs } = own.startFailure;
      const retryAtMs = sinceMs + delayMs;
      const shownUntilMs = Math.min(sinceMs + limits.failureShownMs, retryAtMs);
      const fresh = nowMs < shownUntilMs;
      this.#waiting[name] = fresh ? { reason, message } : { reason: backoffReason, message: backoffMessage };
      if (nowMs < retryAtMs) return this.#wake(fresh ? shownUntilMs : retryAtMs);
    } else if (record?.state === 'exited') {
      const untilMs = crashBackoffUntil(own.crash, record.finishedAtMs ?? nowMs, nowMs, limits);
      if (nowMs < untilMs) {
        const who = `${pod.metadata?.name}_${pod.metadata?.namespace}(${pod.metadata?.uid})`;
        const delay = goDuration(own.crash?.delayMs ?? 0);
        const message = `back-off ${delay} restarting failed container=${name} pod=${who}`;
        this.#waiting[name] = { reason: 'CrashLoopBackOff', message };
        return this.#wake(untilMs);
      }
    }
    const attempt = record === undefined ? own.firstAttempt : record.attempt + 1;
    this.#actions.push({ type: 'StartContainer', name, attempt });
  }

  /** Containers that a probe or a hook has condemned. */
  #killFlagged(): void {
    const { pod, memory } = this.#view;
    for (const { name } of allContainers(pod)) {
      const own = memoryOf(memory, name);
      const record = latest(this.#view, name);
      if (own.kill === undefined || own.id !== record?.id || !isAlive(record) || own.operation !== 'none')
        continue;
      const grace = own.kill.graceSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 30;
      const { message } = own.kill;
      this.#actions.push({ type: 'StopContainer', name, id: record!.id, graceMs: grace * 1000, message });
    }
  }

  #stopAll(deadlineMs: number): void {
    const { pod } = this.#view;
    // Until all of these have ended, the sidecars stay.
    const first = allContainers(pod).filter((container) => !isSidecarOf(pod, container));
    let waits = false;
    for (const { name } of first) waits = this.#stopOne(name, deadlineMs) || waits;
    for (const { name } of [...sidecars(pod)].reverse()) {
      if (waits) return;
      waits = this.#stopOne(name, deadlineMs);
    }
  }

  /** True if the container has still to end. */
  #stopOne(name: string, deadlineMs: number): boolean {
    const own = memoryOf(this.#view.memory, name);
    const record = latest(this.#view, name);
    if (own.operation === 'starting') return true;
    if (!isAlive(record)) return own.operation !== 'none';
    const graceMs = Math.max(0, deadlineMs - this.#view.nowMs);
    const { id } = record!;
    if (own.operation === 'none') {
      this.#actions.push({ type: 'StopContainer', name, id, graceMs, message: `Stopping container ${name}` });
    } else if (own.stopDeadlineMs !== undefined && deadlineMs < own.stopDeadlineMs) {
      this.#actions.push({ type: 'StopContainer', name, id, graceMs });
    }
    return true;
  }

  #isInit(name: string): boolean {
    return initContainers(this.#view.pod).some((container) => container.name === name);
  }

  #wake(atMs: number): void {
    if (this.#wakeAtMs === undefined || atMs < this.#wakeAtMs) this.#wakeAtMs = atMs;
  }
}

function isSidecarOf(pod: PodView['pod'], container: Container): boolean {
  return sidecars(pod).includes(container);
}
