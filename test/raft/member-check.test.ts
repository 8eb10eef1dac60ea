import { strict as assert } from 'node:assert';
import {
  DiskSnapshots,
  encodeCommand,
  type Entry,
  type Finding,
  type HardState,
  KvFsm,
  logIndex,
  MemberCheck,
  memberId,
  SimDisk,
  term,
  ValueFiles,
  Wal,
} from 'raft-consensus';

const owner = { cluster: 'c', member: 'm1' };
const configuration = { voters: ['m1', 'm2', 'm3'].map(memberId), learners: [] };

interface MemberShape {
  readonly entries?: number;
  /** Indexes of the snapshots that are taken on the way. */
  readonly snapshots?: readonly number[];
  /** Entries up to here are not in the log any more. */
  readonly compactTo?: number;
  readonly hardState?: Partial<HardState>;
  entryAt?(index: number): Partial<Entry>;
  /** Values leave memory at once. */
  readonly hasValueFiles?: boolean;
  /** Applied besides the log's entries before the snapshot of this index is taken. */
  readonly strayAt?: number;
}

describe('checking a stopped member', () => {
  it('finds nothing in one that is whole, rebuilds its state, and writes nothing', async () => {
    const disk = await memberDisk({ snapshots: [30, 60], compactTo: 20 });
    const before = await contentOf(disk);
    const check = await checked(disk);
    assert.deepEqual(check.findings, []);
    const state = await check.replay(100, new Set([60, 80, 100]));
    assert.deepEqual(state, { revision: 101, keys: 7, appliedIndex: 100 });
    assert.deepEqual([...check.digests.keys()], [60, 80, 100]);
    assert.deepEqual(check.findings, []);
    assert(check.folder.segments > 2 && check.folder.snapshots.length === 2);
    assert.deepEqual(await contentOf(disk), before);
  });

  it('reads the values that lie in files, and names one that is damaged and one that is missing', async () => {
    const disk = await memberDisk({ snapshots: [30, 60], compactTo: 20, hasValueFiles: true });
    const before = await contentOf(disk);
    const whole = await checked(disk);
    assert.deepEqual(await whole.replay(100, new Set()), { revision: 101, keys: 7, appliedIndex: 100 });
    assert.deepEqual(whole.findings, []);
    assert.deepEqual(await contentOf(disk), before);
    const [first = '', second = ''] = (await disk.list()).filter((name) => name.startsWith('values-'));
    await spoil(disk, first, 100);
    const spoiled = await checked(disk);
    await spoiled.replay(100, new Set());
    assert.match(
      spoiled.findings.map(({ file, what }) => `${file} ${what}`).join(),
      /values-.*1\.slab the value of "k\d"/,
    );
    await disk.remove(second);
    const missing = await checked(disk);
    assert.equal(await missing.replay(100, new Set()), null);
    assert.match(missing.findings[0]!.what, /a snapshot refers to it, and it is missing/);
  });

  it('of a member that never began finds nothing', async () => {
    const check = await checked(new SimDisk());
    assert.deepEqual(check.findings, []);
    assert.deepEqual(await check.replay(0, new Set()), { revision: 1, keys: 0, appliedIndex: 0 });
  });

  it('names every damaged record of every segment, with its place', async () => {
    const disk = await memberDisk({});
    const [first = '', second = ''] = (await disk.list()).filter((name) => name.startsWith('wal-'));
    await spoil(disk, first, 1_000);
    await spoil(disk, second, 2_000);
    const { findings } = await checked(disk);
    assert.deepEqual(
      findings.map(({ file, severity }) => [file, severity]),
      [
        [first, 'damage'],
        [second, 'damage'],
      ],
    );
    for (const { offset, what } of findings) {
      assert(offset !== undefined && offset <= 2_000);
      assert.match(
        what,
        /record \d+ does not check, and (later segments follow|no crash leaves it like this)/,
      );
    }
  });

  it('takes a torn record at the end for what a crash leaves, and not for damage', async () => {
    const disk = await memberDisk({});
    const last = (await disk.list()).at(-1)!;
    const file = await disk.open(last, 'existing');
    await file.truncate((await file.size()) - 12);
    const check = await checked(disk);
    assert.equal(check.isDamaged, false);
    assert.match(textOf(check.findings), /note wal-0+\d+\.log \d+: record \d+ is torn, as a crash leaves it/);
  });

  it('misses a segment in the middle, and records at the end of one', async () => {
    const disk = await memberDisk({});
    const segments = await disk.list();
    await disk.remove(segments[1]!);
    const gone = await checked(disk);
    assert.match(
      textOf(gone.findings),
      /damage wal-\S+ 0: entries 1 to 100 are not all there: a segment is missing/,
    );
    assert.match(textOf(gone.findings), /note wal-000000000001\.log: no other segment follows it/);

    const cut = await memberDisk({});
    const file = await cut.open(segments[1]!, 'existing');
    const frames = await file.read(0, await file.size());
    // The last record of the segment, taken off as if it had never been.
    const lastMagic = Buffer.from(frames).lastIndexOf(Buffer.from([0x43, 0x45, 0x52, 0x4b]));
    await file.truncate(lastMagic);
    assert.match(
      textOf((await checked(cut)).findings),
      /damage wal-000000000002\.log \d+: 1 records are missing at the end/,
    );
  });

  it('names damaged blocks of a snapshot, and says when the log does not reach behind it', async () => {
    const disk = await memberDisk({ snapshots: [60], compactTo: 60 });
    const name = (await disk.list()).find((one) => one.startsWith('snapshot-'))!;
    await spoil(disk, name, 300);
    const check = await checked(disk);
    assert.match(
      textOf(check.findings),
      /damage snapshot-0+60-0+1\.snap \d+: block 0 does not match its checksum/,
    );
    assert.match(
      textOf(check.findings),
      /damage the log: it begins behind a snapshot at 60, which is missing or damaged/,
    );
  });

  it('falls back to an older snapshot that the log reaches back to, as a start does', async () => {
    const disk = await memberDisk({ snapshots: [30, 60], compactTo: 30 });
    const name = (await disk.list()).findLast((one) => one.startsWith('snapshot-'))!;
    await spoil(disk, name, 300);
    const check = await checked(disk);
    assert.equal(check.findings.length, 1);
    assert.deepEqual(await check.replay(100, new Set()), { revision: 101, keys: 7, appliedIndex: 100 });
  });

  it('finds a snapshot that is torn, and one under a wrong name', async () => {
    const disk = await memberDisk({ snapshots: [30, 60] });
    const [older = '', newer = ''] = (await disk.list()).filter((one) => one.startsWith('snapshot-'));
    const file = await disk.open(older, 'existing');
    await file.truncate((await file.size()) - 1);
    await disk.rename(newer, newer.replace('60', '61'));
    const { findings } = await checked(disk);
    assert.match(
      textOf(findings),
      /damage snapshot-0+30-0+1\.snap \d+: the trailer is missing: the file is torn/,
    );
    assert.match(textOf(findings), /damage snapshot-0+61-0+1\.snap: it is snapshot-0+60-0+1\.snap, renamed/);
  });

  it('finds a snapshot whose state is not what the log comes to', async () => {
    const disk = await memberDisk({ snapshots: [30, 60], strayAt: 60 });
    const check = await checked(disk);
    assert.equal(check.isDamaged, false, 'every byte is as it was written');
    await check.replay(100, new Set());
    assert.match(
      textOf(check.findings),
      /damage snapshot-0+60.*: its state is not what snapshot-0+30.* and the log behind it come to/,
    );
  });

  for (const [what, shape, text] of [
    [
      'a commit index beyond the end',
      { hardState: { commit: logIndex(500) } },
      /entry 500 is said to be committed, and the last one is 100/,
    ],
    [
      'a term before that of an entry',
      { hardState: { term: term(0) } },
      /the member is in term 0, and has entries or a snapshot of term 1/,
    ],
    [
      'terms that go back',
      { entryAt: (index: number) => ({ term: term(index < 50 ? 2 : 1) }), hardState: { term: term(2) } },
      /entry 50 is of term 1, and the one before it of 2/,
    ],
    [
      'a command that is none',
      { entryAt: (index: number) => (index === 70 ? { data: new Uint8Array([1, 2, 3]) } : {}) },
      /entry 70 cannot be applied/,
    ],
  ] as const) {
    it(`finds ${what}`, async () => {
      const check = await checked(await memberDisk(shape));
      await check.replay(100, new Set());
      assert.match(textOf(check.findings), text);
      assert(check.isDamaged);
    });
  }

  for (const [what, other] of [
    ['cluster', { cluster: 'another', member: 'm1' }],
    ['member', { cluster: 'c', member: 'm2' }],
  ] as const) {
    it(`says of files of another ${what} whose they are`, async () => {
      const disk = await memberDisk({ snapshots: [60] });
      const check = await MemberCheck.open({ id: memberId(other.member), cluster: other.cluster, disk });
      const text = new RegExp(
        `damage wal-.*: the log belongs to ${what} .*\\n.*damage snapshot-.*: it belongs to ${what} `,
        's',
      );
      assert.match(textOf(check.findings), text);
    });
  }
});

