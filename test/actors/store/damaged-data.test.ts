import { strict as assert } from 'node:assert';
import { RaftError, type SimDisk, StorageError } from 'raft-consensus';
import { nodeId } from '../../../transport/index.js';
import { SmallGroup } from './small-group.js';

describe('a member whose data no longer read back', () => {
  it('ends at its first start, and says where: to load them again and again helps nobody', async () => {
    const group = new SmallGroup('damaged log');
    let damaged = '';
    const error = await startedAfter(group, async (disk) => {
      damaged = (await disk.list()).find((one) => one.startsWith('wal-'))!;
      const file = await disk.open(damaged, 'existing');
      const offset = Buffer.from(await file.read(0, await file.size())).indexOf('value-3');
      assert(offset > 0);
      disk.flip(damaged, offset, 1);
    });
    assert(
      error instanceof StorageError && error.code === 'WalCorrupt' && error.file === damaged,
      String(error),
    );
    await group.put('k', 'goes on');
  });

  // npm run sim -- --seed 40584, when each start took three seconds: it was started over for ever.
  it('ends so, too, when its log begins behind a snapshot that is gone', async () => {
    const group = new SmallGroup('no snapshot', {
      raft: { snapshotEveryEntries: 10, trailingEntriesMax: 0 },
    });
    const error = await startedAfter(group, async (disk) => {
      const snapshots = (await disk.list()).filter((one) => one.startsWith('snapshot-'));
      assert(snapshots.length > 0);
      for (const name of snapshots) await disk.remove(name);
    });
    assert(error instanceof RaftError && error.code === 'Corrupt', String(error));
    await group.put('k', 'goes on');
  });

  // npm run sim -- --seed 60110: the error was that of a malformed snapshot, and it was started over.
  it('ends so, too, when a file of values that its snapshot refers to is cut off', async () => {
    const group = new SmallGroup('values cut off', {
      raft: { snapshotEveryEntries: 10, trailingEntriesMax: 0 },
      store: { valuesUnfiledBytesMax: 10, valuesResidentBytesMax: 0, valueSlabBytesMin: 1 },
    });
    let damaged = '';
    const error = await startedAfter(group, async (disk) => {
      const files = disk.files.filter(({ name }) => name.startsWith('values-'));
      assert(files.length > 0);
      // Whichever of them the snapshot needs.
      for (const { name, bytes } of files) disk.shorten(name, bytes - 1);
      damaged = files.map(({ name }) => name).join();
    });
    assert(error instanceof StorageError && error.code === 'ValueCorrupt', String(error));
    assert(error.file && damaged.includes(error.file), `${error.file}`);
    await group.put('k', 'goes on');
  });
});

/** What a follower ends with when something was done to its disk; it must not have been started a second time. */
async function startedAfter(group: SmallGroup, harm: (disk: SimDisk) => Promise<void>): Promise<unknown> {
  const leader = await group.leader();
  const follower = group.names.find((name) => name !== leader)!;
  for (let i = 0; i < 20; i++) await group.put(`k${i}`, `value-${i}`);
  await group.wait(1_000);
  group.kill(follower);
  await harm(group.world.diskOf(nodeId(follower), 'raft')!);
  group.world.journal.clear();
  group.start(follower);
  await group.world.run(() => group.ended.has(follower));
  const events = group.world.journal.events();
  assert(!events.some(({ type, node }) => type === 'restart' && node === follower));
  return group.ended.get(follower);
}
