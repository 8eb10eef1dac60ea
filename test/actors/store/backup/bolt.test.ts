import { strict as assert } from 'node:assert';
import { type DiskFile, SimDisk } from 'raft-consensus';
import { BoltReader } from '../../../../actors/store/backup/bolt-reader.js';
import { BoltWriter } from '../../../../actors/store/backup/bolt-writer.js';
import { BackupError } from '../../../../actors/store/backup/index.js';
import { forEachSeed, seededRandom } from '../../../raft/seeded-random.js';

type Entries = readonly (readonly [string, Buffer])[];

describe('a bbolt file', () => {
  it('reads back as it was written, whatever the sizes of entries and buckets', async () => {
    await forEachSeed(25, 'bolt files', async (random) => {
      const buckets: Record<string, Entries> = {};
      for (let i = random.below(4); i >= 0; i--) {
        const most = random.pick([1, 60, 5_000]);
        const valueMost = random.pick([8, 300, most < 100 ? 30_000 : 900]);
        const keys = new Set(Array.from({ length: random.below(most) }, () => `k${random.below(1e9)}`));
        buckets[`bucket-${i}`] = [...keys]
          .sort()
          .map((key) => [key, Buffer.alloc(random.below(valueMost), random.below(256))]);
      }
      const { file, bytes } = await written(buckets);
      assert.equal(await file.size(), bytes);
      assert.equal(bytes % 4096, 0);
      assert.deepEqual(await readAll(file), buckets);
    });
  });

  it('without a single bucket is a file all the same', async () => {
    const { file } = await written({});
    assert.deepEqual(await readAll(file), {});
  });

  it('has entries larger than a page, and than a window that is read at once', async () => {
    const buckets = {
      b: [1, 4064, 4065, 70_000, 200_000].map((n, i) => [`k${i}`, Buffer.alloc(n, i)] as const),
    };
    const { file } = await written(buckets);
    assert.deepEqual(await readAll(file), buckets);
  });

  it('that is damaged anywhere is refused with a place, or reads back the same', async () => {
    const random = seededRandom(7);
    const buckets = { a: many(400, 40), b: many(3, 9_000) };
    const { file, bytes } = await written(buckets);
    const whole = await file.read(0, bytes);
    let refused = 0;
    for (let i = 0; i < 600; i++) {
      const at = random.below(bytes);
      const bad = new Uint8Array(whole);
      bad[at]! ^= 1 << random.below(8);
      const problem = await problemOf(bad);
      if (problem !== null) refused++;
    }
    assert(refused > 30, `${refused} refused`);
  });

  for (const [what, change, code, text] of [
    [
      'is cut off',
      (bytes: Buffer) => bytes.subarray(0, 20_000),
      'Truncated',
      /ends (before|within) its page \d+/,
    ],
    [
      'is no bbolt file',
      () => Buffer.from('PK\x03\x04 something else'.repeat(1000)),
      'Foreign',
      /not a bbolt file/,
    ],
    ['is empty', () => Buffer.alloc(0), 'Damaged', /ends in its first page/],
    ['has spoilt pages', spoilt(3 * 4096), 'Damaged', /at byte 12288: page 3 says that it is page/],
  ] as const) {
    it(`that ${what} is refused, and where`, async () => {
      const { file, bytes } = await written({ a: many(400, 40) });
      const problem = await problemOf(change(Buffer.from(await file.read(0, bytes))));
      assert.equal(problem?.code, code);
      assert.match(problem.message, text);
    });
  }
});

function spoilt(at: number): (bytes: Buffer) => Buffer {
  return (bytes) => {
    bytes.fill(0xff, at, at + 64);
    return bytes;
  };
}

function many(count: number, bytes: number): Entries {
  return Array.from({ length: count }, (_, i) => [`k${String(i).padStart(6, '0')}`, Buffer.alloc(bytes, i)]);
}

async function written(buckets: Record<string, Entries>): Promise<{ file: DiskFile; bytes: number }> {
  const file = await new SimDisk().open('db', 'create');
  const writer = new BoltWriter(file);
  for (const [name, entries] of Object.entries(buckets)) {
    await writer.bucket(name);
    for (const [key, value] of entries) await writer.put(Buffer.from(key), value);
  }
  return { file, bytes: await writer.finish() };
}

async function readAll(file: DiskFile): Promise<Record<string, Entries>> {
  const reader = await BoltReader.open(file, await file.size());
  const found: Record<string, [string, Buffer][]> = {};
  for (const { name, entries } of await reader.buckets()) {
    const all: [string, Buffer][] = (found[name] = []);
    for await (const page of entries()) {
      for (const { key, value } of page) all.push([key.toString(), Buffer.from(value)]);
    }
  }
  return found;
}

/** Null: it was read without one. */
async function problemOf(bytes: Uint8Array): Promise<BackupError | null> {
  const file = await new SimDisk().open('db', 'create');
  await file.write(0, [bytes]);
  try {
    await readAll(file);
    return null;
  } catch (error) {
    assert(error instanceof BackupError, String((error as Error).stack));
    return error;
  }
}
