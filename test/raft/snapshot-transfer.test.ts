/** How a snapshot reaches a member that is too far behind, whatever happens on the way. */
import { strict as assert } from 'node:assert';
import {
  DiskSnapshots,
  type Letter,
  type MemberId,
  memberId,
  type Observation,
  type Raft,
  SimDisk,
  Wal,
} from 'raft-consensus';
import { bytes, Group } from './group.js';

const names = ['a', 'b', 'c'];
const limits = {
  snapshotEveryEntries: 20,
  trailingEntriesMax: 5,
  snapshotPieceBytes: 4,
  snapshotPiecesInFlightMax: 2,
  snapshotPieceRetryTicks: 3,
};

interface Behind {
  readonly group: Group;
  readonly leader: Raft<number>;
  readonly away: MemberId;
}

/** One member is down, and the others' logs begin behind what it has. */
async function behind(group: Group, entries = 100): Promise<Behind> {
  for (const id of group.seats.keys()) if (group.seat(id).raft === null) await group.start(id);
  const leader = await group.leader();
  const away = group.running.find((raft) => raft.id !== leader.id)!.id;
  await group.kill(away);
  await write(group, leader, entries);
  await group.clock.until(() => leader.stats().firstIndex > entries / 2);
  return { group, leader, away };
}

async function write(group: Group, leader: Raft<number>, entries: number): Promise<void> {
  for (let i = 0; i < entries; i++) await group.settled(leader.apply(bytes(1)));
}

const pieces = (group: Group) => group.sent.filter((letter) => letter.type === 'snapshot-piece');

/** Lets so many pieces through and then none. */
function allow(group: Group, count: number): void {
  let left = count;
  group.filter = (letter: Letter) => letter.type !== 'snapshot-piece' || left-- > 0;
}

describe('a snapshot on its way', () => {
  it('goes on from the next leader when the first one dies', async () => {
    const { group, leader, away } = await behind(new Group(names, 1, limits));
    await group.join('d');
    await group.settled(leader.addVoter(memberId('d'), { timeoutMs: 60_000 }), 60_000);
    await group.converged();
    allow(group, 3);
    await group.start(away);
    await group.clock.until(() => pieces(group).some(({ to, offset }) => to === away && offset > 0));
    await group.kill(leader.id);
    group.filter = () => true;
    const next = await group.leader(10_000);
    await write(group, next, 3);
    await group.converged();
    assert.equal(group.seat(away).fsm.total, 103);
    assert.equal(group.seat(away).fsm.restores, 1);
  });

  it('begins anew when the receiver crashes midway', async () => {
    const { group, away } = await behind(new Group(names, 2, limits));
    allow(group, 3);
    await group.start(away);
    await group.clock.until(() => pieces(group).some(({ offset }) => offset > 4));
    await group.kill(away);
    group.filter = () => true;
    await group.start(away);
    await group.converged();
    assert.equal(group.seat(away).fsm.total, 100);
  });

  it('does not take a piece that was changed on the way', async () => {
    const { group, away } = await behind(new Group(names, 3, limits));
    let changed = 0;
    group.filter = (letter) => {
      if (letter.type !== 'snapshot-piece' || changed === 3) return true;
      letter.data.set([letter.data[0]! ^ 1]);
      changed++;
      return true;
    };
    await group.start(away);
    await group.converged();
    assert.deepEqual([changed, group.seat(away).fsm.total], [3, 100]);
  });

  it('is still of use when newer ones are taken and the log is compacted meanwhile (etcd #18055)', async () => {
    const { group, leader, away } = await behind(new Group(names, 4, limits));
    const seen: Observation[] = [];
    leader.observe((observation) => seen.push(observation));
    await group.start(away);
    await group.clock.until(() => pieces(group).length > 1);
    await write(group, leader, 60);
    assert(seen.filter(({ type }) => type === 'snapshot-taken').length >= 2);
    await group.converged();
    assert.equal(group.seat(away).fsm.total, 160);
    assert.equal(seen.filter(({ type }) => type === 'snapshot-sent').length, 1);
    assert.equal(group.seat(away).fsm.restores, 1);
  });

  it('never fills memory: a window of pieces is under way at most', async () => {
    const { group, away } = await behind(new Group(names, 5, limits));
    let underWay = 0;
    let confirmed = 0;
    group.filter = (letter) => {
      if (letter.type === 'snapshot-piece')
        underWay = Math.max(underWay, letter.offset + letter.data.length - confirmed);
      if (letter.type === 'snapshot-piece-accepted') confirmed = Math.max(confirmed, letter.received);
      return true;
    };
    await group.start(away);
    await group.converged();
    assert.equal(underWay, limits.snapshotPieceBytes * limits.snapshotPiecesInFlightMax);
  });
});

describe('a snapshot that has rotted on disk', () => {
  const disks = new Map<MemberId, SimDisk>();
  const openDisk = (id: MemberId) => {
    const disk = disks.get(id) ?? new SimDisk();
    disks.set(id, disk);
    const where = { disk, cluster: 'test', member: id };
    return { storage: new Wal(where), snapshots: new DiskSnapshots(where) };
  };
  const rot = async (id: MemberId): Promise<void> => {
    const newest = (await disks.get(id)!.list()).filter((name) => name.endsWith('.snap')).at(-1)!;
    const file = await disks.get(id)!.open(newest, 'existing');
    // In the content, which lies before a trailer of 28 bytes.
    disks.get(id)!.flip(newest, (await file.size()) - 30, 1);
  };
  beforeEach(() => disks.clear());

  it('is noticed when it is to be sent, and another is taken', async () => {
    const { group, leader, away } = await behind(new Group(names, 6, limits, openDisk));
    const seen: Observation[] = [];
    leader.observe((observation) => seen.push(observation));
    await rot(leader.id);
    await group.start(away);
    await group.converged(30_000);
    assert.equal(group.seat(away).fsm.total, 100);
    assert(seen.some(({ type }) => type === 'snapshot-damaged'));
    assert.equal(group.seat(leader.id).fatal, null);
  });

  it('is passed over at a start for an older one that the log reaches back to', async () => {
    const group = new Group(['a'], 7, { ...limits, trailingEntriesMax: 50 }, openDisk);
    const a = memberId('a');
    await group.start(a);
    await write(group, await group.leader(), 100);
    await group.kill(a);
    await rot(a);
    await group.start(a);
    const leader = await group.leader();
    await group.settled(leader.barrier());
    assert.equal(group.seat(a).fsm.total, 100);
  });

  it('ends a start with a clear error when the log does not', async () => {
    const group = new Group(['a'], 8, { ...limits, trailingEntriesMax: 0 }, openDisk);
    const a = memberId('a');
    await group.start(a);
    await write(group, await group.leader(), 110);
    await group.kill(a);
    await rot(a);
    await assert.rejects(group.start(a), /the log begins behind a snapshot at \d+, which is missing/);
  });
});
