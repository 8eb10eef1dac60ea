/**
 * `npm run sim`: many seeds, or one seed with its journal.
 *
 *   npm run sim -- --seeds 500            seeds 1 to 500, a process per core; a line per batch
 *   npm run sim -- --seeds 500 --from 1000 --jobs 1
 *   npm run sim -- --seed 42              replays one seed and prints its journal
 *   npm run sim -- --seed 42 --bug NAME   the same, with a planted bug (docs/store-bugs.md)
 *
 * The first seed that fails ends it: its faults are shrunk, and the line that replays what is left is printed. What such a line
 * is made of: `--faults crash,split` (these kinds only), `--only 3,7` (the faults of these numbers only), `--safety-ms 30000`
 * (faults for so long), `--writers N`, `--watchers N`, `--calm` (a network that loses and doubles nothing).
 */
import { parseArgs } from 'node:util';
import { availableParallelism } from 'node:os';
import { crashPoints } from './crash-points.js';
import { bugNamed, plantedBugs } from './planted-bugs.js';
import { runSeed, type RunResult } from './run.js';
import { replayLine, runOptionsOf, type SeedOptions } from './seed-options.js';
import { SeedPool } from './seed-pool.js';
import type { SeedReport } from './seed-worker.js';
import { shrink } from './shrink.js';
import { type FaultKind, faultKinds } from './swarm.js';
import { describeToll, type Toll } from './toll.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    seed: { type: 'string' },
    bug: { type: 'string' },
    faults: { type: 'string' },
    only: { type: 'string' },
    'safety-ms': { type: 'string' },
    writers: { type: 'string' },
    watchers: { type: 'string' },
    calm: { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
  },
});

const batchSeeds = 25;
const journalMax = 5_000_000;
const shrinkWithinMs = 120_000;
const shrinkRunsMax = 150;

if (values.bug !== undefined && !bugNamed(values.bug)) {
  const names = plantedBugs.map(({ name }) => name).join(', ');
  console.error(`no planted bug is named ${values.bug}; there are ${names}`);
  process.exitCode = 2;
} else if (values.seed === undefined) {
  await many(count('from', values.from), count('seeds', values.seeds));
} else if (values.shrink) {
  await printShrunk(count('seed', values.seed), optionsGiven());
} else {
  await replay(count('seed', values.seed));
}

async function replay(seed: number): Promise<void> {
  const result = await runSeed(seed, { journalMax, ...runOptionsOf(optionsGiven()) });
  if (!values.quiet) for (const line of result.lastLines(Infinity)) console.log(line);
  console.log(
    `${result.swarm}\nfaults that came: ${result.faults}\n${batchLine([result], 1)}\n${describeToll([result.toll])}`,
  );
  if (result.violation) {
    console.log(result.violation.stack);
    process.exitCode = 1;
  }
}

async function many(from: number, seeds: number): Promise<void> {
  const options = optionsGiven();
  const pool = new SeedPool(count('jobs', values.jobs), options);
  const pointsMissed = new Set(Object.values(crashPoints).flat());
  const beganMs = Date.now();
  let startedMs = beganMs;
  const tolls: Toll[] = [];
  let virtualMs = 0;
  try {
    for (let first = from; first < from + seeds; first += batchSeeds) {
      const size = Math.min(batchSeeds, from + seeds - first);
      const batch = await pool.run(first, size);
      const failed = batch.find(({ violation }) => violation !== undefined);
      if (failed) return await report(failed, options);
      console.log(batchLine(batch, Date.now() - startedMs));
      startedMs = Date.now();
      for (const point of batch.flatMap((result) => result.crashPoints)) pointsMissed.delete(point);
      tolls.push(...batch.map(({ toll }) => toll));
      virtualMs += batch.reduce((sum, result) => sum + result.virtualMs, 0);
    }
    const realMs = Date.now() - beganMs;
    console.log(`${seeds} seeds hold: ${minutes(virtualMs)} min simulated in ${minutes(realMs)} min`);
    console.log(describeToll(tolls));
    if (pointsMissed.size > 0) console.log(`nobody crashed ${[...pointsMissed].join(', ')}`);
  } finally {
    pool.close();
  }
}

