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
import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { listOf, oneOf, wholeNumberFrom } from '../../harness/options.js';
import { crashPoints } from './crash-points.js';
import { plantedBugs } from './planted-bugs.js';
import { runSeed, type RunResult } from './run.js';
import { replayLine, runOptionsOf, type SeedOptions } from './seed-options.js';
import { SeedPool } from './seed-pool.js';
import type { SeedReport } from './seed-worker.js';
import { shrink } from './shrink.js';
import { faultKinds } from './swarm.js';
import { describeToll, type Toll } from './toll.js';

interface Values extends Omit<SeedOptions, 'isCalm'> {
  readonly seeds: number;
  readonly from: number;
  readonly jobs: number;
  readonly seed?: number;
  readonly calm?: boolean;
  readonly quiet?: boolean;
  readonly shrink?: boolean;
}

const number = wholeNumberFrom(0);
const bugNames = plantedBugs.map(({ name }) => name);

const batchSeeds = 25;
const journalMax = 5_000_000;
const shrinkWithinMs = 120_000;
const shrinkRunsMax = 150;

const values = new Command('npm run sim --')
  .description('the store in virtual time: many seeds, or one seed with its journal')
  .option('--seeds <n>', 'how many', wholeNumberFrom(1), 100)
  .option('--from <seed>', 'the first of them', number, 1)
  .option('--jobs <n>', 'processes', wholeNumberFrom(1), availableParallelism())
  .option('--seed <seed>', 'this one alone, with its journal', number)
  .option('--quiet', 'without the journal')
  .option('--shrink', 'the fewest of its faults that make it fail')
  .option('--bug <name>', 'with a planted bug (docs/store-bugs.md)', oneOf(bugNames))
  .option('--faults <kinds>', 'these kinds only', listOf(oneOf(faultKinds)))
  .option('--only <numbers>', 'the faults of these numbers only, or none', (text: string) =>
    text === 'none' ? [] : listOf(number)(text),
  )
  .option('--safety-ms <ms>', 'how long faults come', number)
  .option('--writers <n>', 'clients that write', number)
  .option('--watchers <n>', 'clients that watch', number)
  .option('--calm', 'a network that loses and doubles nothing')
  .parse()
  .opts<Values>();

if (values.seed === undefined) await many(values.from, values.seeds);
else if (values.shrink === true) await printShrunk(values.seed, optionsGiven());
else await replay(values.seed);

async function replay(seed: number): Promise<void> {
  const beganMs = Date.now();
  const result = await runSeed(seed, { journalMax, ...runOptionsOf(optionsGiven()) });
  const tookMs = Date.now() - beganMs;
  if (values.quiet !== true) for (const line of result.lastLines(Infinity)) console.log(line);
  console.log(
    `${result.swarm}\nfaults that came: ${result.faults}\n${batchLine([result], tookMs)}\n${describeToll([result.toll])}`,
  );
  if (result.violation) {
    console.log(result.violation.stack);
    process.exitCode = 1;
  }
}

async function many(from: number, seeds: number): Promise<void> {
  const options = optionsGiven();
  const pool = new SeedPool(values.jobs, options);
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

function batchLine(batch: readonly (RunResult | SeedReport)[], realMs: number): string {
  const sum = (of: (result: (typeof batch)[number]) => number) =>
    batch.reduce((total, result) => total + of(result), 0);
  const virtualMs = sum(({ virtualMs: ms }) => ms);
  const outcome = batch.every(({ violation }) => violation === undefined) ? 'hold' : 'do not hold';
  return [
    `seeds ${batch[0]!.seed}-${batch.at(-1)!.seed} ${outcome}:`,
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
  const { bug, faults, only, safetyMs, writers, watchers, calm } = values;
  return {
    ...(bug !== undefined && { bug }),
    ...(faults !== undefined && { faults }),
    ...(only !== undefined && { only }),
    ...(safetyMs !== undefined && { safetyMs }),
    ...(writers !== undefined && { writers }),
    ...(watchers !== undefined && { watchers }),
    ...(calm === true && { isCalm: true }),
  };
}
