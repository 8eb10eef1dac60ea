import { strict as assert } from 'node:assert';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Entry,
  type HardState,
  RealDisk,
  type SavedLog,
  SimDisk,
  type SnapshotMeta,
  StorageError,
  Wal,
  logIndex,
  memberId,
  term,
} from 'raft-consensus';
import { type SeededRandom, forEachSeed } from '../seeded-random.js';

const IDENTITY = { cluster: 'blue', member: 'master-1' };

function entry(index: number, inTerm: number, size = 10): Entry {
  const data = new Uint8Array(size).fill((index % 255) + 1);
  return { index: logIndex(index), term: term(inTerm), type: 'normal', data };
}

function entries(from: number, to: number, inTerm: number, size?: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, at) => entry(from + at, inTerm, size));
}

function hardState(inTerm: number, commit: number): HardState {
  return { term: term(inTerm), votedFor: memberId('master-2'), commit: logIndex(commit) };
}

function snapshotAt(index: number, inTerm: number): SnapshotMeta {
  const configuration = { voters: [memberId('master-1'), memberId('master-2')], learners: [memberId('new')] };
  return { index: logIndex(index), term: term(inTerm), configuration };
}

async function openWal(disk: SimDisk, segmentBytes = 4096): Promise<{ wal: Wal; saved: SavedLog }> {
  const wal = new Wal({ disk, ...IDENTITY, segmentBytes });
  return { wal, saved: await wal.load() };
}

const indexes = (saved: SavedLog): number[] => saved.entries.map((one) => one.index);

async function segments(disk: SimDisk): Promise<string[]> {
  return (await disk.list()).filter((name) => name.endsWith('.log'));
}

