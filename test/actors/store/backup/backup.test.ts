import { strict as assert } from 'node:assert';
import type { KeyValue } from 'raft-consensus';
import { createHash } from 'node:crypto';
import { BackupDesk, BackupError, type BackupSpool, storeLimits } from '../../../../actors/store/index.js';
import { BackupSource } from '../../../../actors/store/backup/backup-source.js';
import { BoltReader } from '../../../../actors/store/backup/bolt-reader.js';
import { decodeKeyValue, decodeRevision } from '../../../../actors/store/backup/etcd-records.js';
import { backupLimits } from '../../../../actors/store/backup/limits.js';
import { nodeId } from '../../../../transport/index.js';
import { put, SmallGroup } from '../small-group.js';
import { memoryFile } from './memory-file.js';

describe('a backup of a store member', () => {
  it('holds the state of one moment, while writes, deletions and compactions go on', async () => {
    const group = new SmallGroup('backup while busy');
    await fill(group, 3_000, 'x'.repeat(1_500));
    const desk = deskOf(group, await group.leader());
    // Or it would wait for its link.
    await group.do((await group.do(desk.take())).remove());
    let isTaken = false;
    const taking = desk.take().finally(() => (isTaken = true));
    const states = new Map<number, readonly KeyValue[]>();
    for (let i = 0; !isTaken; i++) {
      const everything = { type: 'range', key: '\0', rangeEnd: '\0' } as const;
      const { revision, result } = await group.do(group.client.range(everything));
      states.set(revision, result.kvs);
      await group.put(`k${i % 50}`, `later ${i}`);
      if (i % 5 === 4) await group.do(group.client.compact(revision));
    }
    const spool = await group.do(taking);
    assert(spool.isCurrent);
    const found = await contentOf(group, spool);
    const wanted = states.get(found.head);
    assert(wanted && found.head < Math.max(...states.keys()), 'writes went on after it was opened');
    assert.deepEqual(found.live, new Map(wanted.map((kv) => [kv.key, { ...kv, value: text(kv) }])));
    await group.do(spool.remove());
  });

  it('has every version that is not compacted away, in the order of revisions', async () => {
    const group = new SmallGroup('backup of history');
    for (let i = 0; i < 30; i++) await group.put(`k${i % 7}`, `${i}`);
    await group.do(group.client.compact(20 as never));
    await group.do(
      group.client.txn({ type: 'txn', compare: [], success: [{ type: 'delete', key: 'k3' }], failure: [] }),
    );
    const spool = await group.do(deskOf(group, 'm2').take());
    const { records } = await contentOf(group, spool);
    // What was current at 20 (7 keys), the changes 21 to 31, and the deletion.
    assert.equal(records.length, 7 + 11 + 1);
    assert.deepEqual(
      records.map(({ main }) => main),
      [14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32],
    );
    assert.deepEqual(records.at(-1), { main: 32, sub: 0, isTombstone: true, key: 'k3' });
    await group.do(spool.remove());
  });

  it('is the same, byte for byte, from members that have applied the same', async () => {
    const group = new SmallGroup('backup of equals');
    await fill(group, 500);
    const spools = await group.do(Promise.all(group.names.map((name) => deskOf(group, name).take())));
    const sums: string[] = [];
    for (const spool of spools) {
      assert.equal(spool.head.appliedIndex, spools[0]!.head.appliedIndex);
      sums.push(
        createHash('sha256')
          .update(Buffer.concat(await all(group, spool)))
          .digest('hex'),
      );
    }
    assert.equal(new Set(sums).size, 1);
  });

  it('is taken without a quorum too, and says that it may be behind', async () => {
    const group = new SmallGroup('backup without a quorum');
    await fill(group, 20);
    await group.world.run(() => group.parts.get('m3')!.store.keyCount === 20);
    for (const name of ['m1', 'm2']) group.kill(name);
    const spool = await group.do(deskOf(group, 'm3').take());
    assert.equal(spool.isCurrent, false);
    assert((await contentOf(group, spool)).live.size > 0);
  });

  it('that nobody reads from is given up, and compaction goes on', async () => {
    const group = new SmallGroup('backup left alone');
    await fill(group, 200);
    const name = await group.leader();
    const { store } = group.parts.get(name)!;
    const { ref } = group.refs.find((one) => one.name === name)!;
    await group.do(BackupSource.open(group.world.system(nodeId('idle')), ref));
    for (let i = 0; i < 50; i++) await group.put('again', String(i));
    await group.do(group.client.compact(store.revision));
    await group.wait(storeLimits.compactPauseMs * 20);
    assert(store.compactionPending, 'the backup holds it up');
    await group.wait(backupLimits.sessionIdleMs);
    await group.world.run(() => !store.compactionPending);
  });

  it('fails when its member restarts, leaves no file behind, and the next one is well', async () => {
    const group = new SmallGroup('backup of a member that dies', { members: ['m1'] });
    await fill(group, 2_000, 'x'.repeat(400));
    const system = group.world.system(nodeId('desk'));
    const desk = new BackupDesk({ system, member: group.refs[0]!.ref, folder: 'backup' });
    let hasBegun = false;
    const failing = desk.take({ onProgress: () => (hasBegun = true) });
    await group.world.run(() => hasBegun);
    group.kill('m1');
    await group.do(
      failing.then(
        () => assert.fail('it went well'),
        (error: Error) => assert.match(error.message, /did not answer|no backup/),
      ),
    );
    assert.deepEqual(await (await system.env.disk('backup')).list(), []);
    group.start('m1');
    const spool = await group.do(desk.take());
    assert.equal((await contentOf(group, spool)).live.size, 2_000);
  });

  it('is refused when too many are being taken', async () => {
    const group = new SmallGroup('too many backups', { members: ['m1'] });
    await fill(group, 10);
    const desk = deskOf(group, 'm1');
    const spools: BackupSpool[] = [];
    for (let i = 0; i < backupLimits.spoolsMax; i++) spools.push(await group.do(desk.take()));
    await assert.rejects(desk.take(), (error) => error instanceof BackupError && error.code === 'Busy');
    await group.do(spools[0]!.remove());
    await group.do(desk.take());
  });
});

