/**
 * The journal of a real node: NDJSON in a file that only its owner may read, written in batches, bounded in size. A
 * full file moves to `<path>.1`, over the one before. An edge: it writes to the file system.
 */
import { closeSync, fchmodSync, fstatSync, openSync, readSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../clock.js';
import { TransportError } from '../errors.js';
import type { NodeId } from '../envelope.js';
import type { Journal, JournalEvent } from './journal.js';
import { formatEvent } from './line.js';

export interface FileJournalOptions {
  readonly clock: Clock;
  /** Named in remarks of the journal about itself. */
  readonly node: NodeId;
  /** Two files of this size at most; default 64 MiB. */
  readonly fileBytesMax?: number;
  /** How long an event may wait in memory; default 200. */
  readonly flushIntervalMs?: number;
  /** What waits in memory; more is written at once. Default 1 MiB. */
  readonly bufferBytesMax?: number;
  /** Told once when writing fails; from then on events are counted as lost. Default: a process warning. */
  readonly onError?: (error: TransportError) => void;
}

export class FileJournal implements Journal {
  readonly path: string;
  readonly #clock: Clock;
  readonly #node: NodeId;
  readonly #fileBytesMax: number;
  readonly #flushIntervalMs: number;
  readonly #bufferBytesMax: number;
  readonly #onError: (error: TransportError) => void;
  #fd: number | undefined;
  #fileBytes = 0;
  #lines: string[] = [];
  #bufferBytes = 0;
  #timer: Timer | undefined;
  #failure: TransportError | undefined;
  #lost = 0;

  /** Throws TransportError `journal` when the file cannot be opened. */
  constructor(path: string, options: FileJournalOptions) {
    this.path = path;
    this.#clock = options.clock;
    this.#node = options.node;
    this.#fileBytesMax = options.fileBytesMax ?? 64 * 1024 * 1024;
    this.#flushIntervalMs = options.flushIntervalMs ?? 200;
    this.#bufferBytesMax = options.bufferBytesMax ?? 1024 * 1024;
    this.#onError = options.onError ?? ((error) => process.emitWarning(error));
    try {
      this.#open();
    } catch (error) {
      throw new TransportError('journal', `cannot open journal ${path}: ${text(error)}`, error);
    }
  }

  /** Events that could not be written. */
  get lost(): number {
    return this.#lost;
  }

  record(event: JournalEvent): void {
    if (this.#fd === undefined) {
      this.#lost += 1;
      return;
    }
    const line = `${formatEvent(event)}\n`;
    this.#lines.push(line);
    this.#bufferBytes += line.length;
    if (this.#bufferBytes >= this.#bufferBytesMax) this.flushSync();
    else this.#timer ??= this.#clock.setTimer(this.#flushIntervalMs, () => this.flushSync());
  }

  /** Rejects with TransportError `journal` when events were lost because writing failed. */
  async flush(): Promise<void> {
    this.flushSync();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Hands everything to the operating system, now: also for the last moment of a crashing process. An append to the
   * page cache takes microseconds; a thread pool would cost more and could lose the last lines.
   */
  flushSync(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#lines.length === 0 || this.#fd === undefined) return;
    const count = this.#lines.length;
    const bytes = Buffer.from(this.#lines.join(''), 'utf8');
    this.#lines = [];
    this.#bufferBytes = 0;
    try {
      this.#write(bytes);
      if (this.#fileBytes >= this.#fileBytesMax) this.#rotate();
    } catch (error) {
      this.#fail(error, count);
    }
  }

  async close(): Promise<void> {
    this.flushSync();
    this.#closeFile();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #open(): void {
    const fd = openSync(this.path, 'a+', 0o600);
    this.#fd = fd;
    const stat = fstatSync(fd);
    // An older file may have been created by hand with another mode. A device belongs to everybody: its mode stays.
    if (stat.isFile()) fchmodSync(fd, 0o600);
    this.#fileBytes = stat.size;
    if (this.#fileBytes > 0 && !this.#endsWithNewline(fd)) this.#write(Buffer.from('\n'));
  }

  /** A crash may have torn the last line; what is written next must not hang on to it. */
  #endsWithNewline(fd: number): boolean {
    const last = Buffer.alloc(1);
    readSync(fd, last, 0, 1, this.#fileBytes - 1);
    return last[0] === 0x0a;
  }

  #write(bytes: Buffer): void {
    if (this.#fd === undefined) return;
    let offset = 0;
    while (offset < bytes.length) offset += writeSync(this.#fd, bytes, offset);
    this.#fileBytes += bytes.length;
  }

  #rotate(): void {
    this.#closeFile();
    renameSync(this.path, rotatedPath(this.path));
    this.#open();
    const detail = { older: rotatedPath(this.path) };
    const remark: JournalEvent = {
      type: 'note',
      at: this.#clock.nowMs(),
      lamport: 0,
      node: this.#node,
      kind: 'journal.rotated',
      detail,
    };
    this.#write(Buffer.from(`${formatEvent(remark)}\n`));
  }

  #fail(error: unknown, events: number): void {
    this.#lost += events;
    const message = `cannot write journal ${this.path} in ${dirname(this.path)}: ${text(error)}`;
    this.#failure = new TransportError('journal', message, error);
    this.#closeFile();
    this.#onError(this.#failure);
  }

  #closeFile(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) closeSync(fd);
  }
}

export function rotatedPath(path: string): string {
  return `${path}.1`;
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
