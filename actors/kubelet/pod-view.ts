/**
 * What a pod worker knows of its pod: the wish (the API object), what the runtime observes, and what it
 * must remember itself. Decisions and status are pure functions of this view.
 */
import type { Container, Pod } from '../objects/types/core.js';
import type { ContainerRecord } from './container-runtime.js';
import type { KubeletLimits } from './limits.js';

export interface PodView {
  readonly pod: Pod;
  /** Of this pod, oldest first. */
  readonly records: readonly ContainerRecord[];
  readonly memory: PodMemory;
  readonly nowMs: number;
  readonly limits: KubeletLimits;
}

export interface PodMemory {
  readonly podIP: string;
  readonly hostIP: string;
  /** `status.startTime`: when this node took the pod. */
  readonly acceptedAtMs: number;
  /** Volumes and address. `preparing` while a worker is at it. */
  readonly sandbox: 'none' | 'preparing' | 'ready';
  readonly sandboxFailure?: StartFailure;
  /** Init containers need not run (again): main containers were started in an earlier life of the worker. */
  readonly initialised: boolean;
  /** The pod has to fail for this reason. */
  readonly failure?: { readonly reason: string; readonly message: string };
  /** The API object is gone (or the manifest of a static pod): stop, clean up, write nothing. */
  readonly removed: boolean;
  /** Since when the pod is being ended, by whichever of the three ways. */
  readonly endingSinceMs?: number;
  readonly cleanup: 'none' | 'running' | 'done';
  readonly containers: Readonly<Record<string, ContainerMemory>>;
}

export interface ContainerMemory {
  readonly operation: 'none' | 'starting' | 'stopping';
  /** While `operation` is `starting`: which attempt; its record is not looked at before the start is done. */
  readonly startingAttempt?: number;
  /** The attempt of a start when the runtime knows no earlier one. */
  readonly firstAttempt: number;
  readonly crash?: Backoff;
  readonly startFailure?: StartFailure;
  /** The container that the fields below are about. */
  readonly id?: string;
  readonly postStart: 'none' | 'running' | 'done';
  /** Startup probe passed (or none), postStart done. */
  readonly startupDone: boolean;
  readonly readiness: boolean;
  /** To be stopped, and restarted if its policy says so. */
  readonly kill?: { readonly message: string; readonly graceSeconds?: number };
  /** Until when it was given time to stop. */
  readonly stopDeadlineMs?: number;
}

export interface Backoff {
  readonly delayMs: number;
  readonly updatedAtMs: number;
}

/** Why a container (or the pod's sandbox) could not be started, and when it is tried again. */
export interface StartFailure {
  readonly reason: string;
  /** What the status says once the failure has been shown: `ImagePullBackOff`. */
  readonly backoffReason: string;
  readonly message: string;
  readonly backoffMessage: string;
  readonly sinceMs: number;
  readonly delayMs: number;
}

export const freshContainer: ContainerMemory = {
  operation: 'none',
  firstAttempt: 0,
  postStart: 'none',
  startupDone: false,
  readiness: false,
};

/** When a worker begins, perhaps after another one of the same pod: as the API and the runtime have it. */
export function memoryAtStart(
  pod: Pod,
  records: readonly ContainerRecord[],
  addresses: Pick<PodMemory, 'podIP' | 'hostIP'>,
  nowMs: number,
): PodMemory {
  const { status } = pod;
  const containers: Record<string, ContainerMemory> = {};
  for (const container of allContainers(pod)) {
    const reported = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].find(
      ({ name }) => name === container.name,
    );
    const record = records.findLast(({ name }) => name === container.name);
    const alive = isAlive(record);
    containers[container.name] = {
      operation: 'none',
      firstAttempt: reported?.containerID === undefined ? 0 : reported.restartCount + 1,
      postStart: 'done',
      startupDone: alive && (container.startupProbe === undefined || reported?.started === true),
      readiness: container.readinessProbe === undefined || reported?.ready === true,
      ...(record === undefined ? {} : { id: record.id }),
    };
  }
  const startTimeMs = Date.parse(status?.startTime ?? '');
  return {
    ...addresses,
    acceptedAtMs: Number.isNaN(startTimeMs) ? nowMs : startTimeMs,
    sandbox: records.some(isAlive) ? 'ready' : 'none',
    initialised:
      status?.conditions?.some(({ type, status: is }) => type === 'Initialized' && is === 'True') ?? false,
    removed: false,
    cleanup: 'none',
    containers,
  };
}

export function memoryOf(memory: PodMemory, name: string): ContainerMemory {
  return memory.containers[name] ?? freshContainer;
}

export function withContainer(memory: PodMemory, name: string, change: Partial<ContainerMemory>): PodMemory {
  return {
    ...memory,
    containers: { ...memory.containers, [name]: { ...memoryOf(memory, name), ...change } },
  };
}

/** The newest record of a container. */
export function latest(view: PodView, name: string): ContainerRecord | undefined {
  return view.records.findLast((record) => record.name === name);
}

export function previous(view: PodView, name: string): ContainerRecord | undefined {
  const newest = latest(view, name);
  return view.records.findLast((record) => record.name === name && record !== newest);
}

export function initContainers(pod: Pod): readonly Container[] {
  return pod.spec?.initContainers ?? [];
}

export function mainContainers(pod: Pod): readonly Container[] {
  return pod.spec?.containers ?? [];
}

/** KEP-753: an init container that keeps running beside the main ones. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

export function sidecars(pod: Pod): readonly Container[] {
  return initContainers(pod).filter(isSidecar);
}

export function allContainers(pod: Pod): readonly Container[] {
  return [...initContainers(pod), ...mainContainers(pod)];
}

export function isAlive(record: ContainerRecord | undefined): boolean {
  return record?.state === 'running';
}

/** Running, and as far as startup probe and postStart go, up. */
export function isStarted(view: PodView, name: string): boolean {
  const record = latest(view, name);
  const memory = memoryOf(view.memory, name);
  return record?.state === 'running' && memory.id === record.id && memory.startupDone;
}

export function isReady(view: PodView, name: string): boolean {
  return isStarted(view, name) && memoryOf(view.memory, name).readiness;
}

/** Items of lists carry no kind; events need one. */
export function regarding(pod: Pod): Pod {
  return { apiVersion: 'v1', kind: 'Pod', ...pod };
}