async function fill(group: SmallGroup, count: number, value = ''): Promise<void> {
  await group.leader();
  const writes = Array.from({ length: count }, (_, i) => group.client.txn(put(`k${i}`, `${value} ${i}`)));
  await group.do(Promise.all(writes));
}

function deskOf(group: SmallGroup, name: string): BackupDesk {
  const { ref } = group.refs.find((one) => one.name === name)!;
  return new BackupDesk({
    system: group.world.system(nodeId(`desk-${name}`)),
    member: ref,
    folder: 'backup',
  });
}

async function all(group: SmallGroup, spool: BackupSpool): Promise<Uint8Array[]> {
  return await group.do(
    (async () => {
      const blocks: Uint8Array[] = [];
      for await (const block of spool.blocks()) blocks.push(block);
      return blocks;
    })(),
  );
}

async function contentOf(group: SmallGroup, spool: BackupSpool) {
  const bytes = Buffer.concat(await all(group, spool));
  assert.equal(bytes.length, spool.bytes);
  const reader = await BoltReader.open(memoryFile(bytes), bytes.length - 32);
  const records: unknown[] = [];
  const live = new Map<string, unknown>();
  for (const { name, entries } of await reader.buckets()) {
    if (name !== 'key') continue;
    for await (const page of entries()) {
      for (const entry of page) {
        const at = decodeRevision(entry.key)!;
        const kv = decodeKeyValue(entry.value);
        records.push({ ...at, key: kv.key });
        if (at.isTombstone) live.delete(kv.key);
        else live.set(kv.key, { ...kv, lease: Number(kv.lease), value: kv.value.toString() });
      }
    }
  }
  return { head: spool.head.revision, records: records as { main: number }[], live };
}

const text = (kv: KeyValue) => Buffer.from(kv.value).toString();
