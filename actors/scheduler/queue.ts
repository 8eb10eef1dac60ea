/**
 * Pods that wait for a node (kube-scheduler `scheduling_queue.go`): active ones by priority, then age; those
 * that just failed back off; those that no node takes wait for an event that one of the plugins that refused
 * them finds helpful, or for five minutes; gated ones wait for their gates to go. Each pod remembers the
 * cause of its last change.
 */
import type { Clock, Timer } from '../../transport/index.js';
import type { Pod } from '../objects/types/core.js';
import type { Cause } from '../runtime/index.js';
import type { ClusterEvent } from './framework.js';
import { Heap } from './heap.js';
import { type SchedulerLimits, schedulerLimits } from './limits.js';
import { type PodInfo, podInfo } from './pod-info.js';

export type QueueState = 'active' | 'in-flight' | 'backoff' | 'unschedulable' | 'gated';

export interface QueuedPod {
  readonly info: PodInfo;
  readonly cause: Cause | undefined;
  /** How often it was tried, this time included. */
  readonly attempts: number;
}

interface Entry {
  info: PodInfo;
  cause: Cause | undefined;
  state: QueueState;
  attempts: number;
  /** When it last entered the active queue or was tried, local monotonic. */
  sinceMs: number;
  attemptedAtMs: number;
  refusedBy: ReadonlySet<string>;
  timer?: Timer | undefined;
}

interface Ticket {
  readonly entry: Entry;
  readonly priority: number;
  readonly sinceMs: number;
  readonly order: number;
}

export interface SchedulingQueueOptions {
  readonly clock: Clock;
  readonly cause: () => Cause | undefined;
  /** Told whenever `pop` may have something to give. */
  readonly onReady: () => void;
  /** What the plugin of that name thinks of the event. */
  readonly helps: (plugin: string, event: ClusterEvent, pod: PodInfo) => boolean;
  readonly limits?: Partial<SchedulerLimits>;
}

export class SchedulingQueue {
  readonly #options: SchedulingQueueOptions;
  readonly #limits: SchedulerLimits;
  readonly #entries = new Map<string, Entry>();
  /** May hold tickets of pods that have left; they are skipped. */
  readonly #active = new Heap<Ticket>(comesBefore);
  #order = 0;
  #flush: Timer | undefined;

  constructor(options: SchedulingQueueOptions) {
    this.#options = options;
    this.#limits = { ...schedulerLimits, ...options.limits };
  }

