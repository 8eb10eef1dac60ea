/**
 * What befalls the group: one fault after another, each drawn from the kinds that the seed allows, each with its end. Every
 * fault goes into the journal beside the messages. Faults have numbers and each a stream of chance of its own, so that a run
 * can be repeated with some of them left out (`shrink.ts`).
 */
import { seededRandom } from '../../../actors/runtime/index.js';
import type { Random } from '../../../transport/index.js';
import { diskFaults } from './disk-faults.js';
import { exponential } from './exponential.js';
import { impostorFaults } from './impostor-faults.js';
import { loadFaults } from './load-faults.js';
import { memberFaults } from './member-faults.js';
import { pathFaults } from './path-faults.js';
import { NetworkFaults } from './network-faults.js';
import { processFaults } from './process-faults.js';
import { Operator } from './operator.js';
import { type Stage, stagedFaults } from './staged-faults.js';
import type { Member, StoreGroup } from './store-group.js';
import type { FaultKind } from './swarm.js';

/** One fault as it begins. */
export interface Strike {
  readonly kind: FaultKind;
  readonly group: StoreGroup;
  readonly network: NetworkFaults;
  readonly random: Random;
  readonly lengthMs: number;
  /** Some member that is up, and the leader if there is one. */
  readonly victim: Member;
  readonly leader: Member | undefined;
  /** The leader or `victim`, by chance. */
  readonly favourite: Member;
  note(detail: Readonly<Record<string, string | number | boolean>>): void;
  /** Never once the faults are over. */
  after(delayMs: number, act: () => void): void;
  /** Lets the stage look after every event, until it is over. */
  stage(stage: Stage): void;
  exponential(meanMs: number): number;
}

export type Fault = (strike: Strike) => void;

export class Nemesis {
  readonly #group: StoreGroup;
  readonly #plans: Random;
  readonly #network: NetworkFaults;
  readonly #operator: Operator;
  readonly #only: ReadonlySet<number> | undefined;
  readonly #counts = new Map<string, number>();
  readonly #struck: number[] = [];
  readonly #stages = new Set<Stage>();
  #planned = 0;
  #active = true;

  /** `only`: the numbers of the faults that come; absent: all. */
  constructor(group: StoreGroup, only?: ReadonlySet<number>) {
    this.#group = group;
    this.#only = only;
    this.#plans = seededRandom(group.swarm.seed, 'nemesis');
    this.#network = new NetworkFaults(group);
    this.#operator = new Operator(group);
  }

  /** How often each kind came, for people. */
  get summary(): string {
    return [...this.#counts].map(([kind, count]) => `${kind} ${count}`).join(', ') || 'none';
  }

  /** The numbers of the faults that came. */
  get struck(): readonly number[] {
    return this.#struck;
  }

  start(): void {
    this.#network.weather();
    this.#operator.start();
    if (this.#group.swarm.faults.size > 0) this.#plan();
  }

  /** After every event: some faults wait for their moment. */
  step(): void {
    for (const stage of this.#stages) if (!stage.look()) this.#stages.delete(stage);
  }

  /** Everything is whole again, and stays so: links, disks, clocks, processes. */
  heal(): void {
    const { world, members } = this.#group;
    this.#active = false;
    this.#stages.clear();
    this.#group.isHealed = true;
    this.#group.burstUntilMs = 0;
    this.#network.heal();
    for (const member of members) {
      member.crashAt = undefined;
      member.disk.heal();
      world.simulation.setWallOffset(member.node, 0);
      world.simulation.resume(member.node);
      const disk = this.#group.diskOf(member);
      if (disk) disk.garbledShare = 0;
      if (member.starts > 0) this.#group.start(member);
    }
    for (const client of this.#group.clients) world.simulation.resume(client);
    this.#group.note('heal');
  }

  #plan(): void {
    const { swarm } = this.#group;
    this.#after(exponential(this.#plans, swarm.faultGapMs), () => {
      const number = ++this.#planned;
      const kind = this.#draw();
      if (this.#only?.has(number) ?? true) this.#strike(kind, number);
      this.#plan();
    });
  }

  #draw(): FaultKind {
    const { faults } = this.#group.swarm;
    let dice = this.#plans.next() * [...faults.values()].reduce((sum, weight) => sum + weight, 0);
    for (const [kind, weight] of faults) {
      dice -= weight;
      if (dice <= 0) return kind;
    }
    return [...faults.keys()].at(-1)!;
  }

  #strike(kind: FaultKind, number: number): void {
    const group = this.#group;
    const random = seededRandom(group.swarm.seed, `fault number ${number}`);
    const victim = group.living[random.integer(group.living.length)];
    if (!victim) return;
    const leader = group.leader();
    this.#struck.push(number);
    faultsByKind[kind]({
      kind,
      group,
      network: this.#network,
      random,
      lengthMs: exponential(random, group.swarm.faultLengthMs),
      victim,
      leader,
      favourite: random.next() < 0.5 ? (leader ?? victim) : victim,
      note: (detail) => {
        this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
        group.note(kind, { number, ...detail });
      },
      after: (delayMs, act) => this.#after(delayMs, act),
      stage: (stage) => void this.#stages.add(stage),
      exponential: (meanMs) => exponential(random, meanMs),
    });
  }

  #after(delayMs: number, act: () => void): void {
    this.#group.world.simulation.clock.setTimer(delayMs, () => {
      if (this.#active) act();
    });
  }
}

const faultsByKind: Readonly<Record<FaultKind, Fault>> = {
  ...NetworkFaults.kinds,
  ...pathFaults,
  ...impostorFaults,
  ...processFaults,
  ...diskFaults,
  ...loadFaults,
  ...memberFaults,
  ...stagedFaults,
};
