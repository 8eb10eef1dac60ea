/**
 * Container logs in the CRI's form, one line each: `<RFC3339Nano> <stdout|stderr> <F|P> <text>`, where P
 * marks a part of a longer line. Pure: cutting output into lines, and choosing and printing lines for
 * `kubectl logs`.
 */
import type { LogOptions } from './messages.js';

const newline = 0x0a;
const space = 0x20;

/** Nine decimals, as the CRI writes them; our clock has three of them. */
export function rfc3339Nano(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000000Z`;
}

/** Cuts one stream of bytes into CRI lines; keeps the unfinished line until `flush`. */
export class LineCutter {
  readonly #stream: 'stdout' | 'stderr';
  readonly #lineBytesMax: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: 'stdout' | 'stderr', lineBytesMax: number) {
    this.#stream = stream;
    this.#lineBytesMax = lineBytesMax;
  }

  take(bytes: Uint8Array, nowMs: number): Buffer[] {
    const lines: Buffer[] = [];
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : Buffer.from(bytes);
    for (;;) {
      const end = data.indexOf(newline);
      const length = end === -1 ? data.length : end;
      if (length > this.#lineBytesMax) {
        lines.push(this.#line('P', data.subarray(0, this.#lineBytesMax), nowMs));
        data = data.subarray(this.#lineBytesMax);
      } else if (end === -1) {
        break;
      } else {
        lines.push(this.#line('F', data.subarray(0, end), nowMs));
        data = data.subarray(end + 1);
      }
    }
    this.#rest = Buffer.from(data);
    return lines;
  }

  /** What stood behind the last newline, as a line of its own. */
  flush(nowMs: number): Buffer[] {
    if (this.#rest.length === 0) return [];
    const line = this.#line('F', this.#rest, nowMs);
    this.#rest = Buffer.alloc(0);
    return [line];
  }

  #line(tag: 'F' | 'P', text: Uint8Array, nowMs: number): Buffer {
    return Buffer.concat([
      Buffer.from(`${rfc3339Nano(nowMs)} ${this.#stream} ${tag} `),
      text,
      Buffer.from([newline]),
    ]);
  }
}

export interface LogLine {
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  readonly partial: boolean;
  readonly text: Buffer;
}

/** `line` without its newline. Undefined for what is not a CRI line (a torn tail). */
function parseLine(line: Buffer): LogLine | undefined {
  const first = line.indexOf(space);
  const second = line.indexOf(space, first + 1);
  const third = line.indexOf(space, second + 1);
  if (first < 1 || second < 0 || third < 0) return undefined;
  const stream = line.toString('latin1', first + 1, second);
  const tag = line.toString('latin1', second + 1, third);
  if ((stream !== 'stdout' && stream !== 'stderr') || (tag !== 'F' && tag !== 'P')) return undefined;
  return {
    time: line.toString('latin1', 0, first),
    stream,
    partial: tag === 'P',
    text: line.subarray(third + 1),
  };
}

/** Turns stored lines into what the reader of `kubectl logs` gets; holds how much may still be sent. */
export class LogPrinter {
  readonly #timestamps: boolean;
  readonly #sinceMs: number;
  #bytesLeft: number;
  #midLine = false;

  constructor(options: LogOptions, nowMs: number) {
    this.#timestamps = options.timestamps ?? false;
    this.#bytesLeft = options.limitBytes ?? Number.POSITIVE_INFINITY;
    if (options.sinceTime !== undefined) this.#sinceMs = Date.parse(options.sinceTime);
    else if (options.sinceSeconds !== undefined) this.#sinceMs = nowMs - options.sinceSeconds * 1000;
    else this.#sinceMs = Number.NEGATIVE_INFINITY;
  }

  get done(): boolean {
    return this.#bytesLeft <= 0;
  }

  print(raw: Buffer): Buffer | undefined {
    const line = parseLine(raw);
    if (line === undefined || this.done || Date.parse(line.time) < this.#sinceMs) return undefined;
    const head = this.#timestamps && !this.#midLine ? `${line.time} ` : '';
    const printed = Buffer.concat([
      Buffer.from(head),
      line.text,
      line.partial ? Buffer.alloc(0) : Buffer.from([newline]),
    ]);
    this.#midLine = line.partial;
    const cut = printed.length > this.#bytesLeft ? printed.subarray(0, this.#bytesLeft) : printed;
    this.#bytesLeft -= cut.length;
    return cut;
  }
}
