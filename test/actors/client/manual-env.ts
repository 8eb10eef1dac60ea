/**
 * A clock that moves only when told to, a seeded random and the few parts of an ActorSystem that pure pieces
 * touch.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ActorSystem, Cause, Env } from '../../../actors/runtime/index.js';
import type { Clock, Random, Timer, TraceParent } from '../../../transport/index.js';
import { type Incarnation, nodeId } from '../../../transport/index.js';

interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  #scheduled: Scheduled[] = [];

  nowMs(): number {
    return Date.UTC(2026, 0, 1) + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, run: () => void): Timer {
    this.#order += 1;
    const entry = { atMs: this.#nowMs + delayMs, order: this.#order, run };
    this.#scheduled.push(entry);
    return {
      cancel: () => {
        this.#scheduled = this.#scheduled.filter((other) => other !== entry);
      },
    };
  }

  defer(run: () => void): void {
    this.setTimer(0, run);
  }

  get timerCount(): number {
    return this.#scheduled.length;
  }

  /** Runs what is due, in order, and lets promises settle in between. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await settle();
    for (;;) {
      const due = this.#scheduled
        .filter(({ atMs }) => atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (!due) break;
      this.#nowMs = due.atMs;
      this.#scheduled = this.#scheduled.filter((other) => other !== due);
      due.run();
      await settle();
    }
    this.#nowMs = untilMs;
  }
}

/** All promises that can settle without a timer have done so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    next,
    integer: (below) => Math.floor(next() * below),
    hex: (length) =>
      Array.from({ length }, () =>
        Math.floor(next() * 256)
          .toString(16)
          .padStart(2, '0'),
      ).join(''),
  };
}

export function causeNamed(name: string): Cause {
  return { trace: name as TraceParent };
}

export interface ManualSystem {
  readonly system: ActorSystem;
  readonly clock: ManualClock;
  readonly notes: string[];
}

export function manualSystem(seed = 1): ManualSystem {
  const clock = new ManualClock();
  const causes = new AsyncLocalStorage<Cause | undefined>();
  const notes: string[] = [];
  const env: Pick<Env, 'clock' | 'random'> = { clock, random: seededRandom(seed) };
  const system: Partial<ActorSystem> = {
    node: nodeId('master-1'),
    incarnation: 1 as Incarnation,
    env: env as Env,
    cause: () => causes.getStore(),
    withCause: (cause, work) => causes.run(cause, work),
    note: (_actor, kind) => void notes.push(kind),
  };
  return { system: system as ActorSystem, clock, notes };
}
