/**
 * The watches that a member serves: pulls batches from the hub as long as the client gives credit, in a later turn than
 * the apply that made them, so that one batch carries all that a turn brought. Credit is in batches and in bytes, and one
 * that catches up takes a few batches a turn: neither fills memory nor holds up the others (etcd #17529, #16839). However many
 * watches there are, a turn serves a few of them, and what it says to one client about many goes in one letter.
 */
import {
  revision,
  StorageError,
  type Watcher,
  type WatchBatch,
  type WatchBudget,
  type WatchHub,
  type WatchStep,
} from 'raft-consensus';
import { type ActorContext, type ActorRef, addressOf } from '../runtime/index.js';
import type { StoreLimits } from './limits.js';
import type { StoreMessage, StoreWatchMessage, StoreWatchReply } from './messages.js';
import { WatchLetters } from './watch-letters.js';

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
  /** It is to hear how far the store is, with its turn. */
  wantsProgress: boolean;
  lastSentAtMs: number;
}

export class Watchers {
  readonly #hub: WatchHub;
  readonly #ctx: ActorContext<StoreMessage>;
  readonly #limits: StoreLimits;
  readonly #subscriptions = new Map<string, Subscription>();
  /** On their way to all of them. */
  #bytesInFlight = 0;
  /** Since the beginning. */
  #bytesSent = 0;
  /** They have credit of their own, and wait until less is on its way to all. */
  readonly #held = new Set<Subscription>();
  /** By the address of the client: its watches. */
  readonly #clients = new Map<string, Set<Subscription>>();
  /** Whose turn is next. */
  #ready: Subscription[] = [];
  #isScheduled = false;
  readonly #letters: WatchLetters;

  constructor(hub: WatchHub, ctx: ActorContext<StoreMessage>, limits: StoreLimits) {
    this.#hub = hub;
    this.#ctx = ctx;
    this.#limits = limits;
    this.#letters = new WatchLetters(ctx, limits.watchesPerTurn);
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
      // The client learns at once that the watch stands.
      wantsProgress: true,
      lastSentAtMs: Number.NEGATIVE_INFINITY,
    };
    this.#subscriptions.set(watchId, subscription);
    this.#join(subscription);
    this.#schedule(subscription);
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
    this.#leave(subscription);
    subscription.watcher.close();
  }

  /** Nobody is there any more to hear of its watches. */
  clientGone(address: string): void {
    for (const { watchId } of this.#clients.get(address) ?? []) this.cancel(watchId);
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  get queuedEvents(): number {
    return this.#hub.queuedEvents();
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
    if (subscription) this.#scheduleProgress(subscription);
  }

  /** Says how far the store is to those who have heard nothing for a while. */
  progress(): void {
    const nowMs = this.#ctx.env.clock.monotonicMs();
    for (const subscription of this.#subscriptions.values()) {
      if (nowMs - subscription.lastSentAtMs >= this.#limits.watchProgressIntervalMs)
        this.#scheduleProgress(subscription);
    }
  }

  close(): void {
    for (const { watchId, replyTo } of this.#subscriptions.values()) {
      this.#ctx.tell<StoreWatchReply>(replyTo, { type: 'StoreWatchLost', watchId });
      this.cancel(watchId);
    }
  }

  #join(subscription: Subscription): void {
    const { replyTo } = subscription;
    const client = addressOf(replyTo);
    const known = this.#clients.get(client);
    if (known) return void known.add(subscription);
    this.#clients.set(client, new Set([subscription]));
    this.#ctx.watch(replyTo, () => ({ type: 'StoreWatcherGone', client }));
  }

  #leave(subscription: Subscription): void {
    const { replyTo } = subscription;
    const client = addressOf(replyTo);
    const known = this.#clients.get(client);
    known?.delete(subscription);
    if (known?.size !== 0) return;
    this.#clients.delete(client);
    this.#ctx.unwatch(replyTo);
  }

  #scheduleProgress(subscription: Subscription): void {
    subscription.wantsProgress = true;
    this.#schedule(subscription);
  }

  #schedule(subscription: Subscription): void {
    if (subscription.scheduled) return;
    subscription.scheduled = true;
    this.#ready.push(subscription);
    this.#scheduleTurn();
  }

  #scheduleTurn(): void {
    if (this.#isScheduled || this.#ready.length === 0) return;
    this.#isScheduled = true;
    this.#ctx.env.clock.defer(() => {
      this.#isScheduled = false;
      this.#turn();
      this.#scheduleTurn();
    });
  }

  /** Of a few watches; the rest of the event loop goes on between two turns. */
  #turn(): void {
    const { watchesPerTurn, watchTurnBytes } = this.#limits;
    const bytesBefore = this.#bytesSent;
    let served = 0;
    const due = this.#ready;
    while (served < due.length && served < watchesPerTurn && this.#bytesSent - bytesBefore < watchTurnBytes) {
      const subscription = due[served++]!;
      subscription.scheduled = false;
      if (this.#subscriptions.get(subscription.watchId) === subscription) this.#serve(subscription);
    }
    this.#ready.splice(0, served);
    this.#letters.flush();
  }

  #serve(subscription: Subscription): void {
    const { seq, wantsProgress } = subscription;
    subscription.wantsProgress = false;
    this.#pull(subscription);
    // A batch says it, too; and one that ended was told.
    const hasHeard = subscription.seq > seq || !this.#subscriptions.has(subscription.watchId);
    if (wantsProgress && !hasHeard) this.#sendProgress(subscription);
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
          this.#letters.flush();
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
    const { watchId, replyTo, watcher, taken, seq } = subscription;
    const isStuck = this.#isCrowded || this.#held.has(subscription) || !this.#hasCredit(subscription);
    subscription.lastSentAtMs = this.#ctx.env.clock.monotonicMs();
    const at = watcher.progress()?.revision ?? revision(0);
    this.#letters.alive(replyTo, [watchId, seq, at, taken < seq && isStuck]);
  }

  #send(subscription: Subscription, batch: WatchBatch): void {
    const { watchId, replyTo, seq } = subscription;
    const bytes = bytesOf(batch);
    subscription.seq += 1;
    subscription.sizes.push(bytes);
    this.#count(subscription, bytes);
    this.#bytesSent += bytes;
    subscription.lastSentAtMs = this.#ctx.env.clock.monotonicMs();
    this.#letters.batch(replyTo, [watchId, seq], batch);
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
