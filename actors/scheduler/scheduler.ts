/**
 * The scheduler actor: takes one pod after the other from the queue, decides (schedule-pod.ts), assumes the
 * pod on its node and binds it while the next one is decided. All writes carry the fencing token; what it
 * knows it can rebuild from its informers at any time.
 */
import {
  type ApiClient,
  ApiError,
  createEventRecorder,
  createInformerFactory,
  type EventRecorder,
  type Informer,
  type InformerFactory,
  informersChild,
  isConflict,
  isNotFound,
  namespaces,
  nodes,
  podDisruptionBudgets,
  pods,
} from '../client/index.js';
import { formatTime } from '../objects/index.js';
import type { Namespace, Node, Pod, PodCondition } from '../objects/types/core.js';
import type { PodDisruptionBudget } from '../objects/types/policy.js';
import type { Actor, ActorContext, ActorSystem, ChildSpec, SupervisorSpec } from '../runtime/index.js';
import { namespaceHandlers, nodeHandlers, podHandlers } from './cluster-view.js';
import { type SchedulerLimits, schedulerLimits } from './limits.js';
import { type PodInfo } from './pod-info.js';
import { budgetOf, findVictims, type Preemption } from './preemption.js';
import { defaultProfile, type ProfileEntry } from './profile.js';
import { type QueuedPod, SchedulingQueue } from './queue.js';
import { type Decision, schedulePod } from './schedule-pod.js';
import { Snapshot } from './snapshot.js';

export interface SchedulerOptions {
  readonly system: ActorSystem;
  readonly client: ApiClient;
  /** Of the lease under which this scheduler runs. */
  readonly fencing?: string;
  /** Default `default-scheduler`. */
  readonly schedulerName?: string;
  readonly profile?: readonly ProfileEntry[];
  readonly limits?: Partial<SchedulerLimits>;
}

export type SchedulerMessage =
  | { readonly type: 'SchedulePod'; readonly queued: QueuedPod }
  | { readonly type: 'PodBound'; readonly pod: PodInfo; readonly node: string }
  | { readonly type: 'BindingFailed'; readonly pod: PodInfo; readonly error: unknown }
  | { readonly type: 'RefusalReported' }
  | { readonly type: 'ReportFailed'; readonly pod: PodInfo; readonly error: unknown };

/** The scheduler with its informers; when they crash, it starts over with them. */
export function schedulerSpec(options: SchedulerOptions): SupervisorSpec {
  const { system, client } = options;
  const factory = createInformerFactory({ system, client, startPaused: true });
  return {
    id: 'scheduler',
    strategy: 'rest-for-one',
    intensity: { maxRestarts: 5, windowMs: 30_000 },
    backoff: { minMs: 50, maxMs: 2_000, resetAfterMs: 60_000 },
    children: [informersChild(factory), schedulerChild(options, factory)],
  };
}

function schedulerChild(options: SchedulerOptions, factory: InformerFactory): ChildSpec<SchedulerMessage> {
  return { id: 'scheduler', start: () => new Scheduler(options, factory) };
}

