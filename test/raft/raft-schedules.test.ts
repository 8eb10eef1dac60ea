/**
 * Whole members under random kills, cuts and disk stalls in virtual time, with clients that write and
 * read. What was acknowledged is in every state machine in the end, exactly once; what definitely failed
 * is in none; a read shows everything that was acknowledged before it began.
 *
 * Replay one: SEED=123 npx mocha --no-config dist/test/raft/raft-schedules.test.js
 */
import { strict as assert } from 'node:assert';
import { RaftError, type Raft } from 'raft-consensus';
import { bytes, Group, seeded, type Seat } from './group.js';

const seeds =
  process.env['SEED'] === undefined
    ? Array.from({ length: 25 }, (_, i) => i + 1)
    : [Number(process.env['SEED'])];

describe('raft members under random schedules', () => {
  it(`lose no acknowledged write and serve no stale read, for ${seeds.length} seeds`, async function () {
    this.timeout(60_000);
    let acknowledged = 0;
    for (const seed of seeds) {
      try {
        acknowledged += await new Ordeal(seed).run();
      } catch (error) {
        const replay = `SEED=${seed} npx mocha --no-config dist/test/raft/raft-schedules.test.js`;
        throw new Error(`seed ${seed}: ${(error as Error).message}\nreplay: ${replay}`, { cause: error });
      }
    }
    assert(acknowledged > 40 * seeds.length, `only ${acknowledged} writes were acknowledged`);
  });
});

class Ordeal {
  readonly #seed: number;
  readonly #random: () => number;
  readonly #acknowledged = new Set<number>();
  readonly #gone = new Set<number>();
  #written = 0;
  #open = 0;
  #failure: Error | null = null;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = seeded(seed * 7919);
  }

  async run(): Promise<number> {
    const names = this.#random() < 0.7 ? ['a', 'b', 'c'] : ['a', 'b', 'c', 'd', 'e'];
    const limits = { snapshotEveryEntries: 30, trailingEntriesMax: 5 };
    const group = await Group.started(names, this.#seed, limits);
    for (let step = 0; step < 200; step++) {
      await this.#harm(group);
      for (const raft of group.running) if (this.#random() < 0.9) this.#use(group, raft);
      await group.clock.pass(Math.floor(this.#random() * 100));
      if (this.#failure !== null) throw this.#failure;
    }
    await this.#heal(group);
    return this.#acknowledged.size;
  }

  async #harm(group: Group): Promise<void> {
    const seats = [...group.seats.values()];
    const seat = seats[Math.floor(this.#random() * seats.length)]!;
    const dice = this.#random();
    if (seat.raft === null) {
      if (dice < 0.3) await this.#revive(group, seat);
    } else if (dice < 0.03) await group.kill(seat.id);
    else if (dice < 0.04) await this.#stopGently(group, seat);
    else if (dice < 0.06) group.isolate(seat.id);
    else if (dice < 0.08) group.cut.add(`${seat.id}>${seats[0]!.id}`);
    else if (dice < 0.14) group.heal();
    else if (dice < 0.2) seat.storage.syncMs = Math.floor(this.#random() * 60);
    else if (dice < 0.22) seat.raft.leadershipTransfer().catch(() => undefined);
  }

  async #stopGently(group: Group, seat: Seat): Promise<void> {
    const { raft } = seat;
    await group.settled(raft!.stop());
    seat.raft = null;
  }

  async #revive(group: Group, seat: Seat): Promise<void> {
    // A save that was under way when the power failed must be over: two lives share this disk object.
    await group.clock.pass(100);
    await group.start(seat.id);
  }

  /** Writes add their own number, so a total says what is in it, and a missing or doubled one shows. */
  #use(group: Group, raft: Raft<number>): void {
    if (this.#random() < 0.6) {
      const id = ++this.#written;
      this.#watch(
        raft.apply(bytes(id), 2_000).then(
          () => void this.#acknowledged.add(id),
          (error: unknown) => {
            assert(error instanceof RaftError, String(error));
            if (error.definite) this.#gone.add(id);
          },
        ),
      );
      return;
    }
    const before = [...this.#acknowledged].reduce((sum, id) => sum + id, 0);
    const { fsm } = group.seat(raft.id);
    this.#watch(
      raft.readIndex(2_000).then(
        () =>
          assert(fsm.total >= before, `stale read on ${raft.id}: ${fsm.total}, acknowledged were ${before}`),
        (error: unknown) => assert(error instanceof RaftError, String(error)),
      ),
    );
  }

  #watch(call: Promise<void>): void {
    this.#open++;
    call
      .catch((error: unknown) => (this.#failure = error as Error))
      .finally(() => this.#open--)
      .catch(() => undefined);
  }

  async #heal(group: Group): Promise<void> {
    group.heal();
    for (const seat of group.seats.values()) {
      assert.equal(seat.fatal, null, `${seat.id} ended: ${String(seat.fatal)}`);
      seat.storage.syncMs = 1;
      if (seat.raft === null) await this.#revive(group, seat);
    }
    await group.clock.until(() => this.#open === 0, 10_000, 'an end of all calls');
    await this.#commitOnce(group);
    await group.converged();
    if (this.#failure !== null) throw this.#failure;
    const totals = new Set([...group.seats.values()].map(({ fsm }) => fsm.total));
    assert.equal(totals.size, 1, `state machines differ: ${[...totals].join(' ')}`);
    this.#account(group);
  }

  /** A leader that is about to hand over may refuse; the next one takes it. */
  async #commitOnce(group: Group): Promise<void> {
    for (let attempt = 0; attempt < 10; attempt++) {
      const leader = await group.leader(10_000);
      const done = leader.barrier().then(
        () => true,
        () => false,
      );
      if (await group.settled(done)) return;
      await group.clock.pass(200);
    }
    assert.fail('no leader commits anything after all was healed');
  }

  #account(group: Group): void {
    const applied = new Set<number>();
    for (const { fsm } of group.seats.values()) {
      for (const entry of fsm.applied) applied.add(Number(Buffer.from(entry.data).toString()));
    }
    for (const id of this.#gone) assert(!applied.has(id), `write ${id} was said to be gone and was applied`);
    const [total] = [...group.seats.values()].map(({ fsm }) => fsm.total);
    const floor = [...this.#acknowledged].reduce((sum, id) => sum + id, 0);
    const ceiling = floor + this.#sumOfOpen();
    assert(total! >= floor && total! <= ceiling, `total ${total}, expected ${floor} to ${ceiling}`);
  }

  #sumOfOpen(): number {
    let sum = 0;
    for (let id = 1; id <= this.#written; id++)
      if (!this.#acknowledged.has(id) && !this.#gone.has(id)) sum += id;
    return sum;
  }
}
