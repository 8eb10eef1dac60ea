/**
 * Makes a failing run small: fewer faults (delta debugging over their numbers), no more time than it took, a calm network,
 * fewer clients. Every try is a whole run; what it must still do is fail. Another failure than the first will do, as long as it
 * is one: leaving a fault out moves everything behind it.
 */
import { runSeed, type RunResult } from './run.js';
import { runOptionsOf, type SeedOptions } from './seed-options.js';

export interface Shrunk {
  readonly options: SeedOptions;
  readonly result: RunResult;
  readonly runs: number;
}

export interface ShrinkLimits {
  readonly runsMax: number;
  /** Asked between two runs: is it enough? */
  isOver(): boolean;
}

/** Undefined: the seed does not fail with these options. */
export async function shrink(
  seed: number,
  options: SeedOptions,
  limits: ShrinkLimits,
): Promise<Shrunk | undefined> {
  const result = await runSeed(seed, runOptionsOf(options));
  if (!result.violation) return undefined;
  const shrinking = new Shrinking(seed, options, result, limits);
  await shrinking.run();
  return shrinking.shrunk;
}

class Shrinking {
  readonly #seed: number;
  readonly #limits: ShrinkLimits;
  #options: SeedOptions;
  #result: RunResult;
  #runs = 1;

  constructor(seed: number, options: SeedOptions, result: RunResult, limits: ShrinkLimits) {
    this.#seed = seed;
    this.#limits = limits;
    this.#result = result;
    this.#options = this.#cut(options, result);
  }

  get shrunk(): Shrunk {
    return { options: this.#options, result: this.#result, runs: this.#runs };
  }

  async run(): Promise<void> {
    await this.#faults();
    await this.#try({ isCalm: true });
    await this.#try({ watchers: 0 });
    for (const writers of [1, 2, 3]) if (await this.#try({ writers })) break;
    await this.#faults();
  }

  /** Leaves out ever smaller parts of the list, for as long as it fails without them. */
  async #faults(): Promise<void> {
    for (let parts = 2; ;) {
      const only = this.#options.only ?? [];
      if (only.length === 0 || this.#isOver) return;
      const size = Math.ceil(only.length / parts);
      let isSmaller = false;
      for (let from = 0; from < only.length && !isSmaller; from += size) {
        isSmaller = await this.#try({ only: [...only.slice(0, from), ...only.slice(from + size)] });
      }
      if (isSmaller) parts = Math.max(2, parts - 1);
      else if (size === 1) return;
      else parts = Math.min(only.length, parts * 2);
    }
  }

  /** True: it still fails. */
  async #try(change: SeedOptions): Promise<boolean> {
    if (this.#isOver) return false;
    const options = { ...this.#options, ...change };
    this.#runs += 1;
    const result = await runSeed(this.#seed, runOptionsOf(options));
    if (!result.violation || saysNothing.test(result.violation.message)) return false;
    this.#options = this.#cut(options, result);
    this.#result = result;
    return true;
  }

  /** What comes after the failure did not cause it, and is left out. */
  #cut(options: SeedOptions, { struck, virtualMs, safetyMs }: RunResult): SeedOptions {
    return { ...options, only: struck, safetyMs: Math.ceil(Math.min(safetyMs, virtualMs)) };
  }

  get #isOver(): boolean {
    return this.#runs >= this.#limits.runsMax || this.#limits.isOver();
  }
}

const saysNothing = /no write was ever acknowledged/;
