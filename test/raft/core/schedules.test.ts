/**
 * Random schedules over whole groups of cores: letters dropped, doubled, reordered and delivered long
 * after they were sent, one-way cuts, slow disks, crashes in the middle of a save, snapshots; all
 * properties checked after each step. Each seed draws its own fault rates, so that some schedules are calm
 * in one respect and wild in another. In the end all heals, and the group must agree within a bounded time.
 *
 * More of them: SEEDS=5000. Replay one: SEED=123 npx mocha --no-config dist/test/raft/core/schedules.test.js
 */
import { strict as assert } from 'node:assert';
import { Cluster, type Node } from './cluster.js';
import { Invariants } from './invariants.js';
import { seeded } from '../group.js';
import { isMember, type MemberId, type Message } from 'raft-consensus';

const seeds =
  process.env['SEED'] === undefined
    ? Array.from({ length: Number(process.env['SEEDS'] ?? 400) }, (_, i) => i + 1)
    : [Number(process.env['SEED'])];
const stepsPerSeed = 400;

describe('raft core under random schedules', () => {
  it(`keeps the five properties for ${seeds.length} seeds`, function () {
    this.timeout(60_000 + seeds.length * 100);
    let applied = 0;
    let changes = 0;
    for (const seed of seeds) {
      try {
        const schedule = new Schedule(seed);
        applied += schedule.run();
        changes += schedule.changes;
      } catch (error) {
        const replay = `SEED=${seed} npx mocha --no-config dist/test/raft/core/schedules.test.js`;
        throw new Error(`seed ${seed}: ${(error as Error).message}\nreplay: ${replay}`, { cause: error });
      }
    }
    // Schedules in which nothing ever happens would prove nothing.
    assert(changes >= seeds.length / 4 || seeds.length < 100, `only ${changes} changes of members`);
    assert(applied / seeds.length > 10, `only ${applied} entries in ${seeds.length} schedules`);
  });

  it('gives the same history for the same seed', () => {
    assert.equal(new Schedule(7).history(), new Schedule(7).history());
    assert.notEqual(new Schedule(7).history(), new Schedule(8).history());
  });
});

