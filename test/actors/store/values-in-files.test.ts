/** Members whose values do not fit into their memory: what goes between them, and what they come back with. */
import { strict as assert } from 'node:assert';
import { nodeId } from '../../../transport/index.js';
import { SmallGroup, put } from './small-group.js';

const store = { valuesResidentBytesMax: 10_000, valueCacheBytesMax: 5_000, valueSlabBytesMin: 2_000 };
const raft = { snapshotEveryEntries: 40, trailingEntriesMax: 0 };

describe('a store whose members keep little of it in memory', () => {
  it('brings one that was away back by a snapshot, and all after a power failure', async () => {
    const group = new SmallGroup('little memory', { store, raft });
    const away = (await group.leader()) === 'm3' ? 'm1' : 'm3';
    await fill(group, 0, 100);
    group.kill(away);
    await fill(group, 50, 150);
    group.start(away);
    await agreed(group);
    assert.ok(group.parts.get(away)!.raft.stats().snapshotIndex > 100, 'the log alone would not have done');
    for (const { store: state } of group.parts.values()) {
      const { values } = state.versions;
      assert.ok(values.hasFiles && values.residentBytes < 30_000 && values.liveBytes > 250_000);
    }
    for (const name of group.names) group.kill(name);
    for (const name of group.names) group.start(name);
    await agreed(group);
    for (const name of group.names) {
      const { result } = await group.do(
        group.clientOf(name).range({ type: 'range', key: '/', rangeEnd: '0' }),
      );
      assert.deepEqual(
        result.kvs.map(({ key, value }) => [key, Buffer.from(value).toString()]).toSorted(),
        Array.from({ length: 150 }, (_, at) => [keyOf(at), valueOf(at)]).toSorted(),
      );
    }
    assert.deepEqual([...group.ended], []);
  });

  it('ends a member that reads a value which is not what was written; the others serve the right one', async () => {
    const group = new SmallGroup('rotten value', { store, raft });
    await fill(group, 0, 100);
    const victim = await group.leader();
    const disk = group.world.diskOf(nodeId(victim), 'raft')!;
    for (const { name, bytes } of disk.files) {
      if (!name.startsWith('values-')) continue;
      for (let at = 100; at < bytes; at += 500) disk.overwrite(name, at, Uint8Array.of(1));
    }
    const all = { type: 'range', key: '/', rangeEnd: '0' } as const;
    await assert.rejects(group.do(group.clientOf(victim).range(all)));
    for (let at = 0; at < 100; at++) {
      const { result } = await group.do(group.client.range({ type: 'range', key: keyOf(at) }));
      assert.equal(Buffer.from(result.kvs[0]!.value).toString(), valueOf(at));
    }
    assert.match(String(group.ended.get(victim)), /does not match its checksum/);
    assert.deepEqual([...group.ended.keys()], [victim]);
  });
});

const keyOf = (at: number) => `/key${at}`;
const valueOf = (at: number) => `${at} `.padEnd(2_000, 'abcdefg');

async function fill(group: SmallGroup, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at++) await group.do(group.client.txn(put(keyOf(at), valueOf(at))));
}

/** All of them have applied the same, and hold the same. */
async function agreed(group: SmallGroup): Promise<void> {
  const digests = () =>
    new Set([...group.parts.values()].map((parts) => `${parts.store.appliedIndex} ${parts.store.digest}`));
  await group.world.run(() => group.parts.size === group.names.length && digests().size === 1);
  const hashes = [...group.parts.values()].map((parts) => JSON.stringify(parts.store.hash()));
  assert.equal(new Set(hashes).size, 1);
}
