/**
 * Edge: the log file of one container, written in CRI lines and rotated by size with one older file kept,
 * and read back for `kubectl logs`. Writer and readers live in one process, so followers are woken by the
 * writer.
 */
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import type { Clock } from '../../transport/index.js';
import { LineCutter, LogPrinter } from './log-format.js';
import type { RuntimeLimits } from './limits.js';
import type { LogOptions } from './messages.js';

const blockBytes = 64 * 1024;
const newline = 0x0a;

export class ContainerLog {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #limits: RuntimeLimits;
  readonly #cutters: Readonly<Record<'stdout' | 'stderr', LineCutter>>;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #writing: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #fileBytes = 0;
  /** Counts rotations, so that a follower notices that its file was renamed. */
  #generation = 0;
  #closed: boolean;
  #failure: unknown;
  readonly #waiters = new Set<() => void>();
  /** Told when the disk falls behind, and when it has caught up. */
  onPressure: (paused: boolean) => void = () => {};

  constructor(path: string, clock: Clock, limits: RuntimeLimits, closed = false) {
    this.#path = path;
    this.#clock = clock;
    this.#limits = limits;
    this.#closed = closed;
    this.#cutters = {
      stdout: new LineCutter('stdout', limits.logLineBytesMax),
      stderr: new LineCutter('stderr', limits.logLineBytesMax),
    };
  }

  write(stream: 'stdout' | 'stderr', bytes: Uint8Array): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#queue(this.#cutters[stream].take(bytes, this.#clock.nowMs()));
  }

  /** Writes what is left and lets followers come to their end. Rejects if a write failed. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#queue(this.#cutters.stdout.flush(this.#clock.nowMs()));
      this.#queue(this.#cutters.stderr.flush(this.#clock.nowMs()));
      while (this.#writing !== undefined) await this.#writing;
      this.#closed = true;
      await this.#file?.close();
      this.#file = undefined;
      this.#wake();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async remove(): Promise<void> {
    await Promise.all([rm(this.#path, { force: true }), rm(`${this.#path}.1`, { force: true })]);
  }

  #queue(lines: readonly Buffer[]): void {
    if (lines.length === 0) return;
    for (const line of lines) {
      this.#pending.push(line);
      this.#pendingBytes += line.length;
    }
    if (this.#pendingBytes > this.#limits.streamBufferBytesMax) this.onPressure(true);
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
    });
  }

  async #drain(): Promise<void> {
    try {
      while (this.#pending.length > 0) {
        const batch = Buffer.concat(this.#pending);
        this.#pending = [];
        this.#pendingBytes = 0;
        this.#file ??= await open(this.#path, 'a', 0o600);
        await this.#file.write(batch);
        this.#fileBytes += batch.length;
        if (this.#fileBytes > this.#limits.logFileBytesMax) await this.#rotate();
        this.onPressure(false);
        this.#wake();
      }
    } catch (error) {
      // The container goes on without a log; `close` reports why.
      this.#failure = error;
      this.#pending = [];
      this.#pendingBytes = 0;
      this.onPressure(false);
      this.#wake();
    }
  }

  async #rotate(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    await rename(this.#path, `${this.#path}.1`);
    this.#fileBytes = 0;
    this.#generation += 1;
  }

  #wake(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter();
  }

  async *read(options: LogOptions): AsyncGenerator<Uint8Array, void, void> {
    const printer = new LogPrinter(options, this.#clock.nowMs());
    const start = await this.#start(options.tailLines);
    let generation = this.#generation;
    if (start.older !== undefined) {
      yield* this.#printFile(`${this.#path}.1`, { offset: start.older }, printer);
    }
    const position = { offset: start.current };
    for (;;) {
      const closed = this.#closed;
      if (generation !== this.#generation) {
        yield* this.#printFile(`${this.#path}.1`, position, printer);
        position.offset = 0;
        generation += 1;
        continue;
      }
      const seen = new Promise<void>((resolve) => this.#waiters.add(resolve));
      yield* this.#printFile(this.#path, position, printer);
      if (printer.done || options.follow !== true || closed || this.#failure !== undefined) return;
      await seen;
    }
  }

  /** Prints complete lines from `position` to the end of the file and moves `position` behind them. */
  async *#printFile(
    path: string,
    position: { offset: number },
    printer: LogPrinter,
  ): AsyncGenerator<Uint8Array, void, void> {
    const file = await openIfThere(path);
    if (file === undefined) return;
    try {
      const block = Buffer.alloc(blockBytes);
      let rest: Buffer = Buffer.alloc(0);
      let offset = position.offset;
      while (!printer.done) {
        const { bytesRead } = await file.read(block, 0, blockBytes, offset);
        if (bytesRead === 0) return;
        offset += bytesRead;
        const data = Buffer.concat([rest, block.subarray(0, bytesRead)]);
        const end = data.lastIndexOf(newline) + 1;
        rest = Buffer.from(data.subarray(end));
        position.offset += end;
        const printed = splitLines(data.subarray(0, end)).flatMap((line) => printer.print(line) ?? []);
        if (printed.length > 0) yield Buffer.concat(printed);
      }
    } finally {
      await file.close();
    }
  }

  /**
   * Where reading begins, so that `tailLines` lines follow: in the older file too if the current one has
   * too few.
   */
  async #start(tailLines: number | undefined): Promise<{ older?: number; current: number }> {
    if (tailLines === undefined) return { older: 0, current: 0 };
    const current = await tailOffset(this.#path, tailLines);
    if (current.lines >= tailLines) return { current: current.offset };
    const older = await tailOffset(`${this.#path}.1`, tailLines - current.lines);
    return { older: older.offset, current: 0 };
  }

  /** The last bytes of the log as text, without times (FallbackToLogsOnError: 80 lines or 2048 bytes). */
  async tail(lines: number, bytesMax: number): Promise<string> {
    const parts: Uint8Array[] = [];
    for await (const part of this.read({ tailLines: lines })) parts.push(part);
    const all = Buffer.concat(parts);
    return all.subarray(Math.max(0, all.length - bytesMax)).toString('utf8');
  }
}

/** Offset of the last `lines` lines of a file, and how many of them it has. */
async function tailOffset(path: string, lines: number): Promise<{ offset: number; lines: number }> {
  const file = await openIfThere(path);
  if (file === undefined) return { offset: 0, lines: 0 };
  try {
    let end = (await stat(path)).size;
    if (lines === 0) return { offset: end, lines: 0 };
    const block = Buffer.alloc(blockBytes);
    // The newline that ends the last line does not begin another one.
    let found = -1;
    while (end > 0) {
      const start = Math.max(0, end - blockBytes);
      const { bytesRead } = await file.read(block, 0, end - start, start);
      for (let at = bytesRead - 1; at >= 0; at -= 1) {
        if (block[at] !== newline) continue;
        found += 1;
        if (found === lines) return { offset: start + at + 1, lines };
      }
      end = start;
    }
    return { offset: 0, lines: found + 1 };
  } finally {
    await file.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function splitLines(data: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start < data.length;) {
    const end = data.indexOf(newline, start);
    lines.push(data.subarray(start, end));
    start = end + 1;
  }
  return lines;
}
