/**
 * The status that the kubelet writes for a pod: phase, conditions, container statuses. Pure; what others
 * wrote into the status (PodScheduled, readiness gates, nominatedNodeName) is left to them.
 */
import type {
  Container,
  ContainerState,
  ContainerStatus,
  Pod,
  PodCondition,
  PodStatus,
} from '../objects/types/core.js';
import { formatTime, qosClassOf } from '../objects/index.js';
import type { ContainerRecord } from './container-runtime.js';
import { allEnded, type Decision, initDone, isEnding, outcome, type Waiting } from './pod-decision.js';
import {
  allContainers,
  initContainers,
  isReady,
  isSidecar,
  isStarted,
  latest,
  mainContainers,
  memoryOf,
  type PodView,
  previous,
} from './pod-view.js';

/** `scheme`: of container ids, `process`. */
export function podStatus(view: PodView, decision: Decision, scheme: string): PodStatus {
  const { pod, memory } = view;
  const phase = podPhase(view);
  const statusOf = (container: Container) =>
    containerStatus(view, container, decision.waiting, scheme, phase);
  const reason = phase === 'Failed' ? memory.failure : undefined;
  return {
    phase,
    ...(reason === undefined ? keptReason(pod, phase) : reason),
    conditions: conditions(view, phase),
    hostIP: memory.hostIP,
    hostIPs: [{ ip: memory.hostIP }],
    podIP: memory.podIP,
    podIPs: [{ ip: memory.podIP }],
    startTime: formatTime(memory.acceptedAtMs),
    qosClass: qosClassOf({ ...pod.spec }),
    ...(pod.metadata?.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    ...(initContainers(pod).length === 0 ? {} : { initContainerStatuses: initContainers(pod).map(statusOf) }),
    containerStatuses: mainContainers(pod).map(statusOf),
  };
}

/** The status of a pod that this node does not take. */
export function rejectedStatus(pod: Pod, reason: string, message: string, nowMs: number): PodStatus {
  return {
    phase: 'Failed',
    reason,
    message,
    startTime: formatTime(nowMs),
    qosClass: qosClassOf({ ...pod.spec }),
  };
}

export function podPhase(view: PodView): string {
  const { pod, memory } = view;
  const reported = pod.status?.phase;
  // A pod that has ended stays so, whatever becomes of the records.
  if (reported === 'Succeeded' || reported === 'Failed') return reported;
  const result = outcome(view);
  if (allEnded(view)) {
    if (memory.failure) return 'Failed';
    if (result !== undefined) return result;
    if (isEnding(view)) return endedPhase(view);
  }
  const records = mainContainers(pod).map(({ name }) => latest(view, name));
  const started = records.filter((record) => record?.startedAtMs !== undefined);
  return initDone(view) && started.length === records.length ? 'Running' : 'Pending';
}

/** Deleted before it was done: what its containers' exit codes say. */
function endedPhase(view: PodView): string {
  const records = mainContainers(view.pod).map(({ name }) => latest(view, name));
  return records.every((record) => record?.exitCode === 0) ? 'Succeeded' : 'Failed';
}

function keptReason(pod: Pod, phase: string): { reason?: string; message?: string } {
  const { status } = pod;
  if (status?.phase !== phase || (phase !== 'Failed' && phase !== 'Succeeded')) return {};
  return {
    ...(status.reason === undefined ? {} : { reason: status.reason }),
    ...(status.message === undefined ? {} : { message: status.message }),
  };
}

function containerStatus(
  view: PodView,
  container: Container,
  waiting: Readonly<Record<string, Waiting>>,
  scheme: string,
  phase: string,
): ContainerStatus {
  const { name } = container;
  const record = latest(view, name);
  const before = previous(view, name);
  const reported = reportedStatus(view.pod, name);
  const wait = waiting[name];
  const isInit = initContainers(view.pod).includes(container);
  // Behind a wait stands the container that ended last; else it is the state itself.
  const current = wait === undefined ? record : undefined;
  const last = wait === undefined ? before : record;
  const lastState =
    last?.state === 'exited' ? { terminated: terminated(container, last, scheme) } : undefined;
  const done = phase === 'Succeeded' || phase === 'Failed';
  const state = stateOf(container, current, scheme) ??
    (done ? reported?.state : undefined) ?? { waiting: wait ?? { reason: 'ContainerCreating' } };
  const source = record ?? before;
  const oneShot = isInit && !isSidecar(container);
  return {
    name,
    state,
    lastState: lastState ?? reported?.lastState ?? {},
    ready: oneShot ? record?.state === 'exited' && record.exitCode === 0 : isReady(view, name),
    restartCount: source?.attempt ?? memoryOf(view.memory, name).firstAttempt,
    image: source?.image ?? container.image ?? '',
    imageID: source?.imageId ?? '',
    ...(source === undefined ? {} : { containerID: `${scheme}://${source.id}` }),
    started: oneShot ? record?.state === 'running' : isStarted(view, name),
  };
}

function reportedStatus(pod: Pod, name: string): ContainerStatus | undefined {
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  return [...initContainerStatuses, ...containerStatuses].find((status) => status.name === name);
}

function stateOf(
  container: Container,
  record: ContainerRecord | undefined,
  scheme: string,
): ContainerState | undefined {
  if (record === undefined || record.state === 'created') return undefined;
  if (record.state === 'exited') return { terminated: terminated(container, record, scheme) };
  return { running: { startedAt: formatTime(record.startedAtMs!) } };
}

function terminated(
  container: Container,
  record: ContainerRecord,
  scheme: string,
): NonNullable<ContainerState['terminated']> {
  const exitCode = record.exitCode ?? 137;
  const fallback =
    container.terminationMessagePolicy === 'FallbackToLogsOnError' && exitCode !== 0
      ? record.logTail
      : undefined;
  const message = record.message ?? fallback;
  return {
    exitCode,
    reason: record.reason ?? (exitCode === 0 ? 'Completed' : 'Error'),
    ...(message === undefined ? {} : { message }),
    ...(record.startedAtMs === undefined ? {} : { startedAt: formatTime(record.startedAtMs) }),
    finishedAt: formatTime(record.finishedAtMs ?? record.createdAtMs),
    containerID: `${scheme}://${record.id}`,
  };
}

function conditions(view: PodView, phase: string): PodCondition[] {
  const { pod, memory } = view;
  const completed = phase === 'Succeeded' ? 'PodCompleted' : phase === 'Failed' ? 'PodFailed' : undefined;
  const sandboxReady = memory.sandbox === 'ready' && completed === undefined && memory.cleanup === 'none';
  const made: Verdict[] = [
    { type: 'PodReadyToStartContainers', holds: sandboxReady },
    initialised(view, completed),
    containersReady(view, completed),
  ];
  made.push(ready(pod, made[2]!, completed));
  // The scheduler's, but static pods never met it.
  made.push({ type: 'PodScheduled', holds: true });
  return made.map((verdict) => conditionOf(view, verdict));
}

interface Verdict {
  readonly type: string;
  readonly holds: boolean;
  readonly reason?: string;
  readonly message?: string;
}

function initialised(view: PodView, completed: string | undefined): Verdict {
  const type = 'Initialized';
  if (initDone(view)) {
    return completed === 'PodCompleted' ? { type, holds: true, reason: completed } : { type, holds: true };
  }
  const open = initContainers(view.pod).filter((container) => {
    const record = latest(view, container.name);
    return isSidecar(container) ? !isStarted(view, container.name) : record?.exitCode !== 0;
  });
  const names = open.map(({ name }) => name).join(' ');
  const message = `containers with incomplete status: [${names}]`;
  return { type, holds: false, reason: 'ContainersNotInitialized', message };
}

function containersReady(view: PodView, completed: string | undefined): Verdict {
  const type = 'ContainersReady';
  if (completed !== undefined) return { type, holds: false, reason: completed };
  const counted = allContainers(view.pod).filter(
    (container) => isSidecar(container) || mainContainers(view.pod).includes(container),
  );
  const unready = counted.filter(({ name }) => !isReady(view, name)).map(({ name }) => name);
  if (unready.length === 0) return { type, holds: true };
  const message = `containers with unready status: [${unready.join(' ')}]`;
  return { type, holds: false, reason: 'ContainersNotReady', message };
}

function ready(pod: Pod, containers: Verdict, completed: string | undefined): Verdict {
  if (!containers.holds || completed !== undefined) return { ...containers, type: 'Ready' };
  const complaints: string[] = [];
  for (const { conditionType } of pod.spec?.readinessGates ?? []) {
    const gate = pod.status?.conditions?.find(({ type }) => type === conditionType);
    const problem =
      gate === undefined ? 'does not exist' : gate.status === 'True' ? undefined : `is not "True"`;
    if (problem !== undefined) {
      const told = gate === undefined ? problem : `has status "${gate.status}"`;
      complaints.push(`corresponding condition of pod readiness gate "${conditionType}" ${told}.`);
    }
  }
  if (complaints.length === 0) return { type: 'Ready', holds: true };
  return { type: 'Ready', holds: false, reason: 'ReadinessGatesNotReady', message: complaints.join(', ') };
}

function conditionOf(view: PodView, verdict: Verdict): PodCondition {
  const status = verdict.holds ? 'True' : 'False';
  const old = view.pod.status?.conditions?.find(({ type }) => type === verdict.type);
  const generation = view.pod.metadata?.generation;
  return {
    type: verdict.type,
    status,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    lastTransitionTime:
      old?.status === status && old.lastTransitionTime !== undefined
        ? old.lastTransitionTime
        : formatTime(view.nowMs),
    ...(verdict.reason === undefined ? {} : { reason: verdict.reason }),
    ...(verdict.message === undefined ? {} : { message: verdict.message }),
  };
}
