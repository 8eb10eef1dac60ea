/** A process that a benchmark started: its output kept, ended by its id and by nothing else. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

const endTimeoutMs = 15_000;

/** However this process ends, nothing that it started is left behind. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

export class OwnProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(
    command: string,
    args: readonly string[],
    logPath: string,
    {
      ipc = false,
      env = {},
    }: { readonly ipc?: boolean; readonly env?: Readonly<Record<string, string>> } = {},
  ) {
    const log = openSync(logPath, 'a', 0o600);
    this.#child = spawn(command, args, {
      stdio: ['ignore', log, log, ...(ipc ? (['ipc'] as const) : [])],
      env: { ...env, ...process.env },
    });
    closeSync(log);
    if (this.#child.pid === undefined) throw new Error(`${command} cannot be started`);
    this.pid = this.#child.pid;
    running.add(this.#child);
    this.#ended = new Promise((resolve) =>
      this.#child.once('exit', () => {
        running.delete(this.#child);
        resolve();
      }),
    );
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  kill(): Promise<void> {
    if (this.running) this.#child.kill('SIGKILL');
    return this.#ended;
  }

  async stop(): Promise<void> {
    if (this.running) this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), endTimeoutMs);
    await this.#ended;
    clearTimeout(timer);
  }
}
