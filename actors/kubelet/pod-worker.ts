/**
 * The actor of one pod: keeps the view, asks `decide` after every event, has the actions done by
 * PodOperations and writes the status when it changed. It can be crashed at any point: what it needs is in
 * the API and in the runtime.
 */
import type { Container, Pod, PodStatus } from '../objects/types/core.js';
import type { Actor, ActorContext, ActorRef, ChildSpec } from '../runtime/index.js';
import { doubled, nextCrashBackoff } from './backoff.js';
import type { KubeletParts } from './kubelet-parts.js';
import { allEnded, decide, type Decision, isEnding, type PodAction } from './pod-decision.js';
import { PodOperations, type Refusal } from './pod-operations.js';
import type { PodWorkerMessage, ShardMessage } from './pod-messages.js';
import { Probes } from './pod-probes.js';
import { podPhase, podStatus } from './pod-status.js';
import { withStatus } from './pod-status-patch.js';
import {
  allContainers,
  latest,
  memoryAtStart,
  memoryOf,
  type PodMemory,
  type PodView,
  regarding,
  withContainer,
} from './pod-view.js';
import { removePod, type StatusReport, writePodStatus } from './pod-writer.js';
import { volumeNeeds } from './volume-content.js';

export interface PodWorkerOptions {
  readonly parts: KubeletParts;
  readonly shard: ActorRef<ShardMessage>;
  readonly pod: Pod;
  readonly podIP: string;
  /** From a manifest of this node: the API holds only a mirror. */
  readonly isStatic: boolean;
}

export interface PodWorkerState {
  /** As the API (or the manifest) has it. */
  readonly pod: Pod;
  readonly memory: PodMemory;
  readonly probes: Probes;
  /** The status that the API has taken from us, and what is being written. */
  readonly written?: PodStatus;
  readonly writing?: PodStatus;
  /** resourceVersion of the object after our last write. */
  readonly writtenVersion: number;
  readonly writeFailures: number;
  /** After a failure nothing is written until its timer has run out. */
  readonly writePaused: boolean;
  /** The shard was told that the pod needs no address any more. */
  readonly finished: boolean;
}

type Context = ActorContext<PodWorkerMessage>;

export function podWorker(id: string, options: PodWorkerOptions): ChildSpec<PodWorkerMessage> {
  return {
    id,
    restart: 'temporary',
    start: () => new PodWorker(options) as Actor<unknown, PodWorkerMessage>,
  };
}

class PodWorker implements Actor<PodWorkerState, PodWorkerMessage> {
  readonly #options: PodWorkerOptions;
  #operations!: PodOperations;

  constructor(options: PodWorkerOptions) {
    this.#options = options;
  }

  initial(ctx: Context): PodWorkerState {
    const { parts, pod, podIP } = this.#options;
    this.#operations = new PodOperations(parts, ctx.env.clock);
    const { uid = '' } = pod.metadata ?? {};
    const records = parts.runtime.list(uid);
    const memory = memoryAtStart(pod, records, { podIP, hostIP: parts.hostIP }, ctx.env.clock.nowMs());
    const state = {
      pod,
      memory,
      probes: Probes.none,
      writtenVersion: 0,
      writeFailures: 0,
      writePaused: false,
      finished: false,
    };
    if (volumeNeeds(pod).refreshed)
      ctx.setTimer('refresh', parts.limits.volumeRefreshMs, { type: 'RefreshVolumes' });
    return this.#step(state, ctx);
  }

  receive(state: PodWorkerState, message: PodWorkerMessage, ctx: Context): PodWorkerState {
    return this.#step(this.#learn(state, message, ctx), ctx);
  }

