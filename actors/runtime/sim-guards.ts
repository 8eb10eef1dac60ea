/**
 * While a simulation runs, every source of time, chance and turns that is not Env throws, loudly, with the way out
 * in its message (after Temporal's workflow sandbox). Guards go up around each `Simulation.run`, and come down
 * after it. They bind what the simulation causes and nothing else: between two events the real loop turns, and a
 * real cluster or socket of the same process may have its callbacks then.
 */
import { strict as assert } from 'node:assert';
import { AsyncLocalStorage } from 'node:async_hooks';
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers';

export class NondeterminismError extends Error {
  readonly code = 'Nondeterminism';

  constructor(what: string, instead: string) {
    super(
      `${what} called while a simulation runs: this would make the run differ from its replay. Use ${instead}. ` +
        `If this is an edge, it does not belong into a simulated node.`,
    );
    this.name = 'NondeterminismError';
  }
}

type Patch = {
  readonly target: object;
  readonly key: string;
  readonly what: string;
  readonly instead: string;
};

const patches: readonly Patch[] = [
  { target: Math, key: 'random', what: 'Math.random', instead: 'env.random' },
  { target: performance, key: 'now', what: 'performance.now', instead: 'env.clock.monotonicMs()' },
  { target: process, key: 'hrtime', what: 'process.hrtime', instead: 'env.clock.monotonicMs()' },
  { target: process, key: 'uptime', what: 'process.uptime', instead: 'env.clock.monotonicMs()' },
  { target: crypto, key: 'randomUUID', what: 'crypto.randomUUID', instead: 'env.uuid()' },
  { target: crypto, key: 'randomBytes', what: 'crypto.randomBytes', instead: 'env.random.hex()' },
  { target: crypto, key: 'randomInt', what: 'crypto.randomInt', instead: 'env.random.integer()' },
  { target: globalThis.crypto, key: 'randomUUID', what: 'crypto.randomUUID', instead: 'env.uuid()' },
  {
    target: globalThis.crypto,
    key: 'getRandomValues',
    what: 'crypto.getRandomValues',
    instead: 'env.random.hex()',
  },
  ...[globalThis, timers, timers.promises].flatMap((target): Patch[] => [
    { target, key: 'setTimeout', what: 'setTimeout', instead: 'env.clock.setTimer' },
    { target, key: 'setInterval', what: 'setInterval', instead: 'env.clock.setTimer, again in its callback' },
    { target, key: 'setImmediate', what: 'setImmediate', instead: 'env.clock.defer' },
  ]),
];

let runs = 0;
let restore: () => void = () => {};

/** Code that runs under guards, and all that it causes. Disabled between runs, for each storage costs each promise. */
const guarded = new AsyncLocalStorage<true>();

/** Node's own handling of an uncaught error calls setImmediate, and a throw in there would end the process. */
let uncaught = false;
const onUncaught = () => {
  uncaught = true;
};

/** Runs `body` under guards; nests. */
export async function withGuards<T>(body: () => Promise<T>): Promise<T> {
  if (runs === 0) {
    restore = install();
    uncaught = false;
    process.on('uncaughtExceptionMonitor', onUncaught);
  }
  runs += 1;
  try {
    return await guarded.run(true, body);
  } finally {
    runs -= 1;
    if (runs === 0) {
      restore();
      guarded.disable();
      process.off('uncaughtExceptionMonitor', onUncaught);
    }
  }
}

function refuse(what: string, instead: string): void {
  if (guarded.getStore() && !uncaught) throw new NondeterminismError(what, instead);
}

function install(): () => void {
  const undo = patches.map(({ target, key, what, instead }) => {
    const before = Object.getOwnPropertyDescriptor(target, key);
    const real: unknown = Reflect.get(target, key);
    assert(typeof real === 'function');
    Object.defineProperty(target, key, {
      configurable: true,
      enumerable: before?.enumerable ?? false,
      writable: true,
      value: guard(real as GuardedFunction, what, instead),
    });
    return () => {
      // Inherited before (performance.now): uncover it again.
      if (before) Object.defineProperty(target, key, before);
      else Reflect.deleteProperty(target, key);
    };
  });
  const RealDate = globalThis.Date;
  globalThis.Date = guardedDate(RealDate);
  syncBuiltinESMExports();
  return () => {
    for (const step of undo.toReversed()) step();
    globalThis.Date = RealDate;
    syncBuiltinESMExports();
  };
}

type GuardedFunction = (...args: unknown[]) => unknown;

/** A proxy, so that what hangs on the function (hrtime.bigint, the promisified setTimeout) is there, and guarded. */
function guard(real: GuardedFunction, what: string, instead: string): GuardedFunction {
  return new Proxy(real, {
    apply: (target, self, args) => {
      refuse(what, instead);
      return Reflect.apply(target, self, args);
    },
    get: (target, key, receiver) => {
      const value: unknown = Reflect.get(target, key, receiver);
      return key === 'bigint' ? guard(value as GuardedFunction, what, instead) : value;
    },
  });
}

/** Dates from a given time stay usable; only asking for the present throws. */
function guardedDate(real: DateConstructor): DateConstructor {
  const instead = 'env.clock.nowMs()';
  return new Proxy(real, {
    construct: (target, args: unknown[], newTarget) => {
      if (args.length === 0) refuse('new Date()', instead);
      return Reflect.construct(target, args, newTarget as typeof real) as object;
    },
    apply: (target) => {
      refuse('Date()', instead);
      return target();
    },
    get: (target, key, receiver) => {
      if (key === 'now') refuse('Date.now', instead);
      return Reflect.get(target, key, receiver) as unknown;
    },
  });
}
