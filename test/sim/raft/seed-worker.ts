/** A process of `npm run sim`: runs the seeds that it is given, one at a time, and says how each went. */
import { runSeed, type RunResult } from './run.js';
import { runOptionsOf, type SeedOptions } from './seed-options.js';

export interface SeedRequest {
  readonly seed: number;
  readonly options: SeedOptions;
}

/** A result as plain data. */
export interface SeedReport extends Omit<RunResult, 'lastLines' | 'violation'> {
  readonly violation: string | undefined;
  readonly lines: readonly string[];
}

// Whoever gave the seeds is gone.
process.on('disconnect', () => process.exit());

process.on('message', (request: SeedRequest) => {
  void runSeed(request.seed, runOptionsOf(request.options)).then((result) => {
    const { violation, lastLines, ...rest } = result;
    const report: SeedReport = {
      ...rest,
      violation: violation?.message,
      lines: violation ? lastLines(20) : [],
    };
    process.send!(report);
  });
});
