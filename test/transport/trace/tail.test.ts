import { strict as assert } from 'node:assert';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatEvent, JournalTail } from '../../../transport/index.js';
import { master1 } from './sample.js';

describe('journal tail', () => {
  let folder: string;
  let path: string;
  const lines = master1.map((event) => `${formatEvent(event)}\n`);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kabuki-tail-'));
    path = join(folder, 'journal.ndjson');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('gives what is added, once, and nothing of what was there', () => {
    writeFileSync(path, lines[0] ?? '');
    const tail = new JournalTail(path);
    assert.deepEqual(tail.poll(), []);
    appendFileSync(path, `${lines[1]}${lines[2]}`);
    assert.deepEqual(tail.poll(), [master1[1], master1[2]]);
    assert.deepEqual(tail.poll(), []);
  });

  it('waits for the end of a line', () => {
    const tail = new JournalTail(path);
    const line = lines[0] ?? '';
    writeFileSync(path, line.slice(0, 20));
    assert.deepEqual(tail.poll(), []);
    appendFileSync(path, line.slice(20));
    assert.deepEqual(tail.poll(), [master1[0]]);
  });

  it('begins anew in a file that was rotated', () => {
    writeFileSync(path, lines.join(''));
    const tail = new JournalTail(path);
    writeFileSync(path, lines[1] ?? '');
    assert.deepEqual(tail.poll(), [master1[1]]);
  });

  it('a journal that is not there yet has nothing to tell', () => {
    assert.deepEqual(new JournalTail(path).poll(), []);
  });
});