class Scheduler implements Actor<undefined, SchedulerMessage> {
  readonly #options: SchedulerOptions;
  readonly #limits: SchedulerLimits;
  readonly #profile: readonly ProfileEntry[];
  readonly #informers: readonly [
    Informer<Namespace>,
    Informer<Node>,
    Informer<Pod>,
    Informer<PodDisruptionBudget>,
  ];
  readonly #snapshot = new Snapshot();
  readonly #recorder: EventRecorder;
  #queue!: SchedulingQueue;
  #detach: (() => void)[] = [];
  /** Pods on their way: to be decided, being bound, or being reported. */
  #busy = 0;
  #stopped = false;

  constructor(options: SchedulerOptions, factory: InformerFactory) {
    this.#options = options;
    this.#limits = { ...schedulerLimits, ...options.limits };
    this.#profile = options.profile ?? defaultProfile;
    this.#informers = [
      factory.informer(namespaces),
      factory.informer(nodes),
      factory.informer(pods),
      factory.informer(podDisruptionBudgets),
    ];
    const { system, client } = options;
    this.#recorder = createEventRecorder({ system, client, component: this.#name });
  }

  get #name(): string {
    return this.#options.schedulerName ?? 'default-scheduler';
  }

  initial(ctx: ActorContext<SchedulerMessage>): undefined {
    const plugins = new Map(this.#profile.map(({ plugin }) => [plugin.name, plugin]));
    const snapshot = this.#snapshot;
    const queue = new SchedulingQueue({
      clock: ctx.env.clock,
      cause: () => ctx.system.cause(),
      onReady: () => this.#pump(ctx),
      helps: (name, event, pod) => plugins.get(name)?.helps?.(event, pod, snapshot) ?? true,
      limits: this.#limits,
    });
    this.#queue = queue;
    const view = { snapshot, queue, schedulerName: this.#name };
    const synced = () => this.#pump(ctx);
    const [namespaceInformer, nodeInformer, podInformer, budgetInformer] = this.#informers;
    this.#detach = [
      namespaceInformer.addHandlers({ ...namespaceHandlers(view), synced }),
      nodeInformer.addHandlers({ ...nodeHandlers(view), synced }),
      podInformer.addHandlers({ ...podHandlers(view), synced }),
      budgetInformer.addHandlers({ synced }),
    ];
    return undefined;
  }

  receive(_state: undefined, message: SchedulerMessage, ctx: ActorContext<SchedulerMessage>): undefined {
    switch (message.type) {
      case 'SchedulePod':
        return this.#schedule(message.queued.info, ctx);
      case 'PodBound':
        return this.#bound(message.pod, message.node, ctx);
      case 'BindingFailed':
        return this.#bindingFailed(message.pod, message.error, ctx);
      case 'RefusalReported':
        return this.#finished(ctx);
      case 'ReportFailed':
        return this.#reportFailed(message.pod, message.error, ctx);
      default:
        message satisfies never;
    }
  }

  stopped(): void {
    this.#stopped = true;
    for (const detach of this.#detach) detach();
    this.#queue?.stop();
  }

  /**
   * Hands pods to this actor, each under the cause of its last change, while there is room for their writes.
   */
  #pump(ctx: ActorContext<SchedulerMessage>): void {
    if (this.#stopped || !this.#informers.every(({ hasSynced }) => hasSynced)) return;
    while (this.#busy < this.#limits.bindingsMax) {
      const queued = this.#queue.pop();
      if (!queued) return;
      this.#busy += 1;
      ctx.system.withCause(queued.cause, () => ctx.tell(ctx.self, { type: 'SchedulePod', queued }));
    }
  }

  #finished(ctx: ActorContext<SchedulerMessage>): undefined {
    this.#busy -= 1;
    this.#pump(ctx);
    return undefined;
  }

  #schedule(pod: PodInfo, ctx: ActorContext<SchedulerMessage>): undefined {
    // Bound by somebody else, deleted or changed while its message was under way.
    if (this.#queue.stateOf(pod.uid) !== 'in-flight') return this.#finished(ctx);
    const decision = schedulePod(pod, this.#snapshot, ctx.env.random, this.#profile);
    return decision.type === 'node' ? this.#bind(pod, decision, ctx) : this.#refuse(pod, decision, ctx);
  }

  #bind(
    pod: PodInfo,
    { node, evaluated, feasible }: Extract<Decision, { type: 'node' }>,
    ctx: ActorContext<SchedulerMessage>,
  ): undefined {
    ctx.note('pod placed', { pod: pod.key, node, evaluated, feasible });
    this.#snapshot.assume(pod, node);
    this.#snapshot.endNomination(pod.uid);
    const { name = '', namespace = '', uid = '' } = pod.pod.metadata ?? {};
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, namespace, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: node },
    };
    const { client } = this.#options;
    ctx.pipeToSelf(
      client.createSubresource(pods, namespace, name, 'binding', binding, this.#write()),
      (): SchedulerMessage => ({ type: 'PodBound', pod, node }),
      (error): SchedulerMessage => ({ type: 'BindingFailed', pod, error }),
    );
    return undefined;
  }

  #bound(pod: PodInfo, node: string, ctx: ActorContext<SchedulerMessage>): undefined {
    this.#queue.done(pod.uid);
    const message = `Successfully assigned ${pod.key} to ${node}`;
    this.#recorder.event(typedPod(pod.pod), 'Normal', 'Scheduled', message);
    return this.#finished(ctx);
  }

  /**
   * Also when the outcome is unknown: if the pod has a node after all, the informer says so before the
   * backoff ends.
   */
  #bindingFailed(pod: PodInfo, error: unknown, ctx: ActorContext<SchedulerMessage>): undefined {
    if (!(error instanceof ApiError)) throw error;
    const assumed = this.#snapshot.isAssumed(pod.uid);
    this.#snapshot.forget(pod.uid);
    if (assumed) this.#queue.wake({ type: 'PodGone', pod });
    if (isNotFound(error)) {
      this.#queue.remove(pod.uid);
      return this.#finished(ctx);
    }
    const { reason, definite } = error;
    ctx.note('binding failed', { pod: pod.key, reason, definite, error: error.message.slice(0, 200) });
    if (!isConflict(error)) {
      const message = `binding rejected: ${error.message}`;
      this.#recorder.event(typedPod(pod.pod), 'Warning', 'FailedScheduling', message);
    }
    this.#queue.failed(pod.uid);
    return this.#finished(ctx);
  }

  #refuse(
    pod: PodInfo,
    refusal: Extract<Decision, { type: 'unschedulable' }>,
    ctx: ActorContext<SchedulerMessage>,
  ): undefined {
    const preemption = this.#preemptionFor(pod, refusal, ctx);
    const after = preemption.type === 'victims' ? '' : ` preemption: ${preemption.message}`;
    const message = refusal.plugins.size === 0 ? refusal.message : `${refusal.message}${after}`;
    ctx.note('pod unschedulable', { pod: pod.key, message: message.slice(0, 200) });
    this.#queue.refused(pod.uid, refusal.plugins);
    this.#recorder.event(typedPod(pod.pod), 'Warning', 'FailedScheduling', message);
    if (preemption.type === 'victims') this.#snapshot.nominate(pod, preemption.node);
    if (preemption.type === 'none') this.#snapshot.endNomination(pod.uid);
    const work = this.#report(pod, message, preemption, ctx);
    if (!work) return this.#finished(ctx);
    ctx.pipeToSelf(
      work,
      (): SchedulerMessage => ({ type: 'RefusalReported' }),
      (error): SchedulerMessage => ({ type: 'ReportFailed', pod, error }),
    );
    return undefined;
  }

  #preemptionFor(
    pod: PodInfo,
    { plugins, unresolvable }: Extract<Decision, { type: 'unschedulable' }>,
    ctx: ActorContext<SchedulerMessage>,
  ): Preemption {
    if (plugins.size === 0) return { type: 'none', message: '' };
    const snapshot = this.#snapshot;
    const budgets = this.#informers[3].list().map(budgetOf);
    const { random } = ctx.env;
    const profile = this.#profile;
    return snapshot.withNominated(pod, () =>
      findVictims({ pod, snapshot, profile, unresolvable, budgets, random }),
    );
  }

  /** The condition first, then the evictions; undefined when there is nothing to write. */
  #report(
    pod: PodInfo,
    message: string,
    preemption: Preemption,
    ctx: ActorContext<SchedulerMessage>,
  ): Promise<void> | undefined {
    const condition = this.#condition(pod.pod, message, ctx);
    const nominated = nomination(pod, preemption);
    const conditions = condition ? { conditions: [condition] } : {};
    const status = { ...conditions, ...nominated };
    if (Object.keys(status).length === 0) return undefined;
    const { name = '', namespace = '' } = pod.pod.metadata ?? {};
    const { client } = this.#options;
    const options = { ...this.#write(), subresource: 'status' };
    const told = client.patch(pods, namespace, name, 'strategic', { status }, options);
    if (preemption.type !== 'victims') return told.then(() => undefined);
    const evict = async () => {
      await told;
      for (const victim of preemption.victims) await this.#evict(victim, pod, preemption.node, ctx);
    };
    return evict();
  }

  async #evict(
    victim: PodInfo,
    pod: PodInfo,
    node: string,
    ctx: ActorContext<SchedulerMessage>,
  ): Promise<void> {
    if (victim.terminating) return;
    const { client } = this.#options;
    const { name = '', namespace = '', uid = '' } = victim.pod.metadata ?? {};
    const condition: PodCondition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'PreemptionByScheduler',
      message: `${this.#name}: preempting to accommodate a higher priority pod`,
      lastTransitionTime: formatTime(ctx.env.clock.nowMs()),
    };
    try {
      const patch = { status: { conditions: [condition] } };
      await client.patch(pods, namespace, name, 'strategic', patch, {
        ...this.#write(),
        subresource: 'status',
      });
      await client.delete(pods, namespace, name, { ...this.#write(), preconditions: { uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return;
    }
    const message = `Preempted by pod ${pod.uid} on node ${node}`;
    this.#recorder.event(typedPod(victim.pod), 'Normal', 'Preempted', message);
  }

  /** Undefined when the pod says so already. */
  #condition(pod: Pod, message: string, ctx: ActorContext<SchedulerMessage>): PodCondition | undefined {
    const before = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    const still = before?.status === 'False';
    if (still && before.reason === 'Unschedulable' && before.message === message) return undefined;
    const since = still ? before.lastTransitionTime : undefined;
    return {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime: since ?? formatTime(ctx.env.clock.nowMs()),
    };
  }

  #reportFailed(pod: PodInfo, error: unknown, ctx: ActorContext<SchedulerMessage>): undefined {
    if (!(error instanceof ApiError)) throw error;
    if (!isNotFound(error)) {
      ctx.note('condition not written', { pod: pod.key, error: error.message.slice(0, 200) });
    }
    return this.#finished(ctx);
  }

  #write(): { readonly fencing?: string } {
    const { fencing } = this.#options;
    return fencing === undefined ? {} : { fencing };
  }
}

/** What changes of status.nominatedNodeName. */
function nomination(pod: PodInfo, preemption: Preemption): { readonly nominatedNodeName?: string | null } {
  if (preemption.type === 'victims') return { nominatedNodeName: preemption.node };
  const stale = preemption.type === 'none' && pod.pod.status?.nominatedNodeName;
  return stale ? { nominatedNodeName: null } : {};
}

function typedPod(pod: Pod): Pod {
  return { apiVersion: 'v1', kind: 'Pod', ...pod };
}
