/**
 * A queue of keys for one controller (client-go `util/workqueue`): a key waits at most once, is never handed
 * to two workers at a time, and comes back after a failure with an exponentially growing pause. It remembers
 * the cause of the last `add` of a key, so that the work is traced to the newest change that asked for it.
 */
import { strict as assert } from 'node:assert';
import type { Clock, Timer } from '../../transport/index.js';
import type { Cause } from '../runtime/index.js';
import { type QueueLimits, queueLimits } from './limits.js';

export interface WorkItem {
  readonly key: string;
  readonly cause: Cause | undefined;
}

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** The cause of the code that is running, usually `() => system.cause()`. */
  readonly cause: () => Cause | undefined;
  /** Told whenever `take` may have something to give. */
  readonly onReady: () => void;
  readonly limits?: Partial<QueueLimits>;
}

interface Delayed {
  readonly timer: Timer;
  readonly atMs: number;
}

export class WorkQueue {
  readonly #clock: Clock;
  readonly #cause: () => Cause | undefined;
  readonly #onReady: () => void;
  readonly #limits: QueueLimits;
  /** Waiting, in order; the value is the cause. */
  readonly #waiting = new Map<string, Cause | undefined>();
  /** Handed out; `again` when the key was added meanwhile. */
  readonly #active = new Map<string, { again: boolean; cause: Cause | undefined }>();
  readonly #delayed = new Map<string, Delayed>();
  readonly #failures = new Map<string, number>();
  #stopped = false;

  constructor(options: WorkQueueOptions) {
    this.#clock = options.clock;
    this.#cause = options.cause;
    this.#onReady = options.onReady;
    this.#limits = { ...queueLimits, ...options.limits };
  }

  /** Keys waiting for a worker, without the delayed ones. */
  get length(): number {
    return this.#waiting.size;
  }

  get activeCount(): number {
    return this.#active.size;
  }

  add(key: string): void {
    this.#add(key, this.#cause());
  }

  #add(key: string, cause: Cause | undefined): void {
    if (this.#stopped) return;
    const active = this.#active.get(key);
    if (active) {
      active.again = true;
      active.cause = cause;
      return;
    }
    this.#enqueue(key, cause);
    this.#onReady();
  }

  /** Adds the key later, still under the present cause; of several calls the earliest counts. */
  addAfter(key: string, delayMs: number): void {
    if (this.#stopped) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const atMs = this.#clock.monotonicMs() + delayMs;
    const before = this.#delayed.get(key);
    if (before && before.atMs <= atMs) return;
    before?.timer.cancel();
    const cause = this.#cause();
    const timer = this.#clock.setTimer(delayMs, () => {
      this.#delayed.delete(key);
      this.#add(key, cause);
    });
    this.#delayed.set(key, { timer, atMs });
  }

  /**
   * Adds the key after the pause that its failures in a row have earned; returns that pause in milliseconds.
   */
  addRateLimited(key: string): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const delayMs = Math.min(this.#limits.retryMinMs * 2 ** Math.min(failures, 30), this.#limits.retryMaxMs);
    this.addAfter(key, delayMs);
    return delayMs;
  }

  /** The key went well: its next failure starts from the shortest pause again. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  failuresOf(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, which is the caller's until `done`. */
  take(): WorkItem | undefined {
    for (const [key, cause] of this.#waiting) {
      this.#waiting.delete(key);
      this.#active.set(key, { again: false, cause: undefined });
      return { key, cause };
    }
    return undefined;
  }

  done(key: string): void {
    const active = this.#active.get(key);
    assert(active, `done(${key}) without take`);
    this.#active.delete(key);
    if (!active.again || this.#stopped) return;
    this.#enqueue(key, active.cause);
    this.#onReady();
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#delayed.values()) timer.cancel();
    this.#delayed.clear();
    this.#waiting.clear();
  }

  #enqueue(key: string, cause: Cause | undefined): void {
    this.#waiting.set(key, cause);
    assert(
      this.#waiting.size <= this.#limits.keysMax,
      `more than ${this.#limits.keysMax} keys wait in a work queue`,
    );
  }
}