describe('write-ahead log', () => {
  let disk: SimDisk;
  beforeEach(() => {
    disk = new SimDisk();
  });

  it('gives back nothing for a fresh member', async () => {
    const { saved } = await openWal(disk);
    assert.deepEqual(saved, { hardState: null, entries: [], snapshotMeta: null });
    assert.deepEqual((await openWal(disk)).saved, saved);
  });

  it('gives back hard state and entries of every type', async () => {
    const { wal } = await openWal(disk);
    const written: Entry[] = [
      entry(1, 1),
      { index: logIndex(2), term: term(1), type: 'noop', data: new Uint8Array(0) },
      { index: logIndex(3), term: term(2), type: 'config', data: new Uint8Array([1]) },
    ];
    await wal.save({ hardState: hardState(2, 1), entries: written, mustSync: true });
    const { saved } = await openWal(disk);
    assert.deepEqual(saved, { hardState: hardState(2, 1), entries: written, snapshotMeta: null });
  });

  it('replaces the tail by entries that conflict with it, told from where or not', async () => {
    const { wal } = await openWal(disk);
    await wal.save({ entries: entries(1, 9, 1), mustSync: true });
    await wal.save({ entries: entries(5, 6, 2), mustSync: true });
    assert.deepEqual(indexes((await openWal(disk)).saved), [1, 2, 3, 4, 5, 6]);
    await wal.save({ truncateFrom: logIndex(3), entries: entries(3, 3, 3), mustSync: true });
    const { saved } = await openWal(disk);
    assert.deepEqual(
      saved.entries.map((one) => one.term),
      [1, 1, 3],
    );
  });

  it('holds back a hard state that nobody relies on until the next record', async () => {
    const { wal } = await openWal(disk);
    await wal.save({ entries: entries(1, 2, 1), hardState: hardState(1, 0), mustSync: true });
    await wal.save({ entries: [], hardState: hardState(1, 1), mustSync: false });
    assert.equal((await openWal(disk)).saved.hardState?.commit, 0);
    await wal.save({ entries: entries(3, 3, 1), mustSync: true });
    assert.equal((await openWal(disk)).saved.hardState?.commit, 1);
    await wal.save({ entries: [], hardState: hardState(1, 2), mustSync: false });
    await wal.close();
    assert.equal((await openWal(disk)).saved.hardState?.commit, 2);
  });

  it('refuses entries that leave a gap', async () => {
    const { wal } = await openWal(disk);
    await assert.rejects(wal.save({ entries: entries(2, 2, 1), mustSync: true }), /does not follow the log/);
  });

  it('cuts segments, and removes those that compaction has made needless', async () => {
    const { wal } = await openWal(disk);
    for (let at = 1; at <= 40; at++) {
      await wal.save({ hardState: hardState(1, at - 1), entries: [entry(at, 1, 1000)], mustSync: true });
    }
    assert.ok((await segments(disk)).length > 5);
    await wal.compact(logIndex(30), snapshotAt(35, 1));
    assert.ok((await segments(disk)).length < 5);
    const { saved } = await openWal(disk);
    assert.deepEqual(indexes(saved), [31, 32, 33, 34, 35, 36, 37, 38, 39, 40]);
    assert.deepEqual(saved.snapshotMeta, snapshotAt(35, 1));
    assert.deepEqual(saved.hardState, hardState(1, 39));
  });

  it('restarts behind a snapshot that was received', async () => {
    const { wal } = await openWal(disk);
    await wal.save({ entries: entries(1, 5, 1), mustSync: true });
    await wal.save({ snapshot: snapshotAt(100, 3), entries: entries(101, 102, 3), mustSync: true });
    const { saved } = await openWal(disk);
    assert.deepEqual(indexes(saved), [101, 102]);
    assert.deepEqual(saved.snapshotMeta, snapshotAt(100, 3));
  });

  it('merges batches that wait into one write and one fsync', async () => {
    const { wal } = await openWal(disk);
    const counts = { write: 0, sync: 0 };
    disk.inject((operation) => {
      if (operation === 'write' || operation === 'sync') counts[operation]++;
      return undefined;
    });
    const saves = entries(1, 20, 1).map((one) => wal.save({ entries: [one], mustSync: true }));
    await Promise.all(saves);
    assert.deepEqual(counts, { write: 2, sync: 2 });
    assert.equal((await openWal(disk)).saved.entries.length, 20);
  });

  it('fills new segments with zeros when asked to, and reads on behind the records', async () => {
    const options = { disk, ...IDENTITY, segmentBytes: 8192, preallocate: true };
    const wal = new Wal(options);
    await wal.load();
    assert.equal(await (await disk.open('wal-000000000001.log', 'existing')).size(), 8192);
    await wal.save({ entries: entries(1, 3, 1), mustSync: true });
    const again = new Wal(options);
    assert.deepEqual(indexes(await again.load()), [1, 2, 3]);
    await again.save({ entries: entries(4, 4, 1), mustSync: true });
    assert.deepEqual(indexes(await new Wal(options).load()), [1, 2, 3, 4]);
  });

  it('passes an fsync error on, never tries again and accepts nothing any more', async () => {
    const { wal } = await openWal(disk);
    let syncs = 0;
    disk.inject((operation) => (operation === 'sync' && ++syncs > 0 ? new Error('EIO') : undefined));
    const failed = (error: unknown) =>
      error instanceof StorageError && error.code === 'WalFailed' && !error.definite;
    const both = [entry(1, 1), entry(2, 1)].map((one) => wal.save({ entries: [one], mustSync: true }));
    for (const save of await Promise.allSettled(both)) {
      assert.ok(save.status === 'rejected' && failed(save.reason));
    }
    await assert.rejects(wal.save({ entries: [entry(3, 1)], mustSync: true }), failed);
    assert.equal(syncs, 1);
  });

  it('refuses the directory of another cluster or member, with the reason', async () => {
    await openWal(disk);
    for (const [other, reason] of [
      [{ cluster: 'green', member: 'master-1' }, /cluster "blue".*"green"/],
      [{ cluster: 'blue', member: 'master-2' }, /member "master-1".*"master-2"/],
    ] as const) {
      await assert.rejects(new Wal({ disk, ...other }).load(), (error) => {
        assert.ok(error instanceof StorageError && error.code === 'ForeignDirectory');
        assert.match(error.message, reason);
        return true;
      });
    }
  });

  it('reports a missing segment', async () => {
    const { wal } = await openWal(disk);
    for (const one of entries(1, 20, 1, 1000)) await wal.save({ entries: [one], mustSync: true });
    const names = await segments(disk);
    await disk.remove(names[0]!);
    await assert.rejects(openWal(disk), /not all there: a segment is missing/);
  });

  it('reports the end of an old segment cut off', async () => {
    const { wal } = await openWal(disk);
    for (const one of entries(1, 20, 1, 1000)) await wal.save({ entries: [one], mustSync: true });
    const file = await disk.open((await segments(disk))[0]!, 'existing');
    await file.truncate((await file.size()) - 1024 - 8);
    await assert.rejects(openWal(disk), /wal-000000000001.log at byte \d+: /);
  });
});

