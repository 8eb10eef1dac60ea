import { strict as assert } from 'node:assert';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  FileJournal,
  type JournalEvent,
  MemoryJournal,
  nodeId,
  readJournal,
  readJournals,
  rotatedPath,
} from '../../../transport/index.js';
import { VirtualClock } from '../virtual-clock.js';
import { master1, master2 } from './sample.js';

async function readAll(path: string, onTorn?: (line: number) => void): Promise<JournalEvent[]> {
  const events: JournalEvent[] = [];
  for await (const event of readJournal(path, onTorn)) events.push(event);
  return events;
}

describe('file journal', () => {
  let folder: string;
  let path: string;
  const clock = new VirtualClock();
  const options = { clock, node: nodeId('master-1') };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-journal-'));
    path = join(folder, 'journal.ndjson');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('gives back what was recorded', async () => {
    const journal = new FileJournal(path, options);
    for (const event of master1) journal.record(event);
    await journal.close();
    assert.deepEqual(await readAll(path), master1);
  });

  it('is readable by its owner only, also when the file was there with another mode', async () => {
    writeFileSync(path, '', { mode: 0o644 });
    const journal = new FileJournal(path, { ...options, fileBytesMax: 500 });
    for (const event of master1) {
      journal.record(event);
      journal.flushSync();
    }
    await journal.close();
    for (const file of [path, rotatedPath(path)]) assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  it('writes after the interval, and in a crash at once', async () => {
    const journal = new FileJournal(path, { ...options, flushIntervalMs: 100 });
    journal.record(master1[0]!);
    await clock.advance(99);
    assert.equal(readFileSync(path, 'utf8'), '');
    await clock.advance(1);
    assert.equal((await readAll(path)).length, 1);
    journal.record(master1[1]!);
    journal.flushSync();
    assert.equal((await readAll(path)).length, 2);
    await journal.close();
  });

  it('keeps two files of bounded size', async () => {
    const journal = new FileJournal(path, { ...options, fileBytesMax: 4096, bufferBytesMax: 512 });
    for (let i = 0; i < 500; i++) journal.record({ ...master1[0]!, lamport: i });
    await journal.close();
    for (const file of [path, rotatedPath(path)]) assert(statSync(file).size < 4096 + 1024, file);
    const events = await readJournals([path]);
    assert.equal(events.at(-1)?.lamport, 499);
    assert(events.some((event) => event.kind === 'journal.rotated'));
  });

  it('skips a line that a crash tore, and goes on after it', async () => {
    const journal = new FileJournal(path, options);
    journal.record(master1[0]!);
    await journal.close();
    appendFileSync(path, '{"type":"send","at":17,"lam');
    const torn: number[] = [];
    assert.equal((await readAll(path, (line) => torn.push(line))).length, 1);
    assert.deepEqual(torn, [2]);
    const again = new FileJournal(path, options);
    again.record(master1[1]!);
    await again.close();
    assert.deepEqual(await readAll(path), [master1[0], master1[1]]);
  });

  it('skips lines that are JSON but no event', async () => {
    writeFileSync(path, '17\n{}\n{"type":"nonsense","at":1,"lamport":1,"node":"a"}\n[]\nnull\n');
    const torn: number[] = [];
    assert.deepEqual(await readAll(path, (line) => torn.push(line)), []);
    assert.deepEqual(torn, [1, 2, 3, 4, 5]);
  });

  it('says clearly that it cannot be opened or read', async () => {
    const nowhere = join(folder, 'missing', 'journal.ndjson');
    assert.throws(() => new FileJournal(nowhere, options), {
      code: 'journal',
      message: /cannot open journal .*ENOENT/,
    });
    await assert.rejects(readAll(nowhere), { code: 'journal' });
  });

  it('tells once that writing fails, counts what is lost and does not throw at the recorder', async () => {
    const errors: Error[] = [];
    const { mode } = statSync('/dev/full');
    const journal = new FileJournal('/dev/full', { ...options, onError: (error) => errors.push(error) });
    journal.record(master1[0]!);
    journal.flushSync();
    journal.record(master1[1]!);
    journal.flushSync();
    assert.equal(errors.length, 1);
    assert.match(errors[0]?.message ?? '', /cannot write journal \/dev\/full .*ENOSPC/);
    assert.equal(journal.lost, 2);
    await assert.rejects(journal.flush(), { code: 'journal' });
    assert.equal(statSync('/dev/full').mode, mode, 'a device is not the journal of anybody');
  });

  it('merges the journals of several nodes', async () => {
    const paths = [path, join(folder, 'other.ndjson')];
    for (const [i, events] of [master1, master2].entries()) {
      const journal = new FileJournal(paths[i]!, options);
      for (const event of events) journal.record(event);
      await journal.close();
    }
    const merged = await readJournals(paths);
    assert.equal(merged.length, master1.length + master2.length);
  });
});

describe('memory journal', () => {
  it('keeps the last events and counts the others', () => {
    const journal = new MemoryJournal(3);
    for (let lamport = 0; lamport < 5; lamport++) journal.record({ ...master1[0]!, lamport });
    assert.deepEqual(
      journal.events().map((event) => event.lamport),
      [2, 3, 4],
    );
    assert.equal(journal.lost, 2);
  });

  it('gives equal bytes for equal events, whatever the order of their keys', () => {
    const [a, b] = [new MemoryJournal(), new MemoryJournal()];
    a.record({ type: 'note', at: 1, lamport: 2, node: nodeId('x'), detail: { b: 1, a: true } });
    b.record({ detail: { a: true, b: 1 }, node: nodeId('x'), lamport: 2, at: 1, type: 'note' });
    assert.equal(a.toNdjson(), b.toNdjson());
    assert.equal(a.toNdjson(), '{"type":"note","at":1,"lamport":2,"node":"x","detail":{"a":true,"b":1}}\n');
  });
});
