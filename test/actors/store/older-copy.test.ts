import { strict as assert } from 'node:assert';
import { RaftError, type SimDisk } from 'raft-consensus';
import { nodeId } from '../../../transport/index.js';
import { SmallGroup } from './small-group.js';

describe('a member whose folder was replaced by an older copy of it', () => {
  it('ends, and says why, when the leader knows what it had acknowledged; the others go on', async () => {
    const group = new SmallGroup('an older copy');
    const leader = await group.leader();
    const follower = group.names.find((name) => name !== leader)!;
    for (let i = 0; i < 20; i++) await group.put(`k${i}`, 'before');
    await group.wait(1_000);
    group.kill(follower);
    const disk = group.world.diskOf(nodeId(follower), 'raft')!;
    const copy = await contentOf(disk);
    group.start(follower);
    for (let i = 0; i < 20; i++) await group.put(`k${i}`, 'after');
    await group.wait(3_000);
    group.kill(follower);
    await replace(disk, copy);
    group.start(follower);
    await group.world.run(() => group.ended.has(follower));
    const error = group.ended.get(follower);
    assert(error instanceof RaftError && error.code === 'Corrupt');
    assert.match(
      error.message,
      /^m\d: its log ends at entry \d+, and it has acknowledged all up to \d+ to m\d: its data are an older copy/,
    );
    await group.put('k', 'goes on');
    assert.deepEqual([...group.ended.keys()], [follower]);
  });

  // npm run sim -- --seed 60694: it committed its own entries when the leader said how far commits had come.
  it('commits none of its entries that the group has replaced since, and ends, and says why', async () => {
    const group = new SmallGroup('a longer older copy');
    const first = await group.leader();
    await group.put('k', 'everybody');
    group.world.isolate(first);
    for (let i = 0; i < 40; i++)
      group.parts
        .get(first)!
        .raft.barrier()
        .catch(() => undefined);
    await group.wait(50);
    const disk = group.world.diskOf(nodeId(first), 'raft')!;
    const copy = disk.image();
    const { commitIndex, lastIndex } = group.parts.get(first)!.raft.stats();
    assert(lastIndex >= commitIndex + 40);
    const second = () => group.names.find((name) => name !== first && group.parts.get(name)?.raft.isLeader());
    await group.world.run(() => second() !== undefined);
    group.world.heal();
    await group.put('k', 'the others');
    const leader = group.parts.get(second()!)!;
    await group.world.run(() => group.parts.get(first)!.store.digest === leader.store.digest);
    group.kill(first);
    disk.restore(copy);
    // Only the news of commits comes through: an append would be refused, and the entries be replaced once more.
    group.world.network.faults.add({
      id: 'no appends',
      from: ['*'],
      to: [first],
      kinds: ['RaftAppend'],
      action: { type: 'cut' },
    });
    group.start(first);
    let committed = 0;
    await group.world.run(() => {
      committed = Math.max(committed, group.parts.get(first)?.raft.stats().commitIndex ?? 0);
      return group.ended.has(first);
    });
    assert(committed <= commitIndex, `${committed}, of which ${commitIndex} were`);
    const error = group.ended.get(first);
    assert(error instanceof RaftError && error.code === 'Corrupt', String(error));
    assert.match(
      error.message,
      /^m\d: its log has an entry \d+ of term \d+, and it has acknowledged all up to \d+, of term \d+, to m\d/,
    );
    await group.put('k', 'goes on');
  });

  it('a member that was merely away catches up', async () => {
    const group = new SmallGroup('merely away');
    const leader = await group.leader();
    const follower = group.names.find((name) => name !== leader)!;
    for (let round = 0; round < 4; round++) {
      group.kill(follower);
      for (let i = 0; i < 30; i++) await group.put(`k${i}`, `${round}`);
      group.start(follower);
      await group.wait(4_000);
    }
    await group.world.run(
      () => group.parts.get(follower)?.store.digest === group.parts.get(leader)?.store.digest,
    );
    assert.equal(group.ended.size, 0);
  });
});

async function contentOf(disk: SimDisk): Promise<Map<string, Uint8Array>> {
  const content = new Map<string, Uint8Array>();
  for (const name of await disk.list()) {
    const file = await disk.open(name, 'existing');
    content.set(name, await file.read(0, await file.size()));
  }
  return content;
}

async function replace(disk: SimDisk, content: ReadonlyMap<string, Uint8Array>): Promise<void> {
  // Its operations take the time of a node that is dead.
  disk.inject(undefined);
  for (const name of await disk.list()) await disk.remove(name);
  for (const [name, bytes] of content) {
    const file = await disk.open(name, 'create');
    await file.write(0, [bytes]);
    await file.sync();
  }
  await disk.syncDirectory();
}