describe('write-ahead log of a process that was killed', () => {
  it('makes durable what it finds before it says so', async () => {
    const disk = new SimDisk();
    const { wal } = await openWal(disk);
    disk.inject((operation) => (operation === 'sync' ? new Promise<void>(() => undefined) : undefined));
    void wal.save({ entries: entries(1, 3, 1), mustSync: true });
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    disk.inject(undefined);
    assert.deepEqual(indexes((await openWal(disk)).saved), [1, 2, 3]);
    disk.crash(() => 0.1);
    assert.deepEqual(indexes((await openWal(disk)).saved), [1, 2, 3]);
  });

  it('does so with a segment that was renamed and no more', async () => {
    const disk = new SimDisk();
    let renamed = false;
    disk.inject((operation) => {
      if (operation === 'rename') renamed = true;
      return renamed && operation === 'syncDirectory' ? new Promise<void>(() => undefined) : undefined;
    });
    void openWal(disk);
    for (let turn = 0; turn < 60; turn++) await Promise.resolve();
    disk.inject(undefined);
    const { wal } = await openWal(disk);
    await wal.save({ entries: entries(1, 3, 1), mustSync: true });
    disk.crash(() => 0.9);
    assert.deepEqual(indexes((await openWal(disk)).saved), [1, 2, 3]);
  });
});

