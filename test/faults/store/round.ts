/**
 * One round: a new group, clients that work without a pause, faults one after another, each followed by a heal after which
 * every client must be able to write; then the verdict. A seed says which faults come, whom they hit and what the clients do;
 * real processes do the rest, so a replay is the same schedule and not the same run.
 */
import { seededRandom } from '../../../actors/runtime/index.js';
import type { Random } from '../../../transport/index.js';
import { Clients } from './clients.js';
import { type Fault, passes } from './faults.js';
import type { PlantedName } from './planted.js';
import { ProcessGroup } from './process-group.js';
import { judge, type Verdict } from './verdict.js';

export interface RoundOptions {
  readonly seed: number;
  /** On purpose, in the members. */
  readonly bugs?: readonly PlantedName[];
  /** Another one, in the clients over ZeroMQ: they repeat what may have happened. */
  readonly retriesWrites?: boolean;
}

export class Round {
  readonly group: ProcessGroup;
  readonly clients: Clients;
  readonly #random: Random;
  readonly #found: string[];

  static async begin(options: RoundOptions): Promise<Round> {
    const { seed, bugs = [], retriesWrites = false } = options;
    const group = await ProcessGroup.start({ seed, bugs });
    const found: string[] = [];
    const fail = (message: string): never => {
      found.push(message);
      throw new Error(message);
    };
    const isOver = () => found.length > 0;
    const clients = new Clients(group, { seed, retriesWrites, fail, isOver });
    const round = new Round(group, clients, seededRandom(seed, 'faults'), found);
    try {
      await clients.canWrite();
    } catch (error) {
      await round.end();
      throw error;
    }
    clients.start();
    return round;
  }

  private constructor(group: ProcessGroup, clients: Clients, random: Random, found: string[]) {
    this.group = group;
    this.clients = clients;
    this.#random = random;
    this.#found = found;
  }

  /** Strikes, holds, heals, and waits until all is well. */
  async suffer(fault: Fault): Promise<void> {
    await fault.strike(this.group, this.#random);
    await passes(fault.holdMs);
    await this.group.heal();
    await this.clients.canWrite();
  }

  /** One after another, as far as it gets, and then the verdict. */
  async play(faults: readonly Fault[]): Promise<Verdict> {
    try {
      for (const fault of faults) await this.suffer(fault);
    } catch (error) {
      this.#found.push(`liveness: ${(error as Error).message}`);
    }
    return this.judge();
  }

  async judge(): Promise<Verdict> {
    await this.clients.stop();
    const verdict = await judge(this.group, this.clients);
    return { ...verdict, violations: [...this.#found, ...verdict.violations] };
  }

  async end(options: { readonly keep?: boolean } = {}): Promise<void> {
    this.clients.close();
    await this.group.stop(options);
  }
}

export function describeVerdict(verdict: Verdict): string {
  const { operations, acknowledgedWrites, watchEvents, revisions, compactedTo, leases, undecidedKeys } =
    verdict;
  const what = `${operations} requests, ${acknowledgedWrites} writes acknowledged, ${revisions} revisions (${compactedTo} compacted)`;
  return `${what}, ${watchEvents} revisions watched, ${leases} leases, ${undecidedKeys} keys undecided`;
}
