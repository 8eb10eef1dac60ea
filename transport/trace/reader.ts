/**
 * Reads journals back: a file line by line, or several nodes' files merged into one order. A crash tears the last
 * line it writes; torn lines are skipped and told. An edge: it reads the file system.
 */
import { createReadStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { TransportError } from '../errors.js';
import { rotatedPath } from './file-journal.js';
import type { JournalEvent } from './journal.js';
import { parseEvent } from './line.js';
import { mergeJournals } from './merge.js';

/** Line numbers begin at 1. Throws TransportError `journal` when the file cannot be read. */
export async function* readJournal(
  path: string,
  onTorn: (lineNumber: number) => void = () => {},
): AsyncGenerator<JournalEvent> {
  const lines = createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Infinity });
  let lineNumber = 0;
  try {
    for await (const line of lines) {
      lineNumber += 1;
      if (line === '') continue;
      const event = tryParse(line);
      if (event === undefined) onTorn(lineNumber);
      else yield event;
    }
  } catch (error) {
    throw new TransportError('journal', `cannot read journal ${path}`, error);
  }
}

/** All events of the given journals, each with its rotated part, in one order that respects cause and effect. */
export async function readJournals(paths: readonly string[]): Promise<JournalEvent[]> {
  const journals: JournalEvent[][] = [];
  for (const path of paths) {
    const events: JournalEvent[] = [];
    for (const part of [rotatedPath(path), path]) {
      if (part !== path && !existsSync(part)) continue;
      for await (const event of readJournal(part)) events.push(event);
    }
    journals.push(events);
  }
  return mergeJournals(journals);
}

function tryParse(line: string): JournalEvent | undefined {
  try {
    return parseEvent(line);
  } catch {
    return undefined;
  }
}
