/**
 * Follows a journal that a node still writes: each poll gives what was added since the last one. A file that became
 * shorter was rotated and is read from its start. An edge: it reads the file system.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { TransportError } from '../errors.js';
import type { JournalEvent } from './journal.js';
import { parseEvent } from './line.js';

/** More than this is read in further polls. */
const pollBytesMax = 8 * 1024 * 1024;

export class JournalTail {
  readonly #path: string;
  #offset: number;

  /** Begins at the end of what is there now. */
  constructor(path: string) {
    this.#path = path;
    this.#offset = existsSync(path) ? statSync(path).size : 0;
  }

  /** Throws TransportError `journal` when the file is there and cannot be read. */
  poll(): JournalEvent[] {
    if (!existsSync(this.#path)) return [];
    return this.#read()
      .split('\n')
      .filter((line) => line !== '')
      .flatMap(parsed);
  }

  #read(): string {
    let fd: number | undefined;
    try {
      fd = openSync(this.#path, 'r');
      const { size } = fstatSync(fd);
      if (size < this.#offset) this.#offset = 0;
      const buffer = Buffer.alloc(Math.min(size - this.#offset, pollBytesMax));
      const read = readSync(fd, buffer, 0, buffer.length, this.#offset);
      // Only whole lines are taken, so that no character is cut in two.
      const end = buffer.subarray(0, read).lastIndexOf(0x0a) + 1;
      this.#offset += end;
      return buffer.toString('utf8', 0, end);
    } catch (error) {
      throw new TransportError('journal', `cannot follow journal ${this.#path}`, error);
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }
}

/** A line that a crash tore is passed over. */
function parsed(line: string): JournalEvent[] {
  try {
    return [parseEvent(line)];
  } catch {
    return [];
  }
}