  #learn(state: PodWorkerState, message: PodWorkerMessage, ctx: Context): PodWorkerState {
    const { memory } = state;
    const { limits } = this.#options.parts;
    switch (message.type) {
      case 'PodRuntimeChanged':
      case 'PodWake':
        return state;
      case 'RetryStatus':
        return { ...state, writePaused: false };
      case 'PodChanged':
        return this.#changed(state, message.pod, ctx);
      case 'PodRemoved':
        return { ...state, memory: { ...memory, removed: true } };
      case 'PodRepublish':
        return { ...state, written: {} };
      case 'VolumesWritten':
        return this.#volumesWritten(state, message.failure, ctx);
      case 'RefreshVolumes':
        if (memory.sandbox === 'ready' && !isEnding(this.#view(state, ctx))) this.#writeVolumes(state, ctx);
        ctx.setTimer('refresh', limits.volumeRefreshMs, { type: 'RefreshVolumes' });
        return state;
      case 'StartDone':
        return this.#startDone(state, message, ctx);
      case 'HookDone':
        return this.#hookDone(state, message);
      case 'StopDone':
        return message.shorten ? state : update(state, message.name, { operation: 'none' });
      case 'StatusWritten': {
        const { writing, ...rest } = state;
        const written = {
          ...(writing === undefined ? {} : { written: writing }),
          writtenVersion: message.version,
        };
        return forgetOverwritten({ ...rest, ...written, writeFailures: 0 });
      }
      case 'StatusNotWritten':
        return this.#statusNotWritten(state, message, ctx);
      case 'CleanedUp':
        return { ...state, memory: { ...memory, cleanup: 'done' } };
      case 'NotCleanedUp':
        ctx.note('clean-up failed', { why: message.why });
        ctx.setTimer('cleanup', limits.retryBaseMs * 4, { type: 'RetryCleanUp' });
        return state;
      case 'RetryCleanUp':
        return { ...state, memory: { ...memory, cleanup: 'none' } };
      case 'OperationCrashed':
        throw message.error;
      case 'ProbeDue':
      case 'ProbeDone': {
        const told = state.probes.receive(message, this.#view(state, ctx), this.#probing(ctx));
        return { ...state, probes: told.probes, memory: told.memory };
      }
      default:
        return message satisfies never;
    }
  }

  /** Decides, acts, and says how things stand. */
  #step(before: PodWorkerState, ctx: Context): PodWorkerState {
    let state = this.#noteEnding(before, ctx);
    if (this.#over(state)) {
      ctx.tell(this.#options.shard, { type: 'ShardWorkerDone', uid: state.pod.metadata?.uid ?? '' });
      ctx.stop();
      return state;
    }
    let decision = decide(this.#view(state, ctx));
    const failing = decision.actions.find((action) => action.type === 'FailPod');
    if (failing) {
      const { reason, message } = failing;
      state = this.#noteEnding({ ...state, memory: { ...state.memory, failure: { reason, message } } }, ctx);
      this.#options.parts.events.event(regarding(state.pod), 'Warning', reason, message);
      decision = decide(this.#view(state, ctx));
    }
    for (const action of decision.actions) state = this.#perform(state, action, ctx);
    this.#wakeAt(decision.wakeAtMs, ctx);
    state = { ...state, probes: state.probes.sync(this.#view(state, ctx), this.#probing(ctx)) };
    state = this.#publish(state, decision, ctx);
    return this.#release(state, ctx);
  }

  #perform(state: PodWorkerState, action: PodAction, ctx: Context): PodWorkerState {
    switch (action.type) {
      case 'PrepareSandbox':
        this.#writeVolumes(state, ctx);
        return { ...state, memory: { ...state.memory, sandbox: 'preparing' } };
      case 'StartContainer':
        return this.#start(state, action.name, action.attempt, ctx);
      case 'StopContainer':
        return this.#stop(state, action, ctx);
      case 'RemoveContainer':
        this.#run(ctx, this.#options.parts.runtime.remove(action.id), () => ({ type: 'PodRuntimeChanged' }));
        return state;
      case 'CleanUp':
        return this.#cleanUp(state, ctx);
      case 'FailPod':
        return state;
      default:
        return action satisfies never;
    }
  }

  #start(state: PodWorkerState, name: string, attempt: number, ctx: Context): PodWorkerState {
    const { pod, memory } = state;
    const container = containerOf(pod, name);
    const record = latest(this.#view(state, ctx), name);
    const work = this.#operations.start(this.#effective(state), container, attempt, memory.podIP);
    this.#run(ctx, work, (result) => ({ type: 'StartDone', name, attempt, result }));
    const own = memoryOf(memory, name);
    if (record === undefined || own.startFailure)
      return update(state, name, { operation: 'starting', startingAttempt: attempt });
    const { parts } = this.#options;
    const { delayMs } = own.crash ?? { delayMs: 0 };
    if (own.crash && delayMs > 0) {
      const message = `Back-off restarting failed container ${name} in pod ${podName(pod)}`;
      parts.events.event(regarding(pod), 'Warning', 'BackOff', message);
    }
    const crash = nextCrashBackoff(own.crash, ctx.env.clock.nowMs(), parts.limits);
    return update(state, name, { operation: 'starting', startingAttempt: attempt, crash });
  }

  #startDone(
    state: PodWorkerState,
    message: Extract<PodWorkerMessage, { type: 'StartDone' }>,
    ctx: Context,
  ): PodWorkerState {
    const { name, result } = message;
    const nowMs = ctx.env.clock.nowMs();
    if (result.type === 'refused') {
      const startFailure = this.#failure(state, name, result.refusal, nowMs);
      return update(state, name, { operation: 'none', startFailure });
    }
    const container = containerOf(state.pod, name);
    const hook = container.lifecycle?.postStart;
    const {
      startFailure: _gone,
      kill: _old,
      stopDeadlineMs: _passed,
      ...kept
    } = memoryOf(state.memory, name);
    const started = {
      ...kept,
      operation: 'none' as const,
      id: result.id,
      postStart: hook ? ('running' as const) : ('done' as const),
      startupDone: hook === undefined && container.startupProbe === undefined,
      readiness: container.readinessProbe === undefined,
    };
    if (hook && this.#options.parts.runtime.get(result.id)?.state === 'running') {
      const grace = (state.pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000;
      const work = this.#operations.hook(this.#effective(state), container, result.id, hook, grace);
      this.#run(ctx, work, (failure) => ({
        type: 'HookDone',
        name,
        id: result.id,
        ...(failure === undefined ? {} : { failure }),
      }));
    }
    const containers = { ...state.memory.containers, [name]: started };
    return { ...state, memory: { ...state.memory, containers } };
  }

  #failure(state: PodWorkerState, name: string, refusal: Refusal, nowMs: number) {
    const { limits } = this.#options.parts;
    const before = memoryOf(state.memory, name).startFailure;
    const image = containerOf(state.pod, name).image ?? '';
    const delayMs = doubled(before?.delayMs, limits.imageBackoffBaseMs, limits.imageBackoffMaxMs);
    const backoffMessage = refusal.image
      ? `Back-off pulling image ${JSON.stringify(image)}: ${refusal.reason}: ${refusal.message}`
      : refusal.message;
    const { reason, backoffReason, message } = refusal;
    return { reason, backoffReason, message, backoffMessage, sinceMs: nowMs, delayMs };
  }

  #hookDone(state: PodWorkerState, message: Extract<PodWorkerMessage, { type: 'HookDone' }>): PodWorkerState {
    const { name, id, failure } = message;
    const own = memoryOf(state.memory, name);
    if (own.id !== id) return state;
    const container = containerOf(state.pod, name);
    if (failure === undefined) {
      const passed = container.startupProbe === undefined || state.probes.passed(name, 'startup', id);
      return update(state, name, { postStart: 'done', startupDone: passed });
    }
    const told = `PostStartHook failed: ${failure}`;
    this.#options.parts.events.event(regarding(state.pod), 'Warning', 'FailedPostStartHook', told);
    return update(state, name, { postStart: 'done', kill: { message: 'FailedPostStartHook' } });
  }