  stateOf(uid: string): QueueState | undefined {
    return this.#entries.get(uid)?.state;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A new pod without a node, or one that changed. A change of its status alone wakes nobody. */
  put(pod: Pod): void {
    const info = podInfo(pod);
    const known = this.#entries.get(info.uid);
    const cause = this.#options.cause();
    if (!known) {
      const now = this.#options.clock.monotonicMs();
      const entry: Entry = {
        info,
        cause,
        state: 'gated',
        attempts: 0,
        sinceMs: now,
        attemptedAtMs: now,
        refusedBy: new Set(),
      };
      this.#entries.set(info.uid, entry);
      if (!isGated(pod)) this.#activate(entry);
      return;
    }
    const changed = !sameRequest(known.info.pod, pod);
    known.info = info;
    if (!changed) return;
    known.cause = cause;
    if (known.state === 'gated' && !isGated(pod)) this.#activate(known);
    else if (known.state === 'unschedulable') this.#retry(known);
    else if (known.state === 'active') this.#activate(known);
  }

  remove(uid: string): void {
    const entry = this.#entries.get(uid);
    entry?.timer?.cancel();
    if (entry) entry.state = 'in-flight';
    this.#entries.delete(uid);
  }

  /** The next pod to try; it is the caller's until `done`, `refused` or `failed`. */
  pop(): QueuedPod | undefined {
    for (let ticket = this.#active.pop(); ticket; ticket = this.#active.pop()) {
      const { entry, order } = ticket;
      if (entry.state !== 'active' || this.#tickets.get(entry) !== order) continue;
      entry.state = 'in-flight';
      entry.attempts += 1;
      entry.attemptedAtMs = this.#options.clock.monotonicMs();
      return { info: entry.info, cause: entry.cause, attempts: entry.attempts };
    }
    return undefined;
  }

  /** It has a node. */
  done(uid: string): void {
    this.remove(uid);
  }

  /** No node takes it: wait for an event that helps one of these plugins. */
  refused(uid: string, plugins: ReadonlySet<string>): void {
    const entry = this.#entries.get(uid);
    if (entry?.state !== 'in-flight') return;
    entry.state = 'unschedulable';
    entry.refusedBy = plugins;
    this.#scheduleFlush();
  }

  /** It was not the pod's fault (a binding failed): try again after its backoff. */
  failed(uid: string): void {
    const entry = this.#entries.get(uid);
    if (entry?.state === 'in-flight') this.#retry(entry);
  }

  /** Tries those again that the event may help. */
  wake(event: ClusterEvent): void {
    for (const entry of this.#entries.values()) {
      if (entry.state !== 'unschedulable') continue;
      const { refusedBy, info } = entry;
      // Nobody in particular refused it: there was no node at all.
      const anyNode = refusedBy.size === 0 && event.type === 'NodeAdded';
      const helped = anyNode || [...refusedBy].some((plugin) => this.#options.helps(plugin, event, info));
      if (!helped) continue;
      entry.cause = this.#options.cause();
      this.#retry(entry);
    }
  }

  stop(): void {
    for (const entry of this.#entries.values()) entry.timer?.cancel();
    this.#entries.clear();
    this.#flush?.cancel();
    this.#flush = undefined;
  }

  /** The newest ticket of each entry; older ones of the heap are void. */
  readonly #tickets = new WeakMap<Entry, number>();

  #activate(entry: Entry): void {
    entry.timer?.cancel();
    entry.timer = undefined;
    entry.state = 'active';
    this.#order += 1;
    this.#tickets.set(entry, this.#order);
    const { priority } = entry.info;
    this.#active.push({ entry, priority, sinceMs: entry.sinceMs, order: this.#order });
    this.#options.onReady();
  }

  /** To the active queue, or first to sit out the rest of its backoff. */
  #retry(entry: Entry): void {
    const { clock } = this.#options;
    const waitMs = entry.attemptedAtMs + this.backoffMs(entry.attempts) - clock.monotonicMs();
    entry.sinceMs = clock.monotonicMs();
    if (waitMs <= 0) return this.#activate(entry);
    entry.state = 'backoff';
    entry.timer?.cancel();
    entry.timer = clock.setTimer(waitMs, () => this.#activate(entry));
  }

  /** 1 s, 2 s, 4 s ... 10 s by number of attempts. */
  backoffMs(attempts: number): number {
    if (attempts === 0) return 0;
    const { backoffMinMs, backoffMaxMs } = this.#limits;
    return Math.min(backoffMinMs * 2 ** Math.min(attempts - 1, 30), backoffMaxMs);
  }

  #scheduleFlush(): void {
    const { clock } = this.#options;
    this.#flush ??= clock.setTimer(this.#limits.flushPeriodMs, () => {
      this.#flush = undefined;
      let waiting = false;
      for (const entry of this.#entries.values()) {
        if (entry.state !== 'unschedulable') continue;
        if (clock.monotonicMs() - entry.attemptedAtMs >= this.#limits.unschedulableMaxMs) this.#retry(entry);
        else waiting = true;
      }
      if (waiting) this.#scheduleFlush();
    });
  }
}

function comesBefore(a: Ticket, b: Ticket): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  if (a.sinceMs !== b.sinceMs) return a.sinceMs < b.sinceMs;
  return a.order < b.order;
}

function isGated(pod: Pod): boolean {
  return (pod.spec?.schedulingGates?.length ?? 0) > 0;
}

function sameRequest(a: Pod, b: Pod): boolean {
  const relevant = ({ spec, metadata }: Pod) =>
    JSON.stringify([spec, metadata?.labels, metadata?.annotations]);
  return relevant(a) === relevant(b);
}
