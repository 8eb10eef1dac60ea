/** All of raft/ together: a group of members with logs, snapshots and key-value stores on disks that lose power. */
import { strict as assert } from 'node:assert';
import {
  type Applied,
  DiskSnapshots,
  KvError,
  KvFsm,
  type MemberId,
  Raft,
  SimDisk,
  Wal,
  encodeCommand,
  memberId,
} from 'raft-consensus';
import { VirtualClock } from '../group.js';
import { type SeededRandom, forEachSeed } from '../seeded-random.js';
import { put, txn } from './store-driver.js';

const MEMBERS = ['a', 'b', 'c'].map(memberId);

interface Seat {
  readonly disk: SimDisk;
  fsm: KvFsm;
  raft: Raft<Applied | null> | null;
}

class DiskGroup {
  readonly clock = new VirtualClock();
  readonly seats = new Map<MemberId, Seat>();
  readonly fatal: unknown[] = [];
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
    for (const id of MEMBERS) this.seats.set(id, { disk: new SimDisk(), fsm: new KvFsm(), raft: null });
  }

  async start(id: MemberId): Promise<void> {
    const seat = this.seats.get(id)!;
    const identity = { disk: seat.disk, cluster: 'blue', member: id };
    seat.fsm = new KvFsm();
    seat.raft = await Raft.start({
      id,
      configuration: { voters: MEMBERS, learners: [] },
      fsm: seat.fsm,
      storage: new Wal({ ...identity, segmentBytes: 4096 }),
      snapshots: new DiskSnapshots(identity),
      transport: {
        send: (to, message) => {
          const delayMs = 1 + this.#random.below(4);
          const bytes = structuredClone(message);
          this.clock.setTimer(delayMs, () => this.seats.get(to)!.raft?.receive(id, bytes));
        },
      },
      clock: this.clock,
      random: this.#random,
      onFatal: (error) => void this.fatal.push(error),
      limits: { snapshotEveryEntries: 20, trailingEntriesMax: 5 },
    });
  }

  /** Power off: the member answers nothing more, and its disk keeps what it keeps. */
  powerOff(id: MemberId): void {
    const seat = this.seats.get(id)!;
    const { raft } = seat;
    seat.raft = null;
    seat.disk.crash(this.#random);
    void raft?.stop({ handOver: false }).catch(() => undefined);
  }

  async leader(): Promise<Raft<Applied | null>> {
    const found = () => [...this.seats.values()].find(({ raft }) => raft?.isLeader() === true)?.raft;
    await this.clock.until(() => found() !== undefined, 60_000, 'a leader');
    return found()!;
  }
}

describe('a group with key-value stores on disks', () => {
  const title = 'keeps every acknowledged write through power failures, equal on all members';
  it(title, () =>
    forEachSeed(15, title, async (random) => {
      const group = new DiskGroup(random);
      for (const id of MEMBERS) await group.start(id);
      const acknowledged = new Set<string>();
      let crashes = 0;
      for (let at = 0; at < 120; at++) {
        const leader = await group.leader();
        const key = `k${at}`;
        const command = encodeCommand({ type: 'txn', atMs: at, txn: txn([put(key, 'v')]) });
        let over = false;
        leader.apply(command).then(
          (applied) => {
            over = true;
            if (applied !== null && !(applied instanceof KvError)) acknowledged.add(key);
          },
          () => (over = true),
        );
        if (random() < 0.08) {
          await group.clock.pass(random.below(12));
          const id = random.pick(MEMBERS);
          group.powerOff(id);
          crashes++;
          await group.clock.pass(random.below(3000));
          await group.start(id);
        } else await group.clock.until(() => over, 60_000, 'the end of a write');
      }
      await group.clock.pass(5000);
      const stores = [...group.seats.values()].map(({ fsm }) => fsm.store);
      const hashes = () => new Set(stores.map((store) => JSON.stringify(store.hash())));
      await group.clock.until(() => hashes().size === 1, 60_000, 'equal stores');
      const { kvs } = (
        stores[0]!.range({ type: 'range', key: 'k', rangeEnd: 'l' }) as Exclude<
          ReturnType<KvFsm['store']['range']>,
          KvError
        >
      ).result;
      const present = new Set(kvs.map((kv) => kv.key));
      for (const key of acknowledged) assert.ok(present.has(key), `${key} was acknowledged and is gone`);
      for (const error of group.fatal) assert.match(String(error), /the machine crashed/);
      assert.ok(acknowledged.size > 60 && crashes > 0, `${acknowledged.size} writes, ${crashes} crashes`);
    }),
  );
});