describe('write-ahead log on a real disk', () => {
  it('gives back what was saved, over many segments and a compaction', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kabuki-wal-'));
    try {
      const open = async () => {
        const options = {
          disk: await RealDisk.open(folder),
          ...IDENTITY,
          segmentBytes: 8192,
          preallocate: true,
        };
        const wal = new Wal(options);
        return { wal, saved: await wal.load() };
      };
      const { wal } = await open();
      for (const one of entries(1, 60, 1, 1000)) await wal.save({ entries: [one], mustSync: true });
      await wal.compact(logIndex(50), snapshotAt(55, 1));
      await wal.close();
      const again = await open();
      assert.deepEqual(again.saved.entries, entries(51, 60, 1, 1000));
      assert.deepEqual(again.saved.snapshotMeta, snapshotAt(55, 1));
      await again.wal.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('write-ahead log, damage', () => {
  it('reports every flipped byte of acknowledged records by file and offset, repairs none', async () => {
    const disk = new SimDisk();
    const { wal } = await openWal(disk);
    for (const one of entries(1, 14, 1, 700)) await wal.save({ entries: [one], mustSync: true });
    const names = await segments(disk);
    const last = await disk.open(names.at(-1)!, 'existing');
    assert.ok((await last.size()) > 700, 'the last segment holds no entry: the test would miss half of it');
    for (const name of names) {
      const size = await (await disk.open(name, 'existing')).size();
      for (let offset = 0; offset < size; offset += 13) {
        disk.flip(name, offset, 0x10);
        const loaded = await openWal(disk).then(
          ({ saved }) => saved,
          (error: unknown) => error,
        );
        if (loaded instanceof StorageError) {
          assert.equal(loaded.code, 'WalCorrupt');
          assert.equal(loaded.file, name);
          assert.ok(loaded.offset !== undefined && loaded.offset <= offset);
        } else {
          // Only padding and reserved words are not covered: then nothing may be missing.
          assert.deepEqual(indexes(loaded as SavedLog), indexes({ entries: entries(1, 14, 1) } as never));
        }
        disk.flip(name, offset, 0x10);
      }
    }
  });

  it('cuts off a torn last record and goes on behind the one before it', async () => {
    const disk = new SimDisk();
    const { wal } = await openWal(disk, 65536);
    for (const one of entries(1, 3, 1, 2000)) await wal.save({ entries: [one], mustSync: true });
    const file = await disk.open('wal-000000000001.log', 'existing');
    const size = await file.size();
    await file.write(size - 1536 - (size % 512), [new Uint8Array(512)]);
    await file.sync();
    const { wal: repaired, saved } = await openWal(disk, 65536);
    assert.deepEqual(indexes(saved), [1, 2]);
    await repaired.save({ entries: entries(3, 4, 2, 2000), mustSync: true });
    assert.deepEqual(indexes((await openWal(disk, 65536)).saved), [1, 2, 3, 4]);
  });

  it('is not begun anew for a member that has run before: an empty disk would make it vote again', async () => {
    const disk = new SimDisk();
    const { wal } = await openWal(disk, 65536);
    await wal.save({ entries: entries(1, 3, 1, 10), mustSync: true });
    disk.replace();
    const again = new Wal({ disk, cluster: 'c', member: 'm', hasRunBefore: true });
    await assert.rejects(again.load(), { code: 'WalLost' });
    assert.deepEqual(await disk.list(), [], 'nothing is written over what might be brought back');
  });

  it('never takes a hole before an intact record for a torn tail', async () => {
    const disk = new SimDisk();
    const { wal } = await openWal(disk, 65536);
    for (const one of entries(1, 3, 1, 2000)) await wal.save({ entries: [one], mustSync: true });
    const file = await disk.open('wal-000000000001.log', 'existing');
    await file.write(2560, [new Uint8Array(512)]);
    await file.sync();
    await assert.rejects(openWal(disk, 65536), /record \d does not check, and no crash leaves it like this/);
  });
});

/** What a member did, as far as it was acknowledged, and what the disk may hold beyond that. */
interface Expected {
  entries: Entry[];
  hardState: HardState | null;
  snapshot: SnapshotMeta | null;
  compactedTo: number;
}

const copyOf = (state: Expected): Expected => ({ ...state, entries: [...state.entries] });

function describeState(saved: SavedLog): string {
  const log = saved.entries.map((one) => `${one.index}/${one.term}/${one.data.length}`).join(' ');
  const { hardState: hard } = saved;
  return `${hard?.term}/${hard?.commit}/${hard?.votedFor} ${saved.snapshotMeta?.index} ${log}`;
}

function expectedText(state: Expected): string {
  const kept = state.entries.filter((one) => one.index > state.compactedTo);
  return describeState({ hardState: state.hardState, entries: kept, snapshotMeta: state.snapshot });
}

/** Makes one random save or compaction, tells `after` what the state becomes. */
function randomStep(random: SeededRandom, wal: Wal, state: Expected): Promise<void> {
  const last = state.entries.at(-1)?.index ?? state.compactedTo;
  const inTerm = (state.hardState?.term ?? 0) + (random() < 0.2 ? 1 : 0);
  const kind = random();
  if (kind < 0.1 && last > state.compactedTo + 2) {
    const snapshotIndex = state.compactedTo + 1 + random.below(last - state.compactedTo);
    const to = Math.max(state.compactedTo, snapshotIndex - random.below(3));
    state.snapshot = snapshotAt(snapshotIndex, inTerm);
    state.compactedTo = to;
    return wal.compact(logIndex(to), state.snapshot);
  }
  if (kind < 0.13) {
    const index = last + 1 + random.below(20);
    state.snapshot = snapshotAt(index, inTerm);
    state.entries = [];
    state.compactedTo = index;
    state.hardState = hardState(inTerm, index);
    return wal.save({ hardState: state.hardState, snapshot: state.snapshot, entries: [], mustSync: true });
  }
  const from = random() < 0.2 ? last + 1 - random.below(Math.min(4, last - state.compactedTo + 1)) : last + 1;
  const added = entries(from, from + random.below(5), inTerm, random.below(1500));
  state.entries = [...state.entries.filter((one) => one.index < from), ...added];
  state.hardState = hardState(inTerm, state.compactedTo);
  return wal.save({ hardState: state.hardState, entries: added, mustSync: true });
}

describe('write-ahead log under crashes', () => {
  const title = 'loses no acknowledged batch and never reads back a half one';
  it(title, async () => {
    let unacknowledgedSurvived = 0;
    let unacknowledgedLost = 0;
    await forEachSeed(150, title, async (random) => {
      const disk = new SimDisk();
      let state: Expected = { entries: [], hardState: null, snapshot: null, compactedTo: 0 };
      for (let life = 0; life < 6; life++) {
        const { wal, saved } = await openWal(disk);
        assert.equal(describeState(saved), expectedText(state));
        for (let step = random.below(15); step > 0; step--) await randomStep(random, wal, state);
        // The power goes off during some disk operation of the next step: after it the member sees no answer.
        const before = copyOf(state);
        let left = random.below(12);
        disk.inject(() => (left-- > 0 ? undefined : new Promise<void>(() => undefined)));
        let acknowledged = false;
        void randomStep(random, wal, state).then(
          () => (acknowledged = true),
          () => undefined,
        );
        for (let turn = 0; turn < 60; turn++) await Promise.resolve();
        const onlyKilled = random() < 0.3;
        if (!onlyKilled) disk.crash(random);
        disk.inject(undefined);
        if (!acknowledged) {
          const text = describeState((await openWal(disk)).saved);
          assert.ok(
            text === expectedText(before) || text === expectedText(state),
            `neither:\n${text}\n${expectedText(before)}\n${expectedText(state)}`,
          );
          if (text === expectedText(state)) unacknowledgedSurvived++;
          else {
            unacknowledgedLost++;
            state = before;
          }
        }
        if (onlyKilled && random() < 0.5) {
          // What the next process has read must outlive the machine.
          await openWal(disk);
          disk.crash(random);
        }
      }
    });
    if (process.env['KABUKI_SEED'] === undefined) {
      assert.ok(unacknowledgedSurvived > 20 && unacknowledgedLost > 20, 'the crashes hit nothing');
    }
  });
});
