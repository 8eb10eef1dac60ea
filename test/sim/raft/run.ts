/**
 * One seed, from a fresh group to the verdict. First the safety phase: clients work while faults come and go, and every
 * property is looked at after every event. Then all is healed, and within bounds the group must take writes again, agree in
 * everything and bring every watcher up to date. At the end the whole history is judged.
 */
import { KvError, type StateHash } from 'raft-consensus';
import { SimulationError } from '../../../actors/runtime/index.js';
import { checkKeys } from './key-check.js';
import { isDamage } from './fault-atlas.js';
import { checkLeases } from './lease-check.js';
import { Nemesis } from './nemesis.js';
import type { PlantedBug } from './planted-bugs.js';
import { type Member, StoreGroup, Violation } from './store-group.js';
import type { Toll } from './toll.js';
import { describeSwarm, type SwarmOverrides, swarmOf } from './swarm.js';
import { checkAgainstTruth } from './truth-check.js';
import { Workload } from './workload.js';

export interface RunOptions extends SwarmOverrides {
  /** How much of the journal is kept; default 400 events. */
  readonly journalMax?: number;
  readonly bug?: PlantedBug | undefined;
  /** The numbers of the faults that come; absent: all. */
  readonly only?: ReadonlySet<number> | undefined;
}

export interface RunResult {
  readonly seed: number;
  /** Undefined: every property held. */
  readonly violation: Violation | undefined;
  readonly swarm: string;
  readonly faults: string;
  /** The numbers of the faults that came. */
  readonly struck: readonly number[];
  /** Named points at which a member crashed. */
  readonly crashPoints: readonly string[];
  readonly events: number;
  readonly virtualMs: number;
  /** How much of it with faults. */
  readonly safetyMs: number;
  readonly operations: number;
  readonly acknowledgedWrites: number;
  readonly watchEvents: number;
  readonly leaderships: number;
  readonly restarts: number;
  /** Keys whose history was too tangled for the search; the order by revision was judged all the same. */
  readonly undecidedKeys: number;
  readonly toll: Toll;
  lastLines(count: number): readonly string[];
}

/** After the heal: until every client has had a write acknowledged, and until all members and watchers agree. */
const writableWithinMs = 15_000;
const convergedWithinMs = 15_000;

export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const run = new Run(seed, options);
  try {
    await run.play();
  } catch (error) {
    run.failed(error);
  }
  return run.result();
}

class Run {
  readonly #group: StoreGroup;
  readonly #workload: Workload;
  readonly #nemesis: Nemesis;
  #violation: Violation | undefined;
  #undecidedKeys = 0;

  constructor(seed: number, { journalMax = 400, bug, only, ...given }: RunOptions) {
    const overrides = {
      ...(bug?.faults && { faults: bug.faults }),
      ...(bug && { valuesInFiles: bug.valuesInFiles ?? false }),
      ...given,
    };
    this.#group = new StoreGroup(swarmOf(seed, overrides), { journalMax, bug });
    for (const member of this.#group.founders) this.#group.start(member);
    this.#workload = new Workload(this.#group);
    this.#nemesis = new Nemesis(this.#group, only);
  }

  async play(): Promise<void> {
    const { swarm } = this.#group;
    this.#workload.start();
    this.#nemesis.start();
    await this.#until(
      'the faults have passed',
      swarm.safetyMs + 1_000,
      () => this.#group.nowMs >= swarm.safetyMs,
    );
    this.#nemesis.heal();
    this.#workload.stop();
    await this.#becomesWritable();
    await this.#until('the clients have their answers', convergedWithinMs, () => this.#workload.isIdle);
    await this.#until('members and watchers agree', convergedWithinMs, () => this.#agree());
    const { leased } = this.#workload.leases;
    const expiredMs = Math.max(0, ...leased.map(({ notBeforeMs }) => notBeforeMs));
    await this.#until('leases have ended', expiredMs + convergedWithinMs, () => this.#leasesEnded());
    await this.#until('members and watchers agree', convergedWithinMs, () => this.#agree());
    this.#judge();
  }

  failed(error: unknown): void {
    // What went wrong first says more than what followed from it.
    const first = this.#group.violation;
    if (first) this.#violation = first;
    else if (error instanceof Violation) this.#violation = error;
    else if (error instanceof SimulationError)
      this.#violation = new Violation(error.message, { cause: error });
    else throw error;
  }

