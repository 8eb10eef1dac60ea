/**
 * Values that lie in files: a store with a budget of memory beside one without, given the same commands. Nobody may be able to
 * tell them apart, except by what they take.
 */
import { strict as assert } from 'node:assert';
import {
  type Command,
  KvError,
  KvFsm,
  type KvFsmOptions,
  KvStore,
  SimDisk,
  StorageError,
  ValueFiles,
  WatchHub,
} from 'raft-consensus';
import { PoweredDisk } from '../powered-disk.js';
import { forEachSeed } from '../seeded-random.js';
import { StoreDriver, drain, del, eventsOf, put, range, txn } from './store-driver.js';

const MIB = 1024 * 1024;
const everything = range('\0', '\0');
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A member's part of the disk: files, state machine, snapshots by hand. */
class Paged {
  readonly fatal: unknown[] = [];
  readonly disk: SimDisk;
  readonly options: KvFsmOptions;
  readonly power: PoweredDisk;
  files!: ValueFiles;
  fsm!: KvFsm;
  driver!: StoreDriver;

  private constructor(disk: SimDisk, options: KvFsmOptions) {
    this.disk = disk;
    this.options = options;
    this.power = new PoweredDisk(disk);
  }

  static async open(options: KvFsmOptions = {}, disk = new SimDisk(), member = 'a'): Promise<Paged> {
    const paged = new Paged(disk, { valuesResidentBytesMax: MIB, valueCacheBytesMax: 64 * 1024, ...options });
    const onFatal = (error: unknown) => void paged.fatal.push(error);
    paged.files = await ValueFiles.open({ disk: paged.power, cluster: 'blue', member, onFatal });
    paged.fsm = new KvFsm({ ...paged.options, files: paged.files });
    paged.driver = new StoreDriver(paged.fsm.store);
    return paged;
  }

  /** As the snapshotter does it: captured, written, kept. */
  snapshot(): Uint8Array {
    const captured = this.fsm.snapshot();
    const bytes = new Uint8Array(Buffer.concat([...captured.chunks()]));
    captured.release?.();
    captured.kept?.();
    return bytes;
  }

  /** Another life on the same disk, from a snapshot; the store is the only thing that is not there any more. */
  async restarted(snapshot: Uint8Array): Promise<Paged> {
    this.power.off();
    const next = await Paged.open(this.options, this.disk);
    await next.fsm.restore(inPieces(snapshot));
    next.driver = new StoreDriver(next.fsm.store);
    return next;
  }

  async settled(): Promise<void> {
    await this.fsm.store.versions.values.settled();
  }

  async fileNames(): Promise<string[]> {
    return (await this.disk.list()).filter((name) => name.startsWith('values-'));
  }

  async bytesOnDisk(): Promise<number> {
    let bytes = 0;
    for (const name of await this.fileNames()) bytes += await (await this.disk.open(name, 'existing')).size();
    return bytes;
  }
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 50_000) yield bytes.slice(at, at + 50_000);
}

