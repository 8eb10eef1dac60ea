import { strict as assert } from 'node:assert';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Disk, ReadOnlyDisk, RealDisk, SimDisk, StorageError, crc32c } from 'raft-consensus';
import { seededRandom } from '../seeded-random.js';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const text = (read: Uint8Array): string => Buffer.from(read).toString();

/** What every disk must do; both run it. */
function behavesAsADisk(make: () => Promise<Disk>): void {
  let disk: Disk;
  beforeEach(async () => {
    disk = await make();
  });

  it('refuses to open what is not there', async () => {
    await assert.rejects(
      disk.open('absent', 'existing'),
      (error) => error instanceof StorageError && error.code === 'DiskFailed' && error.file === 'absent',
    );
  });

  it('writes chunks one after another at an offset', async () => {
    const file = await disk.open('a', 'create');
    await file.write(0, [bytes('ab'), bytes(''), bytes('cd')]);
    await file.write(3, [bytes('XY')]);
    await file.sync();
    assert.equal(text(await file.read(0, 100)), 'abcXY');
    assert.equal(await file.size(), 5);
    await file.close();
  });

  it('writes more chunks than one system call takes', async () => {
    const file = await disk.open('many', 'create');
    await file.write(
      0,
      Array.from({ length: 3000 }, (_, at) => bytes(String(at % 10))),
    );
    assert.equal(await file.size(), 3000);
    assert.equal(text(await file.read(2990, 20)), '0123456789');
    await file.close();
  });

  it('reads zeros from a gap, and nothing beyond the end', async () => {
    const file = await disk.open('gap', 'create');
    await file.write(4, [bytes('x')]);
    assert.deepEqual([...(await file.read(0, 5))], [0, 0, 0, 0, 120]);
    assert.equal((await file.read(5, 10)).length, 0);
    assert.equal((await file.read(50, 10)).length, 0);
    await file.close();
  });

  it('truncates, and reads zeros where it grew again', async () => {
    const file = await disk.open('t', 'create');
    await file.write(0, [bytes('abcdef')]);
    await file.truncate(2);
    assert.equal(await file.size(), 2);
    await file.truncate(4);
    assert.deepEqual([...(await file.read(0, 10))], [97, 98, 0, 0]);
    await file.close();
  });

  it('lists, renames over an existing name and removes', async () => {
    for (const name of ['b', 'a', 'c']) {
      const file = await disk.open(name, 'create');
      await file.write(0, [bytes(name)]);
      await file.close();
    }
    assert.deepEqual(await disk.list(), ['a', 'b', 'c']);
    await disk.rename('a', 'c');
    await disk.remove('b');
    await disk.syncDirectory();
    assert.deepEqual(await disk.list(), ['c']);
    const file = await disk.open('c', 'existing');
    assert.equal(text(await file.read(0, 10)), 'a');
    await file.close();
    await assert.rejects(disk.remove('b'), StorageError);
    await assert.rejects(disk.rename('b', 'd'), StorageError);
  });

  it('keeps the bytes of a file that is opened for creation again', async () => {
    const first = await disk.open('same', 'create');
    await first.write(0, [bytes('kept')]);
    await first.close();
    const second = await disk.open('same', 'create');
    assert.equal(text(await second.read(0, 10)), 'kept');
    await second.close();
  });

  it('refuses names that could leave the folder', async () => {
    for (const name of ['../x', 'a/b', '', '.', '.hidden']) await assert.rejects(disk.open(name, 'create'));
  });

  it('refuses operations on a closed file', async () => {
    const file = await disk.open('closed', 'create');
    await file.close();
    await assert.rejects(file.write(0, [bytes('x')]), StorageError);
  });
}

describe('real disk', () => {
  const folders: string[] = [];
  after(async () => {
    for (const folder of folders) await rm(folder, { recursive: true });
  });
  behavesAsADisk(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kabuki-disk-'));
    folders.push(folder);
    return RealDisk.open(join(folder, 'member'));
  });
});

