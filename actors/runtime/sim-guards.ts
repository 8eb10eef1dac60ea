/**
 * While a simulation runs, every source of time, chance and turns that is not Env throws, loudly, with the way out
 * in its message (after Temporal's workflow sandbox). Guards go up around each `Simulation.run`, and come down
 * after it; code that kept a function from before (mocha, this runtime's own turn) goes on.
 */
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

let installed = 0;
let restore: () => void = () => {};

/** Nests; returns the way to take this installation down. */
export function installGuards(): () => void {
  if (installed === 0) restore = install();
  installed += 1;
  let mine = true;
  return () => {
    if (!mine) return;
    mine = false;
    installed -= 1;
    if (installed === 0) restore();
  };
}

function install(): () => void {
  const undo = patches.map(({ target, key, what, instead }) => {
    const before = Object.getOwnPropertyDescriptor(target, key);
    Object.defineProperty(target, key, {
      configurable: true,
      enumerable: before?.enumerable ?? false,
      writable: true,
      value: guard(what, instead),
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

function guard(what: string, instead: string): (() => never) & { bigint: () => never } {
  const refuse = () => {
    throw new NondeterminismError(what, instead);
  };
  // process.hrtime.bigint
  return Object.assign(() => refuse(), { bigint: refuse });
}

/** Dates from a given time stay usable; only asking for the present throws. */
function guardedDate(real: DateConstructor): DateConstructor {
  const refuse = (what: string): never => {
    throw new NondeterminismError(what, 'env.clock.nowMs()');
  };
  return new Proxy(real, {
    construct: (target, args: unknown[], newTarget) =>
      args.length === 0
        ? refuse('new Date()')
        : (Reflect.construct(target, args, newTarget as typeof real) as object),
    apply: () => refuse('Date()'),
    get: (target, key, receiver) =>
      key === 'now' ? () => refuse('Date.now') : (Reflect.get(target, key, receiver) as unknown),
  });
}
