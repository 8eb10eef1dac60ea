/**
 * The watches that a member serves: pulls batches from the hub as long as the client gives credit, in a later turn than
 * the apply that made them, so that one batch carries all that a turn brought. Credit is in batches and in bytes, and one
 * that catches up takes a few batches a turn: neither fills memory nor holds up the others (etcd #17529, #16839).
 */
import {
  StorageError,
  type Watcher,
  type WatchBatch,
  type WatchBudget,
  type WatchHub,
  type WatchStep,
} from 'raft-consensus';
import type { ActorContext, ActorRef } from '../runtime/index.js';
import { decodeCause } from './context.js';
import type { StoreLimits } from './limits.js';
import type { StoreMessage, StoreWatchMessage, StoreWatchReply } from './messages.js';

interface Subscription {
  readonly watchId: string;
  readonly replyTo: ActorRef<StoreWatchReply>;
  readonly watcher: Watcher;
  readonly creditBatches: number;
  /** Batches that the client said it took; `seq` is how many were sent. */
  taken: number;
  seq: number;
  /** Of the batches sent and not taken yet, oldest first. */
  readonly sizes: number[];
  bytesInFlight: number;
  scheduled: boolean;
  lastSentAtMs: number;
}

export class Watchers {
  readonly #hub: WatchHub;
  readonly #ctx: ActorContext<StoreMessage>;
  readonly #limits: StoreLimits;
  readonly #subscriptions = new Map<string, Subscription>();
  /** On their way to all of them. */
  #bytesInFlight = 0;
  /** They have credit of their own, and wait until less is on its way to all. */
  readonly #held = new Set<Subscription>();

  constructor(hub: WatchHub, ctx: ActorContext<StoreMessage>, limits: StoreLimits) {
    this.#hub = hub;
    this.#ctx = ctx;
    this.#limits = limits;
  }

  open(message: Extract<StoreWatchMessage, { type: 'StoreWatch' }>): void {
    const { watchId, replyTo, request } = message;
    // A letter that arrives twice does not make two watches.
    if (this.#subscriptions.has(watchId)) return;
    if (this.#subscriptions.size >= this.#limits.watchesMax) {
      this.#ctx.tell<StoreWatchReply>(replyTo, { type: 'StoreWatchLost', watchId });
      return;
    }
    const watcher = this.#hub.watch(request, () => this.#schedule(subscription));
    const subscription: Subscription = {
      watchId,
      replyTo,
      watcher,
      creditBatches: message.credit,
      taken: 0,
      seq: 0,
      sizes: [],
      bytesInFlight: 0,
      scheduled: false,
      lastSentAtMs: Number.NEGATIVE_INFINITY,
    };
    this.#subscriptions.set(watchId, subscription);
    this.#ctx.watch(replyTo, () => ({ type: 'StoreWatchCancel', watchId }));
    this.#pull(subscription);
    // The client learns at once that the watch stands.
    if (subscription.seq === 0) this.#sendProgress(subscription);
  }

  credit(watchId: string, taken: number): void {
    const subscription = this.#subscriptions.get(watchId);
    if (!subscription || taken <= subscription.taken || taken > subscription.seq) return;
    for (const bytes of subscription.sizes.splice(0, taken - subscription.taken)) {
      this.#count(subscription, -bytes);
    }
    subscription.taken = taken;
    this.#schedule(subscription);
    this.#letGo();
  }

  cancel(watchId: string): void {
    const subscription = this.#subscriptions.get(watchId);
    if (!subscription) return;
    this.#subscriptions.delete(watchId);
    this.#held.delete(subscription);
    this.#count(subscription, -subscription.bytesInFlight);
    this.#letGo();
    this.#ctx.unwatch(subscription.replyTo);
    subscription.watcher.close();
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  /** Those who get nothing before what was sent is taken, by them or by others. */
  get slowCount(): number {
    let count = 0;
    for (const subscription of this.#subscriptions.values()) {
      if (this.#held.has(subscription) || !this.#hasCredit(subscription)) count += 1;
    }
    return count;
  }

  /** Says how far the store is to one who asked. One that is behind hears of it with the events that it lacks. */
  progressOf(watchId: string): void {
    const subscription = this.#subscriptions.get(watchId);
    if (subscription) this.#sendProgress(subscription);
  }

  /** Says how far the store is to those who have heard nothing for a while. */
  progress(): void {
    const nowMs = this.#ctx.env.clock.monotonicMs();
    for (const subscription of this.#subscriptions.values()) {
      if (nowMs - subscription.lastSentAtMs >= this.#limits.watchProgressIntervalMs)
        this.#sendProgress(subscription);
    }
  }

  close(): void {
    for (const { watchId, replyTo } of this.#subscriptions.values()) {
      this.#ctx.tell<StoreWatchReply>(replyTo, { type: 'StoreWatchLost', watchId });
      this.cancel(watchId);
    }
  }

  #schedule(subscription: Subscription): void {
    if (subscription.scheduled) return;
    subscription.scheduled = true;
    this.#ctx.env.clock.defer(() => {
      subscription.scheduled = false;
      if (this.#subscriptions.get(subscription.watchId) === subscription) this.#pull(subscription);
    });
  }

  #pull(subscription: Subscription): void {
    const { watchBatchEvents: eventsMax, watchBatchesPerTurn } = this.#limits;
    this.#held.delete(subscription);
    for (let left = watchBatchesPerTurn; this.#hasCredit(subscription); left--) {
      if (this.#mustWait(subscription)) {
        this.#held.add(subscription);
        return;
      }
      // The others' turn.
      if (left === 0) return this.#schedule(subscription);
      const budget = this.#isCrowded
        ? { eventsMax, bytesMax: this.#limits.watchSmallBatchBytes }
        : { eventsMax };
      const step = nextOf(subscription.watcher, budget);
      if (step === null) return;
      switch (step.type) {
        case 'batch':
          this.#send(subscription, step.batch);
          break;
        case 'idle':
        case 'closed':
          return;
        case 'compacted': {
          const { watchId, replyTo } = subscription;
          this.cancel(watchId);
          const { compactRevision } = step;
          this.#ctx.tell<StoreWatchReply>(replyTo, { type: 'StoreWatchCompacted', watchId, compactRevision });
          return;
        }
        default:
          step satisfies never;
      }
    }
  }

  #hasCredit({ creditBatches, taken, seq, bytesInFlight }: Subscription): boolean {
    return seq - taken < creditBatches && bytesInFlight < this.#limits.watchBytesInFlightMax;
  }

  /** Too much is on its way to all; one to which nothing is gets its batch all the same. */
  #mustWait({ bytesInFlight }: Subscription): boolean {
    return bytesInFlight > 0 && this.#isCrowded;
  }

