import { strict as assert } from 'node:assert';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../../deploy/wait.js';
import { rpc } from '../harness/etcd-calls.js';
import { GrpcClient } from '../harness/grpc-client.js';
import { kabukiPath } from '../harness/process-cluster.js';
import { type Outcome, run } from '../harness/program.js';
import { startStoreAlone, type StoreAlone } from '../harness/store-alone.js';

describe('kabuki store snapshot', function () {
  this.timeout(120_000);
  let folder: string;
  let store: StoreAlone;
  let saved: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-snapshot-'));
    saved = path('saved.db');
    store = await startStoreAlone({ members: 1 });
    const client = clientOf(store);
    for (let i = 0; i < 300; i++) await put(client, `k${i}`, `value ${i}`);
    client.close();
    const outcome = await snapshot('save', saved, '--data-dir', store.dataDir);
    assert.match(outcome.stdout, /revision 301, 300 changes of keys, 0 leases, \d+ KiB, from store-1/);
  });
  after(async () => {
    await store?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const path = (name: string) => join(folder, name);
  const snapshot = (...args: string[]): Promise<Outcome> =>
    run(process.execPath, [kabukiPath, 'store', 'snapshot', ...args]);
  const refused = async (text: RegExp, ...args: string[]) => {
    const outcome = await snapshot(...args);
    assert.equal(outcome.code, 1, outcome.stdout);
    assert.match(outcome.stderr, text);
    assert.doesNotMatch(outcome.stderr, /\n {4}at /, 'a stack trace is no message');
  };

  it('what was saved comes back in a new store, under a new identity, and goes on at later revisions', async () => {
    const dataDir = path('restored');
    mkdirSync(dataDir);
    const made = await snapshot('restore', saved, '--data-dir', dataDir, '--members', '3');
    assert.equal(made.code, 0, made.stderr);
    assert.match(
      made.stdout,
      /a store of 3 members with 300 keys and 0 leases\n.*revision 301 .*, 1000000301 now/,
    );
    const identity = (dir: string) =>
      (JSON.parse(readFileSync(join(dir, 'cluster.json'), 'utf8')) as { id: string }).id;
    assert.notEqual(identity(dataDir), identity(store.dataDir));
    const restored = await startStoreAlone({ dataDir, members: 3 });
    const [old, now] = [clientOf(store), clientOf(restored, 2)];
    const wanted = await keysOf(old);
    assert.equal(wanted.kvs.length, 300);
    const found = await keysOf(now);
    assert.deepEqual(found.kvs, wanted.kvs);
    assert.equal(found.header?.revision, 1_000_000_301);
    await put(now, 'later', 'x');
    // One that watched the old store to its end, and saw more than the backup has, must list again.
    const watch = now.stream(...rpc.watch);
    watch.send({ create: { key: 'k', rangeEnd: 'l', startRevision: 450 } });
    await waitFor('the watch to be told', 10_000, async () =>
      watch.received.some(({ canceled }) => canceled),
    );
    assert.equal(watch.received.find(({ canceled }) => canceled)?.compactRevision, 1_000_000_301);
    old.close();
    now.close();
    await restored.remove();
  });

  it('files of the old store are strangers to the new one, which says so', async () => {
    const dataDir = path('mixed');
    await snapshot('restore', saved, '--data-dir', dataDir, '--members', '1');
    const files = (dir: string) => join(dir, 'machines/store-1/store');
    rmSync(files(dataDir), { recursive: true });
    cpSync(files(store.dataDir), files(dataDir), { recursive: true });
    await assert.rejects(
      startStoreAlone({ dataDir, members: 1 }),
      /the log belongs to cluster "[0-9a-f]+", this member to/,
    );
  });

  it('is saved again from the restored store with all that it had', async () => {
    const dataDir = path('again');
    await snapshot('restore', saved, '--data-dir', dataDir, '--members', '1', '--bump-revision', '7');
    const restored = await startStoreAlone({ dataDir, members: 1 });
    await snapshot('save', path('again.db'), '--data-dir', dataDir);
    await restored.stop();
    const status = JSON.parse((await snapshot('status', path('again.db'), '--json')).stdout) as Record<
      string,
      number
    >;
    assert.equal(status['records'], 300);
    assert.equal(status['compactRevision'], 308);
    await snapshot('restore', path('again.db'), '--data-dir', path('again-again'), '--members', '1');
    assert(existsSync(path('again-again/cluster.json')));
  });

  it('does not write over a file, and needs a store that runs', async () => {
    await refused(/saved\.db is there already/, 'save', saved, '--data-dir', store.dataDir);
    await refused(
      /no member of the store in .* is running/,
      'save',
      path('x.db'),
      '--data-dir',
      path('again'),
    );
    await refused(
      /there is no store in .*: start one with "kabuki store run" or "kabuki up"/,
      'save',
      path('x.db'),
      '--data-dir',
      path('nowhere'),
    );
    await refused(
      /there is no member nobody in .*; it has store-1/,
      'save',
      path('x.db'),
      '--data-dir',
      store.dataDir,
      '--member',
      'nobody',
    );
    await refused(
      /there is no folder .*no\/such: make it first/,
      'save',
      path('no/such/x.db'),
      '--data-dir',
      store.dataDir,
    );
    assert(!existsSync(path('x.db')));
  });

  it('restores into an empty folder only', async () => {
    mkdirSync(path('full'));
    writeFileSync(path('full/file'), 'x');
    await refused(
      /full is not empty: a backup is restored into a new folder/,
      'restore',
      saved,
      '--data-dir',
      path('full'),
    );
    assert.deepEqual(readdirSync(path('full')), ['file']);
  });

  for (const [what, spoil, text] of [
    [
      'is cut off',
      (b: Buffer) => b.subarray(0, 20_000),
      /is cut off: at byte 19968: it ends there, and its database has \d+ bytes/,
    ],
    ['lacks its sum', (b: Buffer) => b.subarray(0, -32), /it has no sum at its end/],
    [
      'has a page that is not what it was',
      (b: Buffer) => b.fill(0xff, 4096 * 5, 4096 * 5 + 16),
      /is damaged: at byte 20480: page 5 says that it is/,
    ],
    ['has one bit that is wrong', flipped, /is damaged: it does not match its SHA-256 sum/],
    [
      'is something else',
      () => Buffer.from('#!/bin/sh\n'.repeat(1000)),
      /cannot be restored: at byte 0: it is not a bbolt file/,
    ],
    ['is empty', () => Buffer.alloc(0), /is damaged: at byte 0: it ends in its first page/],
  ] as const) {
    it(`refuses a file that ${what}, says where, and leaves nothing behind`, async () => {
      const bad = path('bad.db');
      writeFileSync(bad, spoil(readFileSync(saved)));
      await refused(text, 'restore', bad, '--data-dir', path('bad'));
      await refused(text, 'status', bad);
      assert(!existsSync(path('bad')) && !existsSync(path('bad.restoring')));
    });
  }

  it('refuses what it cannot do before it begins', async () => {
    await refused(
      /--members must be 1, 3 or 5 .* not 2/,
      'restore',
      saved,
      '--data-dir',
      path('y'),
      '--members',
      '2',
    );
    await refused(
      /names 1 address for 3 members/,
      'restore',
      saved,
      '--data-dir',
      path('y'),
      '--etcd-listen',
      '2379',
    );
    const zero = await snapshot('restore', saved, '--data-dir', path('y'), '--bump-revision', '0');
    assert.equal(zero.code, 2);
    assert.match(zero.stderr, /watchers must not see time run backwards/);
  });
});

function flipped(bytes: Buffer): Buffer {
  const at = bytes.indexOf('value 77');
  bytes[at]! ^= 1;
  return bytes;
}

function clientOf(store: StoreAlone, member = 0): GrpcClient {
  return new GrpcClient(`http://127.0.0.1:${store.ports[member]}`);
}

function put(client: GrpcClient, key: string, value: string) {
  const request = { key, value: Buffer.from(value) };
  return client.unary(...rpc.put, request);
}

function keysOf(client: GrpcClient) {
  const everything = { key: '\0', rangeEnd: '\0' };
  return client.unary(...rpc.range, everything);
}