function checked(disk: SimDisk): Promise<MemberCheck> {
  return MemberCheck.open({ id: memberId(owner.member), cluster: owner.cluster, disk });
}

function textOf(findings: readonly Finding[]): string {
  return findings
    .map(
      ({ severity, file, offset, what }) =>
        `${severity} ${file}${offset === undefined ? '' : ` ${offset}`}: ${what}`,
    )
    .join('\n');
}

async function memberDisk(shape: MemberShape): Promise<SimDisk> {
  const disk = new SimDisk();
  const wal = new Wal({ ...owner, disk, segmentBytes: 4096 });
  await wal.load();
  const snapshots = new DiskSnapshots({ ...owner, disk });
  const fsm = await fsmOf(disk, shape);
  for (let index = 1; index <= (shape.entries ?? 100); index++) {
    const right = entry(index);
    const written = { ...right, ...shape.entryAt?.(index) };
    await wal.save({ entries: [written], hardState: hardState(index, shape), mustSync: true });
    fsm.apply([right]);
    if (!shape.snapshots?.includes(index)) continue;
    const meta = { index: logIndex(index), term: term(1), configuration };
    const sink = await snapshots.create(meta);
    if (shape.strayAt === index) await strayState(index, sink);
    else for (const chunk of fsm.snapshot().chunks()) await sink.write(chunk);
    await sink.commit();
    await fsm.store.versions.values.settled();
    if (index === shape.snapshots.at(-1)) await wal.compact(logIndex(shape.compactTo ?? 0), meta);
  }
  await fsm.store.versions.values.settled();
  await wal.close();
  return disk;
}

