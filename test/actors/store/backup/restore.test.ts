import { strict as assert } from 'node:assert';
import { KvFsm, KvError, type LeaseId, leaseId, type Op, revision, SimDisk } from 'raft-consensus';
import {
  BackupDesk,
  BackupError,
  EtcdBackup,
  openDiskStorage,
  restoreBackup,
} from '../../../../actors/store/index.js';
import { encodeKeyValue, encodeLease, encodeRevision } from '../../../../actors/store/backup/etcd-records.js';
import { BoltWriter } from '../../../../actors/store/backup/bolt-writer.js';
import { nodeId } from '../../../../transport/index.js';
import { forEachSeed, type SeededRandom, seededRandom } from '../../../raft/seeded-random.js';
import { put, SmallGroup, txn } from '../small-group.js';
import { memoryFile } from './memory-file.js';

describe('a backup that is restored', () => {
  it('gives the keys, values, revisions, versions and leases that the store had, whatever was done to it', async () => {
    await forEachSeed(4, 'backups', async (random, seed) => {
      const group = new SmallGroup(`restore ${seed}`);
      await group.leader();
      await busy(group, random, 250);
      const wanted = await stateOf(group);
      const restored = await restore(await backupOf(group));
      assert.equal(restored.revision, wanted.revision + 1_000);
      assert.deepEqual(restored.keys, wanted.keys);
      assert.deepEqual(restored.leases, wanted.leases);
    });
  });

  it('holds more keys than are sorted in memory at once', async () => {
    const group = new SmallGroup('many keys', { members: ['m1'] });
    await group.leader();
    const random = seededRandom(3);
    for (let i = 0; i < 300; i++) {
      const puts = Array.from({ length: 100 }, (): Op => {
        const key = `k${String(random.below(1e9)).padStart(9, '0')}`;
        return { type: 'put', key, value: Buffer.from(key) };
      });
      await group.do(
        group.client.txn(txn(...new Map(puts.map((op) => [(op as { key: string }).key, op])).values())),
      );
    }
    const head = await group.do(group.client.currentRevision());
    await group.do(group.client.compact(head));
    const wanted = await stateOf(group);
    assert(wanted.keys.length > 29_000);
    assert.deepEqual((await restore(await backupOf(group))).keys, wanted.keys);
  });

  it('with passwords in a form that nobody here can check is refused while rights are asked for', async () => {
    const group = new SmallGroup('strange passwords', { members: ['m1'] });
    await group.leader();
    for (const change of [
      { type: 'user-add', user: 'root', passwordHash: 'rot13:ebbg' },
      { type: 'role-add', role: 'root' },
      { type: 'user-grant', user: 'root', role: 'root' },
      { type: 'enable', tokenKey: new Uint8Array(32) },
    ] as const) {
      await group.do(group.client.authChange(change));
    }
    const why = /the passwords of root are in no form that can be checked here/;
    await assert.rejects(restore(await backupOf(group)), why);
  });

  it('that is damaged is refused, or gives a store, and never anything else, even if its sum is not looked at', async () => {
    const group = new SmallGroup('damaged', { members: ['m1'] });
    await group.leader();
    await busy(group, seededRandom(5), 60);
    const whole = await backupOf(group);
    const random = seededRandom(11);
    let refused = 0;
    for (let i = 0; i < 300; i++) {
      const bytes = Buffer.from(whole);
      let at = random.below(bytes.length - 4096);
      while (bytes[at] === 0) at += 1;
      bytes[at]! ^= 1 << random.below(8);
      await assert.rejects(restore(bytes), BackupError);
      try {
        await restore(bytes, true);
      } catch (error) {
        assert(error instanceof BackupError || error instanceof KvError, String((error as Error).stack));
        refused += 1;
      }
    }
    assert(refused > 10, `${refused} refused`);
  });

  it('of an etcd whose revision was moved on by a restore goes on from there', async () => {
    const file = await new SimDisk().open('db', 'create');
    const bolt = new BoltWriter(file);
    await bolt.bucket('key');
    const kv = {
      key: 'k',
      createRevision: revision(5),
      modRevision: revision(5),
      version: 1,
      lease: leaseId(0),
    };
    const at = (main: number) => encodeRevision({ main, sub: 0, isTombstone: false });
    await bolt.put(at(5), encodeKeyValue({ ...kv, value: Buffer.from('v') }));
    // What etcdutl --bump-revision leaves: a change of nothing.
    await bolt.put(at(1_000_005), Buffer.alloc(0));
    await bolt.bucket('meta');
    await bolt.put(Buffer.from('scheduledCompactRev'), at(1_000_005));
    const bytes = await bolt.finish();
    const restored = await restore(Buffer.from(await file.read(0, bytes)), true);
    assert.equal(restored.revision, 1_001_005);
    assert.deepEqual(restored.keys, [{ ...kv, value: Buffer.from('v').toString('base64') }]);
  });

  it('takes leases of all ids as they are', async () => {
    const file = await new SimDisk().open('db', 'create');
    const bolt = new BoltWriter(file);
    await bolt.bucket('key');
    await bolt.bucket('meta');
    await bolt.bucket('lease');
    const own = { id: leaseId(7), ttlMs: 60_000, deadlineMs: 30_000 };
    const { key, value } = encodeLease(own, 0);
    await bolt.put(key, value);
    // Two that are one as numbers, and one of a client that likes other ids.
    const wide = [0x6940_0000_0000_0007n, 0x6940_0000_0000_0008n, -5n];
    for (const id of wide) await bolt.put(bytesOf(id), leaseOf(id));
    const bytes = await bolt.finish();
    const restored = await restore(Buffer.from(await file.read(0, bytes)), true);
    assert.deepEqual(
      restored.leases.map(({ id, ttlMs }) => [id, ttlMs]),
      [
        [-5, 90_000],
        [7, 60_000],
        [wide[0], 90_000],
        [wide[1], 90_000],
      ],
    );
  });
});