  result(): RunResult {
    const { swarm, invariants, world, recorder, restarts } = this.#group;
    const { history, watchers } = this.#workload;
    return {
      seed: swarm.seed,
      violation: this.#violation,
      swarm: describeSwarm(swarm),
      faults: this.#nemesis.summary,
      struck: this.#nemesis.struck,
      crashPoints: [...this.#group.crashPoints],
      events: world.simulation.events,
      virtualMs: world.simulation.nowMs,
      safetyMs: swarm.safetyMs,
      operations: history.operations.length,
      acknowledgedWrites: history.acknowledgedWrites,
      watchEvents: watchers.reduce((sum, { events }) => sum + events, 0),
      leaderships: invariants.leaderships,
      restarts,
      undecidedKeys: this.#undecidedKeys,
      toll: this.#group.toll,
      lastLines: (count) => recorder.last(count),
    };
  }

  async #until(what: string, withinMs: number, holds: () => boolean): Promise<void> {
    try {
      await this.#group.world.run(
        () => {
          this.#group.check();
          this.#nemesis.step();
          return holds();
        },
        { maxVirtualMs: withinMs, maxEvents: 3_000_000 },
      );
    } catch (error) {
      if (!(error instanceof SimulationError)) throw error;
      const members = this.#group.members.map(({ name, parts }) => {
        if (!parts) return `${name} is not up`;
        const { role, term, commitIndex, appliedIndex, lastIndex, leader } = parts.raft.stats();
        return `${name} ${role} of ${term} under ${leader} at ${commitIndex}/${appliedIndex}/${lastIndex}`;
      });
      throw new Violation(`liveness: not within ${withinMs} ms: ${what} (${members.join('; ')})`, {
        cause: error,
      });
    }
  }

  async #becomesWritable(): Promise<void> {
    let waiting = 0;
    for (const writer of this.#workload.writers) {
      waiting++;
      void (async () => {
        while (!(await writer.put('/k0')));
        waiting--;
      })();
    }
    await this.#until('every client can write again', writableWithinMs, () => waiting === 0);
  }

  #agree(): boolean {
    const up = this.#group.belonging.filter(({ isLost }) => !isLost);
    if (up.length === 0) return false;
    const { head } = this.#group.truth;
    const { commitMax } = this.#group.invariants;
    const level = up.every(({ parts }) => {
      const core = parts?.raft.core;
      return (
        core &&
        core.commit === core.appliedIndex &&
        core.commit >= commitMax &&
        core.log.lastIndex === core.commit
      );
    });
    if (!level || up.some(({ parts }) => parts!.store.revision !== head)) return false;
    return this.#workload.watchers.every(({ reached }) => reached >= head);
  }

  #leasesEnded(): boolean {
    const { truth } = this.#group;
    return this.#workload.leases.leased.every(({ key }) => truth.at(key, truth.head) === null);
  }

  #judge(): void {
    const { group } = { group: this.#group };
    const { fail, truth } = group;
    const { history } = this.#workload;
    if (history.acknowledgedWrites === 0) fail('no write was ever acknowledged: the run says nothing');
    checkAgainstTruth({ history, truth, isLeased: (key) => key.startsWith('/lease/'), fail });
    const { clockDriftMax, keys } = group.swarm;
    checkLeases({ truth, leased: this.#workload.leases.leased, clockDriftMax, fail });
    this.#undecidedKeys = checkKeys(history, keys, fail);
    this.#judgeHashes();
  }

  #judgeHashes(): void {
    const digests = this.#group.belonging.flatMap(({ parts }) => (parts ? [parts.store.digest] : []));
    if (new Set(digests).size > 1) this.#group.fail(`members have the digests ${digests.join(', ')}`);
    const hashes = this.#group.belonging.flatMap((member) => {
      const hash = this.#hashOf(member);
      return hash ? [{ name: member.name, hash }] : [];
    });
    // Compaction is a command like any other: members that applied the same have compacted the same.
    for (const { name, hash } of hashes) {
      const first = hashes[0]!;
      if (JSON.stringify(hash) === JSON.stringify(first.hash)) continue;
      this.#group.fail(`${name} has ${JSON.stringify(hash)}, ${first.name} ${JSON.stringify(first.hash)}`);
    }
  }

  /** Undefined also where it says that its disk is not to be relied on, and may. */
  #hashOf(member: Member): StateHash | undefined {
    try {
      const hash = member.parts?.store.hash();
      return hash instanceof KvError ? undefined : hash;
    } catch (error) {
      if (isDamage(error) && this.#group.atlas.isDamaged(member)) return undefined;
      throw error;
    }
  }
}