function minutes(ms: number): string {
  return (ms / 60_000).toFixed(1);
}

function batchLine(batch: readonly Omit<RunResult | SeedReport, 'violation'>[], realMs: number): string {
  const sum = (of: (result: (typeof batch)[number]) => number) =>
    batch.reduce((total, result) => total + of(result), 0);
  const virtualMs = sum(({ virtualMs: ms }) => ms);
  return [
    `seeds ${batch[0]!.seed}-${batch.at(-1)!.seed} hold:`,
    `${sum((r) => r.operations)} requests, ${sum((r) => r.acknowledgedWrites)} writes,`,
    `${sum((r) => r.watchEvents)} watch events, ${sum((r) => r.leaderships)} leaders, ${sum((r) => r.restarts)} restarts,`,
    `${sum((r) => r.struck.length)} faults, ${sum((r) => r.undecidedKeys)} keys undecided;`,
    `${(virtualMs / 1000).toFixed(0)} s in ${(realMs / 1000).toFixed(1)} s (${(virtualMs / realMs).toFixed(0)}x)`,
  ].join(' ');
}

async function report(failed: SeedReport, options: SeedOptions): Promise<void> {
  const { seed, virtualMs, violation, swarm, faults, lines } = failed;
  process.exitCode = 1;
  console.log(`seed ${seed} FAILS after ${virtualMs.toFixed(0)} ms: ${violation}`);
  console.log(`${swarm}\nfaults that came: ${faults}\nthe end of its journal:`);
  for (const line of lines) console.log(`  ${line}`);
  console.log(`replay: ${replayLine(seed, options)}`);
  await printShrunk(seed, options);
}

async function printShrunk(seed: number, options: SeedOptions): Promise<void> {
  const endMs = Date.now() + shrinkWithinMs;
  const shrunk = await shrink(seed, options, { runsMax: shrinkRunsMax, isOver: () => Date.now() > endMs });
  if (!shrunk) return console.log(`seed ${seed} holds`);
  const { result, runs } = shrunk;
  console.log(
    `shrunk in ${runs} runs to ${result.struck.length} faults and ${(result.virtualMs / 1000).toFixed(1)} s:`,
  );
  console.log(`  ${result.violation?.message}\n  faults that came: ${result.faults}`);
  const again = await runSeed(seed, { journalMax, ...runOptionsOf(shrunk.options) });
  const faults = again.lastLines(Infinity).filter((line) => line.startsWith('{"type":"fault"'));
  for (const line of faults) console.log(`  ${line}`);
  console.log(`replay: ${replayLine(seed, shrunk.options)}`);
}

function optionsGiven(): SeedOptions {
  const { bug, faults, only, writers, watchers } = values;
  const safetyMs = values['safety-ms'];
  return {
    ...(bug !== undefined && { bug }),
    ...(faults !== undefined && { faults: faults.split(',').map(faultKind) }),
    ...(only !== undefined && {
      only: only === 'none' ? [] : only.split(',').map((one) => count('only', one)),
    }),
    ...(safetyMs !== undefined && { safetyMs: count('safety-ms', safetyMs) }),
    ...(writers !== undefined && { writers: count('writers', writers) }),
    ...(watchers !== undefined && { watchers: count('watchers', watchers) }),
    ...(values.calm && { isCalm: true }),
  };
}

function faultKind(name: string): FaultKind {
  const kind = faultKinds.find((known) => known === name);
  if (!kind) throw new TypeError(`--faults takes names out of ${faultKinds.join(', ')}, not ${name}`);
  return kind;
}

function count(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0)
    throw new TypeError(`--${name} takes a number, not ${text}`);
  return number;
}
