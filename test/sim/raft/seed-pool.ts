/** Processes that run seeds side by side; a seed's run itself knows nothing of it. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { SeedOptions } from './seed-options.js';
import type { SeedReport, SeedRequest } from './seed-worker.js';

export class SeedPool {
  readonly #workers: readonly ChildProcess[];
  readonly #options: SeedOptions;

  constructor(jobs: number, options: SeedOptions) {
    const file = fileURLToPath(new URL('./seed-worker.js', import.meta.url));
    this.#options = options;
    this.#workers = Array.from({ length: Math.max(1, jobs) }, () =>
      fork(file, { execArgv: ['--enable-source-maps'] }),
    );
  }

  /** In the order of the seeds. */
  async run(from: number, seeds: number): Promise<readonly SeedReport[]> {
    const reports: SeedReport[] = [];
    let next = from;
    await Promise.all(
      this.#workers.map(async (worker) => {
        while (next < from + seeds) {
          const seed = next++;
          reports[seed - from] = await this.#ask(worker, { seed, options: this.#options });
        }
      }),
    );
    return reports;
  }

  close(): void {
    for (const worker of this.#workers) worker.disconnect();
  }

  #ask(worker: ChildProcess, request: SeedRequest): Promise<SeedReport> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null) =>
        reject(new Error(`the process that ran seed ${request.seed} ended with ${code}`));
      worker.once('exit', onExit);
      worker.once('message', (report) => {
        worker.off('exit', onExit);
        resolve(report as SeedReport);
      });
      worker.send(request);
    });
  }
}