  get #isCrowded(): boolean {
    return this.#bytesInFlight >= this.#limits.watchBytesInFlightTotalMax;
  }

  #count(subscription: Subscription, bytes: number): void {
    subscription.bytesInFlight += bytes;
    this.#bytesInFlight += bytes;
  }

  #letGo(): void {
    if (this.#held.size === 0 || this.#isCrowded) return;
    for (const subscription of this.#held) this.#schedule(subscription);
    this.#held.clear();
  }

  #sendProgress(subscription: Subscription): void {
    const batch = this.#hasCredit(subscription) ? subscription.watcher.progress() : null;
    if (batch) return this.#send(subscription, batch);
    const { watchId, replyTo, seq } = subscription;
    subscription.lastSentAtMs = this.#ctx.env.clock.monotonicMs();
    this.#ctx.tell<StoreWatchReply>(replyTo, { type: 'StoreWatchAlive', watchId, seq });
  }

  #send(subscription: Subscription, batch: WatchBatch): void {
    const { watchId, replyTo, seq } = subscription;
    const bytes = bytesOf(batch);
    subscription.seq += 1;
    subscription.sizes.push(bytes);
    this.#count(subscription, bytes);
    subscription.lastSentAtMs = this.#ctx.env.clock.monotonicMs();
    // A batch stands under its last write, so that the trace of that request goes on with it.
    this.#ctx.system.withCause(decodeCause(batch.events.at(-1)?.context), () => {
      this.#ctx.tell<StoreWatchReply>(replyTo, { type: 'StoreWatchBatch', watchId, seq, batch });
    });
  }
}

/** Null: its history cannot be read, of which `onFatal` was told; this member says nothing more. */
function nextOf(watcher: Watcher, budget: WatchBudget): WatchStep | null {
  try {
    return watcher.next(budget);
  } catch (error) {
    if (error instanceof StorageError) return null;
    throw error;
  }
}

/** Keys and values. */
export function bytesOf({ events }: WatchBatch): number {
  let bytes = 0;
  for (const { kv, prevKv } of events) {
    bytes += kv.key.length + kv.value.length;
    if (prevKv !== undefined) bytes += prevKv.key.length + prevKv.value.length;
  }
  return bytes;
}
