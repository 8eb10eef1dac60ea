/**
 * How far a long work is, on standard error: one line that is written over on a terminal, a line now and then elsewhere, and
 * none for what takes no time.
 */
const quietMs = 1_000;
const everyMs = { terminal: 200, file: 5_000 } as const;

export class ProgressLine {
  readonly #stream: NodeJS.WriteStream;
  #shownAtMs: number;
  #isShown = false;

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
    this.#shownAtMs = Date.now() + quietMs - everyMs[this.#kind];
  }

  show(text: string): void {
    const nowMs = Date.now();
    if (nowMs - this.#shownAtMs < everyMs[this.#kind]) return;
    this.#shownAtMs = nowMs;
    this.#isShown = true;
    this.#stream.write(this.#kind === 'terminal' ? `\r\u001b[K${text}` : `${text}\n`);
  }

  /** Nothing is left of it on a terminal. */
  end(): void {
    if (this.#isShown && this.#kind === 'terminal') this.#stream.write('\r\u001b[K');
  }

  get #kind(): keyof typeof everyMs {
    return this.#stream.isTTY ? 'terminal' : 'file';
  }
}

/** For people. */
export function sizeText(bytes: number): string {
  return bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

/** `1 key`, `2 keys`. */
export function countText(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}

/** Done of all in hundredths. */
export function percent(done: number, all: number): string {
  return `${all > 0 ? Math.min(100, Math.floor((100 * done) / all)) : 0}%`;
}