async function fsmOf(disk: SimDisk, { hasValueFiles }: MemberShape): Promise<KvFsm> {
  if (hasValueFiles !== true) return new KvFsm();
  const files = await ValueFiles.open({ ...owner, disk, onFatal: (error) => assert.fail(String(error)) });
  return new KvFsm({ files, valuesResidentBytesMax: 0, valueSlabBytesMin: 300 });
}

/** The state of other entries, whole in itself. */
async function strayState(index: number, sink: { write(chunk: Uint8Array): Promise<void> }): Promise<void> {
  const fsm = new KvFsm();
  for (let at = 1; at <= index; at++) fsm.apply([entry(at, 'another value')]);
  for (const chunk of fsm.snapshot().chunks()) await sink.write(chunk);
}

function entry(index: number, text = `value ${index} ${'x'.repeat(120)}`): Entry {
  const put = { type: 'put', key: `k${index % 7}`, value: Buffer.from(text) } as const;
  const txn = { type: 'txn', compare: [], success: [put], failure: [] } as const;
  const data = encodeCommand({ type: 'txn', txn, atMs: index });
  return { index: logIndex(index), term: term(1), type: 'normal', data };
}

function hardState(commit: number, shape: MemberShape): HardState {
  return { term: term(1), votedFor: memberId('m2'), commit: logIndex(commit), ...shape.hardState };
}

async function spoil(disk: SimDisk, name: string, at: number): Promise<void> {
  const file = await disk.open(name, 'existing');
  const [byte = 0] = await file.read(at, 1);
  await file.write(at, [new Uint8Array([byte ^ 0x10])]);
}

async function contentOf(disk: SimDisk): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for (const name of await disk.list()) {
    const file = await disk.open(name, 'existing');
    content[name] = Buffer.from(await file.read(0, await file.size())).toString('base64');
  }
  return content;
}
