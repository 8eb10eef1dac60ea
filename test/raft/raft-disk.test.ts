/**
 * Whole members on the write-ahead log and the snapshot store, on disks that forget what was not synced.
 * The power of one member, or of all at once, fails in the middle of whatever they do; what was
 * acknowledged must be there afterwards.
 *
 * Replay one: SEED=123 npx mocha --no-config dist/test/raft/raft-disk.test.js
 */
import { strict as assert } from 'node:assert';
import { DiskSnapshots, SimDisk, Wal, memberId, type MemberId } from 'raft-consensus';
import { bytes, Group, seeded } from './group.js';

const names = ['a', 'b', 'c'];
const seeds =
  process.env['SEED'] === undefined
    ? Array.from({ length: 15 }, (_, i) => i + 1)
    : [Number(process.env['SEED'])];

describe('raft members on disks that lose unsynced writes', () => {
  it(`keep every acknowledged write through power failures, for ${seeds.length} seeds`, async function () {
    this.timeout(60_000);
    for (const seed of seeds) {
      try {
        await ordeal(seed);
      } catch (error) {
        const replay = `SEED=${seed} npx mocha --no-config dist/test/raft/raft-disk.test.js`;
        throw new Error(`seed ${seed}: ${(error as Error).message}\nreplay: ${replay}`, { cause: error });
      }
    }
  });
});

async function ordeal(seed: number): Promise<void> {
  const random = seeded(seed * 104_729);
  const disks = new Map<MemberId, SimDisk>(names.map((name) => [memberId(name), new SimDisk()]));
  const openDisk = (member: MemberId): { storage: Wal; snapshots: DiskSnapshots } => {
    const where = { disk: disks.get(member)!, cluster: 'test', member };
    return { storage: new Wal({ ...where, segmentBytes: 4096 }), snapshots: new DiskSnapshots(where) };
  };
  const group = new Group(names, seed, { snapshotEveryEntries: 40, trailingEntriesMax: 10 }, openDisk);
  for (const id of disks.keys()) await group.start(id);
  let acknowledged = 0;
  let asked = 0;
  for (let round = 0; round < 8; round++) {
    const leader = await group.leader(10_000);
    const writes = 20 + Math.floor(random() * 40);
    for (let i = 0; i < writes; i++) {
      asked++;
      leader.apply(bytes(1)).then(
        () => acknowledged++,
        () => undefined,
      );
      if (random() < 0.3) await group.clock.pass(Math.floor(random() * 5));
    }
    const victims = random() < 0.4 ? [...disks.keys()] : [[...disks.keys()][Math.floor(random() * 3)]!];
    for (const id of victims) {
      await group.kill(id);
      disks.get(id)!.crash(random);
    }
    await group.clock.pass(Math.floor(random() * 300));
    for (const id of victims) await group.start(id);
  }
  let done = false;
  while (!done) {
    const leader = await group.leader(10_000);
    done = await group.settled(
      leader.barrier().then(
        () => true,
        () => false,
      ),
    );
  }
  await group.converged();
  for (const { id, fsm, fatal } of group.seats.values()) {
    assert.equal(fatal, null, `${id} ended: ${String(fatal)}`);
    assert(
      fsm.total >= acknowledged && fsm.total <= asked,
      `${id}: ${fsm.total} of ${acknowledged}..${asked}`,
    );
  }
  assert.equal(new Set([...group.seats.values()].map(({ fsm }) => fsm.total)).size, 1);
  assert(acknowledged > 100, `only ${acknowledged} writes were acknowledged`);
}