  #stop(
    state: PodWorkerState,
    action: Extract<PodAction, { type: 'StopContainer' }>,
    ctx: Context,
  ): PodWorkerState {
    const { name, id, graceMs, message } = action;
    const shorten = message === undefined;
    if (!shorten) this.#options.parts.events.event(regarding(state.pod), 'Normal', 'Killing', message);
    const container = containerOf(state.pod, name);
    const work = this.#operations.stop(this.#effective(state), container, id, graceMs, shorten);
    this.#run(ctx, work, () => ({ type: 'StopDone', name, shorten }));
    const stopDeadlineMs = ctx.env.clock.nowMs() + graceMs;
    return update(state, name, { operation: 'stopping', stopDeadlineMs });
  }

  #writeVolumes(state: PodWorkerState, ctx: Context): void {
    const work = this.#operations.writeVolumes(this.#effective(state), state.memory.podIP);
    this.#run(ctx, work, (result) => ({ type: 'VolumesWritten', ...result }));
  }

  #volumesWritten(state: PodWorkerState, failure: string | undefined, ctx: Context): PodWorkerState {
    const { limits, events } = this.#options.parts;
    const { sandboxFailure, ...memory } = state.memory;
    if (failure !== undefined) events.event(regarding(state.pod), 'Warning', 'FailedMount', failure);
    // A refresh that fails leaves the files as they were.
    if (memory.sandbox === 'ready') return state;
    if (failure === undefined) return { ...state, memory: { ...memory, sandbox: 'ready' } };
    const delayMs = doubled(sandboxFailure?.delayMs, limits.retryBaseMs, limits.retryMaxMs);
    const sinceMs = ctx.env.clock.nowMs();
    const told = { reason: 'ContainerCreating', backoffReason: 'ContainerCreating' };
    const failed = { ...told, message: failure, backoffMessage: failure, sinceMs, delayMs };
    return { ...state, memory: { ...memory, sandbox: 'none', sandboxFailure: failed } };
  }

  #changed(state: PodWorkerState, pod: Pod, ctx: Context): PodWorkerState {
    const old = state.pod.metadata;
    const relabelled =
      JSON.stringify([old?.labels, old?.annotations]) !==
      JSON.stringify([pod.metadata?.labels, pod.metadata?.annotations]);
    if (relabelled && state.memory.sandbox === 'ready' && volumeNeeds(pod).refreshed) {
      this.#writeVolumes({ ...state, pod }, ctx);
    }
    return forgetOverwritten({ ...state, pod });
  }

  #cleanUp(state: PodWorkerState, ctx: Context): PodWorkerState {
    // The last status goes out first; its answer brings us back here.
    if (state.writing !== undefined) return state;
    const { parts, isStatic } = this.#options;
    const withObject = !state.memory.removed && !isStatic;
    const report = this.#report(state, decide(this.#view(state, ctx)), ctx);
    this.#run(ctx, removePod(parts, report, { withObject }), (message) => message);
    return { ...state, memory: { ...state.memory, cleanup: 'running' } };
  }

  #publish(state: PodWorkerState, decision: Decision, ctx: Context): PodWorkerState {
    const { memory, writing, written } = state;
    if (writing !== undefined || memory.removed || memory.cleanup !== 'none' || state.writePaused)
      return state;
    const report = this.#report(state, decision, ctx);
    if (JSON.stringify(report.status) === JSON.stringify(written)) return state;
    this.#run(ctx, writePodStatus(this.#options.parts, report), (message) => message);
    return { ...state, writing: report.status };
  }

  #report(state: PodWorkerState, decision: Decision, ctx: Context): StatusReport {
    const { parts, isStatic } = this.#options;
    const status = podStatus(this.#view(state, ctx), decision, parts.runtime.name);
    return { pod: state.pod, status, written: state.written, isStatic };
  }

  #statusNotWritten(
    state: PodWorkerState,
    message: Extract<PodWorkerMessage, { type: 'StatusNotWritten' }>,
    ctx: Context,
  ): PodWorkerState {
    const { writing, ...rest } = state;
    // The pod is gone, or another one has its name: the watch will say so.
    if (message.gone) return { ...rest, ...(writing === undefined ? {} : { written: writing }) };
    const { limits } = this.#options.parts;
    const delayMs = Math.min(limits.retryBaseMs * 2 ** state.writeFailures, limits.retryMaxMs);
    ctx.note('status not written', { why: message.why });
    ctx.setTimer('status', delayMs * (0.5 + ctx.env.random.next() / 2), { type: 'RetryStatus' });
    return { ...rest, writeFailures: state.writeFailures + 1, writePaused: true };
  }

  /** A pod that has ended needs its address no more, though its object and logs stay. */
  #release(state: PodWorkerState, ctx: Context): PodWorkerState {
    if (state.finished) return state;
    const phase = podPhase(this.#view(state, ctx));
    const over = (phase === 'Succeeded' || phase === 'Failed') && allEnded(this.#view(state, ctx));
    if (!over) return state;
    ctx.tell(this.#options.shard, { type: 'ShardPodFinished', uid: state.pod.metadata?.uid ?? '' });
    return { ...state, finished: true };
  }

  #over({ memory }: PodWorkerState): boolean {
    return memory.removed && memory.cleanup === 'done';
  }

  #noteEnding(state: PodWorkerState, ctx: Context): PodWorkerState {
    if (state.memory.endingSinceMs !== undefined || !isEnding(this.#view(state, ctx))) return state;
    return { ...state, memory: { ...state.memory, endingSinceMs: ctx.env.clock.nowMs() } };
  }

  #view(state: PodWorkerState, ctx: Context): PodView {
    const { runtime, limits } = this.#options.parts;
    return {
      pod: this.#effective(state),
      records: runtime.list(state.pod.metadata?.uid ?? '').filter(({ name, attempt }) => {
        const own = memoryOf(state.memory, name);
        return own.operation !== 'starting' || attempt !== own.startingAttempt;
      }),
      memory: state.memory,
      nowMs: ctx.env.clock.nowMs(),
      limits,
    };
  }

  /** The pod with what we know of its status sooner than the watch tells us. */
  #effective(state: PodWorkerState): Pod {
    return withStatus(regarding(state.pod), { podIP: state.memory.podIP }, state.written);
  }

  #probing(ctx: Context) {
    return { parts: this.#options.parts, operations: this.#operations, ctx };
  }

  #wakeAt(atMs: number | undefined, ctx: Context): void {
    if (atMs === undefined) ctx.cancelTimer('wake');
    else ctx.setTimer('wake', Math.max(1, atMs - ctx.env.clock.nowMs()), { type: 'PodWake' });
  }

  /** Operations answer for what can go wrong; a rejection is a fault of ours and crashes this actor. */
  #run<T>(ctx: Context, work: Promise<T>, done: (value: T) => PodWorkerMessage): void {
    ctx.pipeToSelf(work, done, (error) => ({ type: 'OperationCrashed', error }));
  }
}

function update(
  state: PodWorkerState,
  name: string,
  change: Parameters<typeof withContainer>[2],
): PodWorkerState {
  return { ...state, memory: withContainer(state.memory, name, change) };
}

/** Somebody else (a node controller) wrote over our conditions after us: write them again. */
function forgetOverwritten(state: PodWorkerState): PodWorkerState {
  const { pod, written } = state;
  // Resource versions are decimal and comparable (KEP-5504); an older one only shows what we know already.
  if (state.writing !== undefined || Number(pod.metadata?.resourceVersion ?? 0) <= state.writtenVersion)
    return state;
  const overwritten = written?.conditions?.some(({ type, status }) =>
    pod.status?.conditions?.some((other) => other.type === type && other.status !== status),
  );
  return overwritten ? { ...state, written: {} } : state;
}

function containerOf(pod: Pod, name: string): Container {
  const found = allContainers(pod).find((container) => container.name === name);
  if (found === undefined) throw new TypeError(`pod ${podName(pod)} has no container ${name}`);
  return found;
}

function podName(pod: Pod): string {
  return `${pod.metadata?.name}_${pod.metadata?.namespace}(${pod.metadata?.uid})`;
}