function bytesOf(id: bigint): Buffer {
  const key = Buffer.alloc(8);
  key.writeBigInt64BE(id);
  return key;
}

/** leasepb.Lease with a TTL of 90 seconds. */
function leaseOf(id: bigint): Buffer {
  const varint: number[] = [];
  for (let rest = BigInt.asUintN(64, id); ; rest >>= 7n) {
    varint.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    if (rest <= 0x7fn) break;
  }
  return Buffer.from([0x08, ...varint, 0x10, 90]);
}

async function busy(group: SmallGroup, random: SeededRandom, steps: number): Promise<void> {
  const leases: LeaseId[] = [];
  for (let i = 0; i < steps; i++) {
    const key = `${random.pick(['a', 'b/', '\u00ff'])}${random.below(25)}`;
    const lease = leases.length > 0 && random.below(3) === 0 ? random.pick(leases) : undefined;
    const step = random.below(20);
    if (step === 0) {
      const id = leaseId([0, -i, 2n ** 62n + BigInt(i)][i % 3]!);
      leases.push(await group.do(group.client.leaseGrant(600_000, { id })));
    } else if (step === 1 && leases.length > 2) await group.do(group.client.leaseRevoke(leases.shift()!));
    else if (step === 2) {
      const at = await group.do(group.client.currentRevision());
      await group.do(group.client.compact(at)).catch(() => {});
    } else if (step < 6) await group.do(group.client.txn(txn({ type: 'delete', key, rangeEnd: `${key}~` })));
    else if (step < 9) {
      const other = { type: 'put', key: `${key}x`, value: Buffer.alloc(random.below(6_000), i) } as const;
      await group.do(group.client.txn(txn({ type: 'put', key, value: Buffer.from(`${i}`) }, other)));
    } else await group.do(group.client.txn(put(key, `${i}`, lease)));
  }
}

interface State {
  readonly revision: number;
  readonly keys: unknown;
  readonly leases: readonly {
    readonly id: LeaseId;
    readonly ttlMs: number;
    readonly keys: readonly string[];
  }[];
}

async function stateOf(group: SmallGroup) {
  const { store } = group.parts.get(await group.leader())!;
  return stateIn(store);
}

function stateIn(store: KvFsm['store']): State & { readonly keys: unknown[] } {
  const found = store.range({ type: 'range', key: '\0', rangeEnd: '\0' });
  assert(!(found instanceof KvError));
  const leases = store.leases().map((id) => {
    const status = store.leaseStatus(id);
    assert(!(status instanceof KvError));
    return { id, ttlMs: status.grantedTtlMs, keys: status.keys };
  });
  return {
    revision: found.revision,
    keys: found.result.kvs.map((kv) => ({ ...kv, value: Buffer.from(kv.value).toString('base64') })),
    leases,
  };
}

async function backupOf(group: SmallGroup): Promise<Buffer> {
  const { ref } = group.refs[0]!;
  const desk = new BackupDesk({ system: group.world.system(nodeId('desk')), member: ref, folder: 'backup' });
  return await group.do(
    (async () => {
      const spool = await desk.take();
      const blocks: Uint8Array[] = [];
      for await (const block of spool.blocks()) blocks.push(block);
      await spool.remove();
      return Buffer.concat(blocks);
    })(),
  );
}

/** Into two members, of which the second is looked at. */
async function restore(bytes: Buffer, skipsSum = false): Promise<State & { readonly keys: unknown[] }> {
  const members = ['r1', 'r2'].map((name) => ({ name, disk: new SimDisk() }));
  const backup = await EtcdBackup.open(memoryFile(bytes), { skipsSum });
  const scratch = new SimDisk();
  await restoreBackup({
    backup,
    cluster: 'new',
    members,
    scratch,
    bumpRevision: 1_000,
    disablesAuth: false,
    tokenKey: new Uint8Array(32),
  });
  assert.deepEqual(await scratch.list(), []);
  const { snapshots } = openDiskStorage(members[1]!.disk, 'new', 'r2');
  const source = (await snapshots.open())!;
  const fsm = new KvFsm();
  await fsm.restore(contentOf(source));
  return stateIn(fsm.store);
}

async function* contentOf(source: {
  readonly bytes: number;
  read(at: number, length: number): Promise<Uint8Array>;
}) {
  for (let at = 0; at < source.bytes; at += 65_536) yield await source.read(at, 65_536);
}
