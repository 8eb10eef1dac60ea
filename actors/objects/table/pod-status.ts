/**
 * The STATUS, READY and RESTARTS columns of a pod: the most looked-at words of Kubernetes. A pod's phase is
 * refined by its reason, its init containers, its containers and its deletion, in that order (kubernetes
 * printers, printPod).
 */
import { ageOf, at, conditionOf, listAt, numberAt, textAt } from './cells.js';
import { parseTime } from '../time.js';

export interface PodSummary {
  readonly status: string;
  readonly ready: number;
  readonly containers: number;
  /** `3` or `3 (5m ago)`. */
  readonly restarts: string;
}

interface Tally {
  restarts: number;
  lastRestart: string;
}

export function summarisePod(pod: unknown, nowMs: number): PodSummary {
  const init = summariseInit(pod);
  let { status } = init;
  let ready = init.readySidecars;
  let tally: Tally = init.sidecars;
  const initialized = textAt(conditionOf(pod, 'Initialized'), 'status') === 'True';
  if (!init.waiting || initialized) {
    const main = summariseMain(pod, status);
    status = main.status;
    ready += main.ready;
    tally = mergeTallies(init.sidecars, main.tally);
  } else tally = init.all;
  if (at(pod, 'metadata', 'deletionTimestamp') !== undefined) {
    if (textAt(pod, 'status', 'reason') === 'NodeLost') status = 'Unknown';
    else if (!isTerminal(textAt(pod, 'status', 'phase'))) status = 'Terminating';
  }
  const ago =
    tally.restarts > 0 && tally.lastRestart !== '' ? ` (${ageOf(tally.lastRestart, nowMs)} ago)` : '';
  return {
    status,
    ready,
    containers: listAt(pod, 'spec', 'containers').length + sidecarNames(pod).size,
    restarts: `${tally.restarts}${ago}`,
  };
}

function isTerminal(phase: string): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/** Init containers that are restarted for the pod's life. */
function sidecarNames(pod: unknown): Set<string> {
  const sidecars = listAt(pod, 'spec', 'initContainers').filter(
    (container) => textAt(container, 'restartPolicy') === 'Always',
  );
  return new Set(sidecars.map((container) => textAt(container, 'name')));
}

function startingStatus(pod: unknown): string {
  const scheduled = conditionOf(pod, 'PodScheduled');
  if (textAt(scheduled, 'reason') === 'SchedulingGated') return 'SchedulingGated';
  return textAt(pod, 'status', 'reason') || textAt(pod, 'status', 'phase');
}

interface InitSummary {
  readonly status: string;
  /** An init container has not done its part yet. */
  readonly waiting: boolean;
  readonly readySidecars: number;
  readonly sidecars: Tally;
  readonly all: Tally;
}

function summariseInit(pod: unknown): InitSummary {
  const sidecars = sidecarNames(pod);
  const statuses = listAt(pod, 'status', 'initContainerStatuses');
  const total = listAt(pod, 'spec', 'initContainers').length;
  const all = newTally();
  const ofSidecars = newTally();
  let readySidecars = 0;
  for (const [index, container] of statuses.entries()) {
    const isSidecar = sidecars.has(textAt(container, 'name'));
    count(all, container);
    if (isSidecar) count(ofSidecars, container);
    const terminated = at(container, 'state', 'terminated');
    if (terminated !== undefined && numberAt(terminated, 'exitCode') === 0) continue;
    if (isSidecar && at(container, 'started') === true) {
      if (at(container, 'ready') === true) readySidecars++;
      continue;
    }
    const status = describeInit(container, terminated, index, total);
    return { status, waiting: true, readySidecars, sidecars: ofSidecars, all };
  }
  return { status: startingStatus(pod), waiting: false, readySidecars, sidecars: ofSidecars, all };
}

function describeInit(container: unknown, terminated: unknown, index: number, total: number): string {
  if (terminated !== undefined) {
    const reason = textAt(terminated, 'reason');
    if (reason !== '') return `Init:${reason}`;
    const signal = numberAt(terminated, 'signal');
    return signal === 0 ? `Init:ExitCode:${numberAt(terminated, 'exitCode')}` : `Init:Signal:${signal}`;
  }
  const waiting = textAt(container, 'state', 'waiting', 'reason');
  if (waiting !== '' && waiting !== 'PodInitializing') return `Init:${waiting}`;
  return `Init:${index}/${total}`;
}

function summariseMain(pod: unknown, starting: string): { status: string; ready: number; tally: Tally } {
  let status = starting;
  let ready = 0;
  let running = false;
  const tally = newTally();
  for (const container of [...listAt(pod, 'status', 'containerStatuses')].reverse()) {
    count(tally, container);
    const waiting = textAt(container, 'state', 'waiting', 'reason');
    const terminated = at(container, 'state', 'terminated');
    if (waiting !== '') status = waiting;
    else if (terminated !== undefined) {
      const signal = numberAt(terminated, 'signal');
      status =
        textAt(terminated, 'reason') ||
        (signal === 0 ? `ExitCode:${numberAt(terminated, 'exitCode')}` : `Signal:${signal}`);
    } else if (at(container, 'ready') === true && at(container, 'state', 'running') !== undefined) {
      running = true;
      ready++;
    }
  }
  if (status === 'Completed' && running) {
    status = textAt(conditionOf(pod, 'Ready'), 'status') === 'True' ? 'Running' : 'NotReady';
  }
  return { status, ready, tally };
}

function newTally(): Tally {
  return { restarts: 0, lastRestart: '' };
}

function count(tally: Tally, container: unknown): void {
  tally.restarts += numberAt(container, 'restartCount');
  tally.lastRestart = later(tally.lastRestart, textAt(container, 'lastState', 'terminated', 'finishedAt'));
}

function mergeTallies(a: Tally, b: Tally): Tally {
  return { restarts: a.restarts + b.restarts, lastRestart: later(a.lastRestart, b.lastRestart) };
}

function later(a: string, b: string): string {
  if (a === '' || b === '') return a || b;
  return parseTime(a) >= parseTime(b) ? a : b;
}