describe('a folder opened for reading', () => {
  it('shows the files of a real disk, and refuses whatever would change them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kabuki-disk-'));
    try {
      const real = await RealDisk.open(folder);
      for (const name of ['b', 'a']) {
        const file = await real.open(name, 'create');
        await file.write(0, [bytes(`of ${name}`)]);
        await file.close();
      }
      await mkdir(join(folder, 'c'));
      const disk: Disk = new ReadOnlyDisk(folder);
      assert.deepEqual(await disk.list(), ['a', 'b']);
      const file = await disk.open('a', 'existing');
      assert.deepEqual([text(await file.read(1, 100)), text(file.readNow(1, 100))], ['f a', 'f a']);
      assert.equal(await file.size(), 4);
      const refused = /is opened for reading only/;
      await assert.rejects(file.write(0, [bytes('x')]), refused);
      await assert.rejects(file.truncate(0), refused);
      await assert.rejects(file.sync(), refused);
      await file.close();
      await assert.rejects(disk.open('d', 'create'), refused);
      await assert.rejects(disk.rename('a', 'd'), refused);
      await assert.rejects(disk.remove('a'), refused);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('simulated disk', () => {
  behavesAsADisk(async () => new SimDisk());

  const KEEP_ALL = () => 0.3;
  const LOSE_ALL = () => 0.9;

  it('keeps synced bytes through any crash', async () => {
    for (let seed = 0; seed < 50; seed++) {
      const disk = new SimDisk();
      const file = await disk.open('a', 'create');
      await file.write(0, [bytes('durable')]);
      await file.sync();
      await disk.syncDirectory();
      await file.write(0, [bytes('DURABLE')]);
      disk.crash(seededRandom(seed));
      const again = await disk.open('a', 'existing');
      assert.match(text(await again.read(0, 10)), /^(durable|DURABLE)$/);
    }
  });

  it('forgets a synced file whose name was not synced', async () => {
    const disk = new SimDisk();
    const file = await disk.open('a', 'create');
    await file.write(0, [bytes('x')]);
    await file.sync();
    disk.crash(LOSE_ALL);
    assert.deepEqual(await disk.list(), []);
  });

  it('may lose a rename and a removal that were not synced', async () => {
    for (const [random, names] of [
      [LOSE_ALL, ['a', 'b']],
      [KEEP_ALL, ['c']],
    ] as const) {
      const disk = new SimDisk();
      await disk.open('a', 'create');
      await disk.open('b', 'create');
      await disk.syncDirectory();
      await disk.rename('a', 'c');
      await disk.remove('b');
      disk.crash(random);
      assert.deepEqual(await disk.list(), names);
    }
  });

  it('tears an unsynced write at sector boundaries only', async () => {
    let torn = 0;
    for (let seed = 0; seed < 100; seed++) {
      const disk = new SimDisk();
      const file = await disk.open('a', 'create');
      await file.write(0, [new Uint8Array(4096).fill(1)]);
      await file.sync();
      await disk.syncDirectory();
      await file.write(100, [new Uint8Array(3000).fill(2)]);
      disk.crash(seededRandom(seed));
      const read = await (await disk.open('a', 'existing')).read(0, 4096);
      const sectors = [0, 1, 2, 3, 4, 5, 6, 7].map((at) => new Set(read.subarray(at * 512, (at + 1) * 512)));
      assert.ok(sectors.slice(1, 6).every((values) => values.size === 1));
      if (new Set(sectors.slice(1, 6).map((values) => [...values][0])).size === 2) torn++;
    }
    assert.ok(torn > 10, `only ${torn} of 100 crashes tore the write`);
  });

  it('does not make durable what was written after the sync began', async () => {
    const disk = new SimDisk();
    const file = await disk.open('a', 'create');
    await disk.syncDirectory();
    await file.write(0, [bytes('first')]);
    let resume = (): void => undefined;
    disk.inject((operation) =>
      operation === 'sync' ? new Promise<void>((resolve) => (resume = resolve)) : undefined,
    );
    const syncing = file.sync();
    await file.write(5, [bytes('second')]);
    resume();
    await syncing;
    disk.inject(undefined);
    disk.crash(LOSE_ALL_BYTES);
    assert.equal(text(await (await disk.open('a', 'existing')).read(0, 20)), 'first');
  });

  it('fails an operation with the injected error as its cause, and nothing becomes durable', async () => {
    const disk = new SimDisk();
    const file = await disk.open('a', 'create');
    await disk.syncDirectory();
    await file.write(0, [bytes('x')]);
    const broken = new Error('EIO');
    disk.inject((operation) => (operation === 'sync' ? broken : undefined));
    await assert.rejects(file.sync(), (error) => error instanceof StorageError && error.cause === broken);
    disk.crash(LOSE_ALL_BYTES);
    assert.equal(await (await disk.open('a', 'existing').catch(() => disk.open('a', 'create'))).size(), 0);
  });

  it('ends what was under way when the machine crashed', async () => {
    const disk = new SimDisk();
    const file = await disk.open('a', 'create');
    disk.inject(() => new Promise<void>(() => undefined).then(() => undefined));
    disk.inject(undefined);
    disk.crash(KEEP_ALL);
    await assert.rejects(file.write(0, [bytes('x')]), /the machine crashed/);
  });

  /** Of the bytes, nothing unsynced survives. */
  function LOSE_ALL_BYTES(): number {
    return 0.1;
  }
});

describe('CRC-32C', () => {
  it('gives the published check values (RFC 3720, B.4)', () => {
    assert.equal(crc32c(bytes('123456789')), 0xe3069283);
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
    assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
    assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, at) => at)), 0x46dd794e);
  });

  it('continues from an earlier sum wherever the bytes are cut', () => {
    const all = Uint8Array.from({ length: 100 }, (_, at) => at * 7);
    for (let cut = 0; cut <= 100; cut++) {
      assert.equal(crc32c(all.subarray(cut), crc32c(all.subarray(0, cut))), crc32c(all));
    }
  });
});
