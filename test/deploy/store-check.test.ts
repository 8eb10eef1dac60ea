import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeCommand, logIndex, RealDisk } from 'raft-consensus';
import { openDiskStorage } from '../../actors/store/index.js';
import { DataDir } from '../../deploy/data-dir.js';
import { checkStore, type StoreReport } from '../../deploy/store-check.js';
import { rpc } from '../harness/etcd-calls.js';
import { GrpcClient } from '../harness/grpc-client.js';
import { kabukiPath } from '../harness/process-cluster.js';
import { type Outcome, run } from '../harness/program.js';
import { startStoreAlone } from '../harness/store-alone.js';

describe('kabuki store check', function () {
  this.timeout(120_000);
  let folder: string;
  /** A stopped store of three members, each with a snapshot and a log behind it. */
  let whole: string;
  let copies = 0;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-check-'));
    const first = await startStoreAlone({ members: 1 });
    await fill(first.ports[0]!, 400);
    const saved = join(folder, 'saved.db');
    await kabuki('snapshot', 'save', saved, '--data-dir', first.dataDir);
    await first.remove();
    whole = join(folder, 'whole');
    await kabuki('snapshot', 'restore', saved, '--data-dir', whole);
    const store = await startStoreAlone({ dataDir: whole, members: 3 });
    await fill(store.ports[0]!, 60);
    const running = await kabuki('check', '--data-dir', whole);
    assert.equal(running.code, 1);
    assert.match(running.stderr, /the data in .* is in use by process \d+: stop it first/);
    await store.stop();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const kabuki = (...args: string[]): Promise<Outcome> =>
    run(process.execPath, [kabukiPath, 'store', ...args]);
  const copy = (): string => {
    const path = join(folder, `copy-${++copies}`);
    cpSync(whole, path, { recursive: true });
    return path;
  };
  const check = (dir: string) => checkStore(new DataDir(dir));

  it('finds nothing in a store that is whole, whose members agree, and changes nothing', async () => {
    const before = contentOf(whole);
    const outcome = await kabuki('check', '--data-dir', whole);
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.match(
      outcome.stdout,
      /^store-1 {2}whole {2}\d segments? of the log with \d+ records, 1 snapshot; entry \d+, revision 10000004\d\d, 400 keys\n/,
    );
    assert.match(outcome.stdout, /store-1, store-2, store-3 have the same state at entry \d+/);
    assert.doesNotMatch(outcome.stdout, /damage|note/i);
    assert.deepEqual(contentOf(whole), before);
  });

  it('ends with code 1 when something is damaged, in words and as JSON', async () => {
    const dir = copy();
    const { path, at } = spoil(dir, 'store-2', /^wal-/);
    const outcome = await kabuki('check', '--data-dir', dir);
    assert.equal(outcome.code, 1);
    assert.match(outcome.stdout, /store-2 {2}DAMAGED .*; its state cannot be rebuilt/);
    const found = new RegExp(
      `  ${path} at byte (\\d+): record \\d+ does not check, and no crash leaves it like this`,
    );
    const [, offset] = found.exec(outcome.stdout) ?? assert.fail(outcome.stdout);
    assert(Number(offset) <= at);
    assert.match(outcome.stdout, /store-1, store-3 have the same state/);
    const json = await kabuki('check', '--data-dir', dir, '--json');
    assert.equal(json.code, 1);
    const report = JSON.parse(json.stdout) as StoreReport;
    assert.deepEqual(
      report.members.map(({ isDamaged }) => isDamaged),
      [false, true, false],
    );
  });

  it('a snapshot that is damaged, cut off or gone is named, and so is the log that needs it', async () => {
    const dir = copy();
    const { path } = spoil(dir, 'store-1', /^snapshot-/);
    truncateSync(fileOf(dir, 'store-2', /^snapshot-/), 500);
    rmSync(fileOf(dir, 'store-3', /^snapshot-/));
    const { members } = await check(dir);
    const [one = '', two = '', three = ''] = members.map(textOf);
    assert.match(one, new RegExp(`damage ${path} \\d+: block 0 does not match its checksum`));
    assert.match(two, /damage snapshot-\S+ \d+: the trailer is missing/);
    for (const text of [one, two, three]) {
      assert.match(text, /damage the log .*: it begins behind a snapshot at 1, which is missing or damaged/);
    }
  });

  it('a record that a crash has torn is a note, and the member is whole', async () => {
    const dir = copy();
    const path = fileOf(dir, 'store-3', /^wal-/);
    truncateSync(path, statSync(path).size - 12);
    const { members, isDamaged } = await check(dir);
    assert.equal(isDamaged, false);
    assert.match(textOf(members[2]!), /note wal-\S+ \d+: record \d+ is torn, as a crash leaves it/);
  });

  it('a member whose files are gone, or are those of another, is told of', async () => {
    const dir = copy();
    rmSync(new DataDir(dir).storePath('store-1'), { recursive: true });
    renameSync(new DataDir(dir).storePath('store-2'), new DataDir(dir).storePath('store-1'));
    const { members } = await check(dir);
    assert.match(
      members.map(textOf).join('\n'),
      /the log belongs to member "store-2", this member is "store-1"/,
    );
    assert.match(
      members.map(textOf).join('\n'),
      /it has no files, and others do: it would start as if it had never voted/,
    );
  });

  it('a member whose log is gone out of its folder is told of: it would not start', async () => {
    const dir = copy();
    const path = new DataDir(dir).storePath('store-2');
    for (const file of readdirSync(path)) if (file.startsWith('wal-')) rmSync(join(path, file));
    const outcome = await kabuki('check', '--data-dir', dir);
    assert.equal(outcome.code, 1, outcome.stdout);
    assert.match(
      outcome.stdout,
      /store-1 +whole.*\nstore-2 +DAMAGED(?:.*\n)+? +the log: it has run before, and its log is gone/,
    );
  });

  it('files of another cluster, and of the store before a restore, are strangers', async () => {
    const dir = copy();
    const path = join(dir, 'cluster.json');
    const spec = JSON.parse(readFileSync(path, 'utf8')) as { id: string };
    writeFileSync(path, JSON.stringify({ ...spec, id: 'another' }));
    const { members } = await check(dir);
    for (const member of members)
      assert.match(textOf(member), /belongs to cluster "[0-9a-f]{32}", this member to "another"/);
  });

  it('a member whose state differs from the others is found, though each of its bytes is as it was written', async () => {
    const dir = copy();
    const spec = new DataDir(dir).readSpec();
    const disk = await RealDisk.open(new DataDir(dir).storePath('store-2'));
    const { log, close } = openDiskStorage(disk, spec.id, 'store-2');
    const { entries, hardState } = await log.load();
    const at = entries.findLast(({ type }) => type === 'normal')!;
    const put = { type: 'put', key: 'k1', value: Buffer.from('not what the others have') } as const;
    const data = encodeCommand({
      type: 'txn',
      txn: { type: 'txn', compare: [], success: [put], failure: [] },
      atMs: 0,
    });
    const rest = entries.filter(({ index }) => index >= at.index);
    await log.save({
      truncateFrom: logIndex(at.index),
      entries: rest.map((entry) => (entry === at ? { ...at, data } : entry)),
      hardState: hardState!,
      mustSync: true,
    });
    await close();
    const { members, isDamaged } = await check(dir);
    assert(isDamaged);
    assert.deepEqual(
      members.map((member) => member.isDamaged),
      [false, true, false],
    );
    assert.match(
      textOf(members[1]!),
      /damage the state .*: at entry \d+ its state differs from that of store-1, store-3/,
    );
  });

  it('says what it needs', async () => {
    const outcome = await kabuki('check', '--data-dir', join(folder, 'nowhere'));
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, /there is no store in .*: start one with "kabuki store run" or "kabuki up"/);
  });
});

