/** What a seed may be run with besides itself: as flags of `npm run sim`, as plain data for another process, as a replay line. */
import { bugNamed } from './planted-bugs.js';
import type { RunOptions } from './run.js';
import type { FaultKind } from './swarm.js';

export interface SeedOptions {
  /** Of a planted bug. */
  readonly bug?: string;
  readonly safetyMs?: number;
  readonly faults?: readonly FaultKind[];
  /** The numbers of the faults that come. */
  readonly only?: readonly number[];
  readonly writers?: number;
  readonly watchers?: number;
  readonly isCalm?: boolean;
}

export function runOptionsOf({ bug, only, ...overrides }: SeedOptions): RunOptions {
  return {
    ...overrides,
    ...(bug !== undefined && { bug: bugNamed(bug) }),
    ...(only !== undefined && { only: new Set(only) }),
  };
}

/** On one line, for a shell. */
export function replayLine(seed: number, options: SeedOptions): string {
  const { bug, safetyMs, faults, only, writers, watchers, isCalm } = options;
  const flags = [
    `--seed ${seed}`,
    bug !== undefined && `--bug ${bug}`,
    faults !== undefined && `--faults ${faults.join()}`,
    only !== undefined && `--only ${only.join() || 'none'}`,
    safetyMs !== undefined && `--safety-ms ${safetyMs}`,
    writers !== undefined && `--writers ${writers}`,
    watchers !== undefined && `--watchers ${watchers}`,
    isCalm === true && '--calm',
  ];
  return `npm run sim -- ${flags.filter(Boolean).join(' ')}`;
}