async function rewritten(fsm: KvFsm, snapshot: Uint8Array): Promise<Uint8Array> {
  const rewrite = fsm.rewrite(snapshot.subarray(0, 1000));
  if (rewrite === null) return snapshot;
  const chunks: Uint8Array[] = [];
  for await (const chunk of rewrite(inPieces(snapshot))) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

const valueOf = (n: number, bytes = 1024) => `${n}:`.padEnd(bytes, String.fromCharCode(97 + (n % 26)));

/** 10 MiB in 1 MiB. */
async function filled(): Promise<{ paged: Paged; plain: StoreDriver }> {
  const paged = await Paged.open();
  const plain = new StoreDriver();
  for (let n = 0; n < 10_240; n++) {
    for (const driver of [paged.driver, plain]) driver.do(put(`k${n % 9000}`, valueOf(n)));
    if (n % 512 === 0) await paged.settled();
  }
  await paged.settled();
  return { paged, plain };
}

describe('a store larger than its memory', function () {
  let paged: Paged;
  let plain: StoreDriver;

  before(async () => {
    ({ paged, plain } = await filled());
  });

  it('keeps within its budget and puts the rest into files', async () => {
    const { values } = paged.fsm.store.versions;
    assert.ok(values.residentBytes <= 1.25 * MIB, `${values.residentBytes} bytes in memory`);
    assert.ok((await paged.bytesOnDisk()) > 8 * MIB);
    assert.deepEqual(paged.fatal, []);
  });

  it('has no files as long as everything is within the budget', async () => {
    const small = await Paged.open();
    for (let n = 0; n < 500; n++) small.driver.do(put(`k${n}`, valueOf(n)));
    await small.settled();
    assert.deepEqual(await small.fileNames(), []);
    const snapshot = small.snapshot();
    assert.equal(await rewritten(small.fsm, snapshot), snapshot, 'any member can restore it as it is');
  });

  it('writes values to files before they have to leave memory, so that no snapshot repeats them', async () => {
    const early = await Paged.open({ valuesUnfiledBytesMax: MIB / 4 });
    for (let n = 0; n < 900; n++) {
      early.driver.do(put(`k${n}`, valueOf(n)));
      await early.settled();
    }
    const { values, index } = early.fsm.store.versions;
    assert.ok((await early.bytesOnDisk()) > MIB / 2);
    index.scan('', null, ({ newest }) => {
      assert.ok(values.peek(newest) !== undefined, `${newest.key} has left memory`);
      return true;
    });
    const snapshot = early.snapshot();
    assert.ok(snapshot.length < MIB / 2, `a snapshot of ${snapshot.length} bytes`);
    for (let n = 900; n < 3000; n++) {
      early.driver.do(put(`k${n % 1000}`, valueOf(n)));
      await early.settled();
    }
    assert.ok(values.residentBytes <= 1.25 * MIB, `${values.residentBytes} bytes in memory`);
    const again = await early.restarted(snapshot);
    const plain = new StoreDriver();
    for (let n = 0; n < 900; n++) plain.do(put(`k${n}`, valueOf(n)));
    assert.deepEqual(again.fsm.store.range(everything), plain.store.range(everything));
    assert.deepEqual([...early.fatal, ...again.fatal], []);
  });

  it('reads values, ranges and old revisions as one that has them all in memory', async () => {
    for (const op of [
      everything,
      range('k1', 'k2'),
      range('k7777'),
      range('k', 'l', { limit: 10, sort: { target: 'value', order: 'descend' } }),
      { ...everything, revision: plain.store.revision - 2000 } as typeof everything,
    ]) {
      assert.deepEqual(paged.driver.range(op), plain.range(op));
      const inTurns = await paged.fsm.store.rangeInTurns(op, turn);
      assert.ok(!(inTurns instanceof KvError));
      assert.deepEqual(inTurns.result, plain.range(op));
    }
  });

  it('answers what asks for previous values, compares values and keeps a value', () => {
    const value = Buffer.from(valueOf(9100));
    const compare = { key: 'k100', target: 'value', result: '=', operand: value } as const;
    const ops = [put('k100', 'new', { prevKv: true }), del('k101', 'k102', { prevKv: true })];
    const both = [paged.driver, plain].map((driver) => driver.txn(txn(ops, [compare])));
    assert.deepEqual(both[0], both[1]);
    assert.equal(both[0]!.result.succeeded, true);
    const keep = put('k102', '', { ignoreValue: true });
    for (const driver of [paged.driver, plain]) driver.do(keep);
    assert.deepEqual(paged.driver.range(range('k102')), plain.range(range('k102')));
  });

  it('replays history to a watcher, previous values too', () => {
    const seen = [paged.driver, plain].map(({ store }) => {
      const watcher = new WatchHub(store).watch(
        { key: 'k5', rangeEnd: 'k6', startRevision: 2 as never, prevKv: true },
        () => undefined,
      );
      return eventsOf(drain(watcher));
    });
    assert.ok(seen[0]!.length > MIB);
    assert.equal(seen[0], seen[1]);
  });

  it('has the same hash and digest, and the same snapshot for others', async () => {
    assert.deepEqual(paged.fsm.store.hash(), plain.store.hash());
    assert.deepEqual(await paged.fsm.store.hashInTurns(undefined, turn), plain.store.hash());
    assert.equal(paged.fsm.store.digest, plain.store.digest);
    const own = paged.snapshot();
    assert.ok(
      own.length < 3 * MIB,
      `its own snapshot refers to what is in files, and has ${own.length} bytes`,
    );
    const forOthers = await rewritten(paged.fsm, own);
    assert.ok(forOthers.length > 10 * MIB);
    const restored = new KvStore();
    restored.restore(forOthers);
    assert.deepEqual(restored.hash(), plain.store.hash());
    assert.equal(restored.digest, plain.store.digest);
    assert.deepEqual(paged.fsm.store.snapshot().toBytes().length, forOthers.length);
  });

  it('starts again from its own snapshot without reading the values', async () => {
    const snapshot = paged.snapshot();
    let bytesRead = 0;
    paged.disk.inject((operation) => {
      if (operation === 'read') bytesRead += 1;
      return undefined;
    });
    const again = await paged.restarted(snapshot);
    paged.disk.inject(undefined);
    assert.ok(bytesRead <= 3 * (await again.fileNames()).length, 'only the heads of the files are read');
    assert.deepEqual(again.fsm.store.hash(), plain.store.hash());
    assert.deepEqual(again.driver.range(everything), plain.range(everything));
    assert.deepEqual(again.fatal, []);
  });

  it('takes a snapshot from another member within its budget', async () => {
    const other = await Paged.open({}, new SimDisk(), 'b');
    other.driver.do(put('gone'));
    await other.fsm.restore(inPieces(await rewritten(paged.fsm, paged.snapshot())));
    assert.ok(other.fsm.store.versions.values.residentBytes <= 1.5 * MIB);
    assert.deepEqual(other.fsm.store.hash(), plain.store.hash());
  });

  it('refuses a snapshot that refers to the files of another member', async () => {
    const other = await Paged.open({}, new SimDisk(), 'b');
    await assert.rejects(other.fsm.restore(inPieces(paged.snapshot())), /it refers to files of blue\/a/);
    await assert.rejects(new KvFsm().restore(inPieces(paged.snapshot())), /it refers to files of blue\/a/);
  });

  it('refuses an answer that would be too large, and says what to do', async () => {
    const { store } = paged.fsm;
    const answer = await store.rangeInTurns(everything, turn, undefined, 8 * MIB);
    assert.ok(answer instanceof KvError);
    assert.match(answer.message, /ask for it in parts/);
    const part = await store.rangeInTurns({ ...everything, limit: 3 }, turn, undefined, 8 * MIB);
    assert.ok(!(part instanceof KvError) && part.result.kvs.length === 3 && part.result.more);
  });
});

describe('the files of a store', () => {
  it('go when compaction has freed their values and no snapshot that is kept refers to them', async () => {
    const paged = await Paged.open();
    const plain = new StoreDriver();
    for (let round = 0; round < 8; round++) {
      // One key in sixteen is written once: what lives on lies between what does not.
      for (let n = 0; n < 2048; n++) {
        if (round > 0 && n % 16 === 0) continue;
        for (const driver of [paged.driver, plain]) driver.do(put(`k${n}`, valueOf(n + round)));
      }
      await paged.settled();
      for (const driver of [paged.driver, plain]) driver.compactAll(driver.store.revision);
      await paged.settled();
      paged.snapshot();
    }
    paged.snapshot();
    assert.deepEqual(paged.fsm.store.hash(), plain.store.hash());
    await paged.files.close();
    const onDisk = await paged.bytesOnDisk();
    assert.ok(onDisk < 2 * 2 * MIB + MIB, `${onDisk} bytes on disk for 2 MiB of values`);
    assert.deepEqual(paged.fatal, []);
  });

  it('stay while one of the two newest snapshots refers to them', async () => {
    const { paged, plain } = await filled();
    const first = paged.snapshot();
    const expected = plain.store.hash();
    paged.driver.do(del('k', 'l'));
    paged.driver.compactAll(paged.driver.store.revision);
    paged.snapshot();
    assert.deepEqual((await paged.restarted(first)).fsm.store.hash(), expected);
  });

  it('that a crash left behind go after a start', async () => {
    const { paged } = await filled();
    const snapshot = paged.snapshot();
    for (let n = 0; n < 4096; n++) paged.driver.do(put(`later${n}`, valueOf(n)));
    await paged.settled();
    const before = (await paged.fileNames()).length;
    paged.disk.crash(() => 0.3);
    const again = await paged.restarted(snapshot);
    again.driver.do(put('a'));
    again.snapshot();
    again.snapshot();
    await again.files.close();
    assert.ok((await again.fileNames()).length < before - 10);
    assert.deepEqual(again.fatal, []);
  });

  it('are refused when they belong to another member', async () => {
    const { paged } = await filled();
    const theirs = Paged.open({}, paged.disk, 'b');
    await assert.rejects(
      theirs,
      (error) => error instanceof StorageError && error.code === 'ForeignDirectory',
    );
  });

  it('end the member when a value is not what was written, and never serve it', async () => {
    const { paged } = await filled();
    const [name] = await paged.fileNames();
    paged.disk.flip(name!, 5000, 4);
    const isCorrupt = (error: unknown) => error instanceof StorageError && error.code === 'ValueCorrupt';
    assert.throws(
      () => paged.driver.range(range('k0', 'k9', { limit: 9000, revision: 1500 as never })),
      isCorrupt,
    );
    await assert.rejects(
      paged.fsm.store.rangeInTurns({ ...everything, revision: 1500 as never }, turn),
      isCorrupt,
    );
    assert.ok(paged.fatal.length > 0 && paged.fatal.every(isCorrupt));
    await assert.rejects(rewritten(paged.fsm, paged.snapshot()), isCorrupt);
  });

  it('end the start when one that a snapshot refers to is missing or damaged', async () => {
    const { paged } = await filled();
    const snapshot = paged.snapshot();
    const [first, second] = await paged.fileNames();
    paged.disk.flip(second!, 3, 1);
    await assert.rejects(paged.restarted(snapshot), /ValueCorrupt|not a file of values/);
    paged.disk.flip(second!, 3, 1);
    await paged.disk.remove(first!);
    await assert.rejects(paged.restarted(snapshot), /a snapshot refers to it, and it is missing/);
  });

  it('hold back whoever writes faster than the disk takes them', async () => {
    const paged = await Paged.open({ valuesResidentBytesMax: 0 });
    let go: () => void = () => {};
    const stalled = new Promise<void>((resolve) => (go = resolve));
    paged.disk.inject((operation) => (operation === 'sync' ? stalled : undefined));
    const value = valueOf(1, MIB);
    for (let n = 0; n < 257; n++) paged.driver.do(put('k', value));
    assert.ok(paged.fsm.store.isBehindItsDisk);
    go();
    await paged.settled();
    assert.ok(!paged.fsm.store.isBehindItsDisk);
  });

  it('end the member when they cannot be written', async () => {
    const paged = await Paged.open();
    paged.disk.inject((operation, name) =>
      operation === 'sync' && name.startsWith('values-') ? new Error('no') : undefined,
    );
    for (let n = 0; n < 3000; n++) paged.driver.do(put(`k${n}`, valueOf(n)));
    await paged.settled();
    assert.equal(paged.fatal.length, 1);
    assert.equal(paged.driver.range(everything).count, 3000, 'what is in memory can still be read');
  });
});

const tiny: KvFsmOptions = {
  valuesUnfiledBytesMax: 200,
  valuesResidentBytesMax: 600,
  valueCacheBytesMax: 200,
  valueSlabBytesMin: 100,
};

describe('a store with almost no memory', () => {
  const title = 'cannot be told from one that has all, whatever is done, and through crashes';
  it(title, () =>
    forEachSeed(30, title, async (random) => {
      let paged = await Paged.open(tiny);
      let plain = new StoreDriver();
      let kept: { readonly bytes: Uint8Array; readonly plain: Uint8Array }[] = [];
      let log: Command[] = [];
      const both = (command: Command) => {
        log.push(command);
        const answers = [paged.driver.try(command), plain.try(command)];
        assert.deepEqual(answers[0], answers[1]);
      };
      const key = () => `k${random.below(30)}`;
      for (let step = 0; step < 250; step++) {
        const dice = random();
        if (dice < 0.6) {
          const ops = [put(key(), valueOf(step, random.below(120)), { prevKv: true }), range('k1', 'k3')];
          both({ type: 'txn', txn: txn(ops), atMs: 0 });
        } else if (dice < 0.7) both({ type: 'txn', txn: txn([del(key(), 'k9', { prevKv: true })]), atMs: 0 });
        else if (dice < 0.76) {
          const at = Math.max(1, plain.store.revision - random.below(20));
          both({ type: 'compact', revision: at as never, atMs: 0 });
        } else if (dice < 0.86) {
          for (const { store } of [paged.driver, plain]) while (store.compactStep(1 + random.below(50)));
        } else if (dice < 0.92) await turn();
        else if (dice < 0.97) {
          kept = [...kept.slice(-1), { bytes: paged.snapshot(), plain: plain.store.snapshot().toBytes() }];
          log = [];
        } else if (kept.length > 0) {
          paged.power.off();
          paged.disk.crash(random);
          const { bytes, plain: plainBytes } = kept.at(-1)!;
          paged = await paged.restarted(bytes);
          const store = new KvStore();
          store.restore(plainBytes);
          plain = new StoreDriver(store);
          const replayed = log;
          log = [];
          for (const command of replayed) both(command);
        }
        if (step % 10 === 0) {
          assert.deepEqual(paged.driver.range(everything), plain.range(everything));
          assert.equal(paged.fsm.store.digest, plain.store.digest);
        }
      }
      await paged.settled();
      assert.deepEqual(paged.fsm.store.hash(), plain.store.hash());
      const forOthers = await rewritten(paged.fsm, paged.snapshot());
      const restored = new KvStore();
      restored.restore(forOthers);
      assert.deepEqual(restored.hash(), plain.store.hash());
      for (const error of paged.fatal) assert.match(String(error), /the machine crashed/);
    }),
  );
});