async function fill(port: number, count: number): Promise<void> {
  const client = new GrpcClient(`http://127.0.0.1:${port}`);
  for (let i = 0; i < count; i++) {
    const request = { key: `k${i}`, value: Buffer.from(`value ${i}`) };
    await client.unary(...rpc.put, request);
  }
  client.close();
}

function fileOf(dir: string, member: string, name: RegExp): string {
  const store = new DataDir(dir).storePath(member);
  return join(
    store,
    readdirSync(store).find((one) => name.test(one))!,
  );
}

/** One bit in the middle of a file, and not of the padding between records. */
function spoil(dir: string, member: string, name: RegExp): { path: string; at: number } {
  const path = fileOf(dir, member, name);
  const bytes = readFileSync(path);
  let at = bytes.length >> 1;
  while (bytes[at] === 0) at += 1;
  bytes[at]! ^= 4;
  writeFileSync(path, bytes);
  return { path: path.slice(path.lastIndexOf('/') + 1), at };
}

function textOf({ findings }: StoreReport['members'][number]): string {
  return findings
    .map(({ severity, file, offset, what }) => `${severity} ${file} ${offset ?? ''}: ${what}`)
    .join('\n');
}

/** Of all files, with the times of their last change. */
function contentOf(dir: string): Record<string, string> {
  const content: Record<string, string> = {};
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const sum = entry.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : 'folder';
    content[path] = `${statSync(path).mtimeMs} ${statSync(path).mode} ${sum}`;
  }
  return content;
}