class Schedule {
  readonly #random: () => number;
  readonly #cluster: Cluster;
  readonly #invariants: Invariants;
  readonly #cut = new Set<string>();
  readonly #rates: {
    readonly [fault in 'drop' | 'double' | 'late' | 'crash' | 'cut' | 'slow' | 'compact' | 'change']: number;
  };
  readonly #trace: string[] = [];
  #written = 0;
  changes = 0;

  constructor(seed: number) {
    this.#random = seeded(seed);
    const size = this.#pick([1, 2, 3, 3, 3, 5]);
    const voters = Array.from({ length: size }, (_, i) => String(i + 1));
    const learners = this.#chance(0.1) ? ['9'] : [];
    const spares = this.#chance(0.6) ? ['6', '7', '8'].slice(this.#pick([0, 1, 2])) : [];
    const limits = {
      electionTicks: 6,
      snapshotRetryTicks: 10,
      messageBytesMax: this.#pick([1, 60, 10_000]),
      inflightMessagesMax: this.#pick([1, 3, 100]),
    };
    this.#cluster = new Cluster({ voters, learners, spares, random: this.#random, limits });
    this.#cluster.listener = { sent: (message) => this.#trace.push(JSON.stringify(message)) };
    this.#invariants = new Invariants(this.#cluster);
    const draw = (max: number): number => (this.#chance(0.4) ? 0 : this.#random() * max);
    this.#rates = {
      drop: draw(0.3),
      double: draw(0.3),
      late: draw(0.5),
      crash: draw(0.03),
      cut: draw(0.05),
      slow: draw(0.3),
      compact: draw(0.1),
      change: spares.length > 0 ? draw(0.2) : 0,
    };
  }

  run(): number {
    for (let step = 0; step < stepsPerSeed; step++) {
      this.#step();
      this.#invariants.check();
      this.#invariants.checkReads();
    }
    this.#heal();
    return this.#invariants.applied;
  }

  history(): string {
    this.run();
    return this.#trace.join('\n');
  }

  #step(): void {
    const node = this.#pick([...this.#cluster.nodes.values()]);
    if (!node.up) {
      if (this.#chance(0.2)) this.#cluster.restart(node.id);
      return;
    }
    if (this.#chance(this.#rates.crash)) {
      this.#crash(node);
      return;
    }
    if (this.#chance(this.#rates.cut)) this.#changeCuts();
    if (this.#chance(this.#rates.slow)) node.slowDisk = !node.slowDisk;
    if (node.saving !== null && this.#chance(0.3)) this.#cluster.finishSave(node);
    if (this.#chance(this.#rates.compact)) this.#cluster.compact(node, this.#pick([0, 2, 5]));
    if (this.#chance(0.3)) node.core.tick();
    if (this.#chance(0.25)) this.#propose(node);
    if (this.#chance(this.#rates.change)) this.#changeMembers(node);
    if (this.#chance(0.05)) this.#read(node);
    if (this.#chance(0.01)) node.core.transferLeadership(this.#pick(this.#cluster.configuration.voters));
    for (let i = 0; i < 4; i++) this.#deliver();
    while (this.#chance(0.8) && this.#cluster.act(node));
  }

  /** In the middle of a save: half of the time the batch did reach the disk, and nobody was told. */
  #crash(node: Node): void {
    if (node.saving !== null && this.#chance(0.5)) {
      const { network } = this.#cluster;
      this.#cluster.network = [];
      this.#cluster.finishSave(node);
      this.#cluster.network = network;
    }
    this.#cluster.crash(node.id);
    this.#invariants.forget(node);
  }

  #propose(node: Node): void {
    this.#cluster.propose(
      node.id,
      ...Array.from({ length: this.#pick([1, 1, 3]) }, () => `w${++this.#written}`),
    );
  }

  /** Whoever is there may be made a voter, a learner or nothing, one by one or several at once. */
  #changeMembers({ core }: Node): void {
    if (core.role !== 'leader') return;
    if (this.#chance(0.3)) return void core.changeConfiguration({ type: 'leave-joint' });
    const types = ['add-voter', 'add-learner', 'remove'] as const;
    const step = () => ({ type: this.#pick(types), id: this.#pick([...this.#cluster.nodes.keys()]) });
    const steps = Array.from({ length: this.#pick([1, 1, 1, 2, 3]) }, step);
    const transition = this.#pick(['auto', 'auto', 'joint', 'joint-explicit'] as const);
    const result = core.changeConfiguration({ type: 'steps', steps, transition });
    if (result.type === 'accepted') this.changes++;
  }

  #read(node: Node): void {
    const context = node.core.newReadContext();
    this.#invariants.asked(node, context);
    node.core.readIndex(context);
  }

  #deliver(): void {
    const { network } = this.#cluster;
    if (network.length === 0) return;
    // Mostly in order; sometimes a letter that has waited for long is overtaken by all others.
    const at = this.#chance(this.#rates.late) ? Math.floor(this.#random() * network.length) : 0;
    const [message] = network.splice(at, 1);
    if (this.#chance(this.#rates.double))
      network.splice(Math.floor(this.#random() * network.length), 0, message!);
    if (this.#chance(this.#rates.drop) || this.#isCut(message!)) return;
    this.#cluster.deliver(message!);
  }

  #isCut({ from, to }: Message): boolean {
    return this.#cut.has(`${from}>${to}`);
  }

  #changeCuts(): void {
    if (this.#cut.size > 0 && this.#chance(0.5)) return this.#cut.clear();
    const ids: MemberId[] = [...this.#cluster.nodes.keys()];
    const [a, b] = [this.#pick(ids), this.#pick(ids)];
    this.#cut.add(`${a}>${b}`);
    if (this.#chance(0.5)) this.#cut.add(`${b}>${a}`);
    if (this.#chance(0.3)) for (const id of ids) this.#cut.add(`${a}>${id}`).add(`${id}>${a}`);
  }

  /** Liveness: once nothing fails any more, a leader is found, writes pass, and all state machines agree. */
  #heal(): void {
    this.#cut.clear();
    for (const node of this.#cluster.nodes.values()) {
      node.slowDisk = false;
      if (!node.up) this.#cluster.restart(node.id);
      if (node.saving !== null) this.#cluster.finishSave(node);
    }
    for (let tick = 0; tick < 200; tick++) {
      for (const node of this.#cluster.running) node.core.tick();
      this.#cluster.stabilize();
      this.#invariants.check();
      this.#invariants.checkReads();
      if (this.#agrees()) return;
      // A deposed leader may take it and lose it: whoever leads gets it again.
      const leader = this.#cluster.running.find(({ core }) => core.role === 'leader');
      if (leader !== undefined) this.#cluster.propose(leader.id, 'last');
    }
    assert.fail('liveness: the group did not agree within 200 ticks after all was healed');
  }

  #agrees(): boolean {
    const leader = this.#cluster.running.find(({ core }) => core.role === 'leader');
    if (leader === undefined) return false;
    const { configuration } = leader.core;
    const members = this.#cluster.running.filter(({ id }) => isMember(configuration, id));
    const ends = members.map(({ applied }) => applied.at(-1));
    return ends[0]?.endsWith(':last') === true && new Set(ends).size === 1;
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)]!;
  }
}
