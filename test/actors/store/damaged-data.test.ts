import { strict as assert } from 'node:assert';
import { StorageError } from 'raft-consensus';
import { nodeId } from '../../../transport/index.js';
import { SmallGroup } from './small-group.js';

describe('a member whose log no longer reads back', () => {
  it('ends at its first start, and says where: to load it again and again helps nobody', async () => {
    const group = new SmallGroup('damaged log');
    const leader = await group.leader();
    const follower = group.names.find((name) => name !== leader)!;
    for (let i = 0; i < 20; i++) await group.put(`k${i}`, `value-${i}`);
    await group.wait(1_000);
    group.kill(follower);
    const disk = group.world.diskOf(nodeId(follower), 'raft')!;
    const name = (await disk.list()).find((one) => one.startsWith('wal-'))!;
    const file = await disk.open(name, 'existing');
    const offset = Buffer.from(await file.read(0, await file.size())).indexOf('value-3');
    assert(offset > 0);
    disk.flip(name, offset, 1);
    group.world.journal.clear();
    group.start(follower);
    await group.world.run(() => group.ended.has(follower));
    const error = group.ended.get(follower);
    assert(
      error instanceof StorageError && error.code === 'WalCorrupt' && error.file === name,
      String(error),
    );
    const events = group.world.journal.events();
    assert(!events.some(({ type, node }) => type === 'restart' && node === follower));
    await group.put('k', 'goes on');
  });
});
