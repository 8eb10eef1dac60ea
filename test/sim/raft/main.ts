/**
 * `npm run sim`: many seeds, one after another, or one seed with its journal.
 *
 *   npm run sim -- --seeds 500            seeds 1 to 500; a line per batch
 *   npm run sim -- --seeds 500 --from 1000
 *   npm run sim -- --seed 42              replays one seed and prints its journal
 *   npm run sim -- --seed 42 --bug NAME   the same, with a planted bug (docs/store-bugs.md)
 *
 * `--faults crash,split` allows these kinds only, `--safety-ms 30000` keeps them up for so long.
 */
import { parseArgs } from 'node:util';
import { runSeed, type RunResult } from './run.js';
import { bugNamed, plantedBugs } from './planted-bugs.js';
import { type FaultKind, faultKinds } from './swarm.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    bug: { type: 'string' },
    'safety-ms': { type: 'string' },
    faults: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  },
});

const batchSeeds = 25;
const bug = values.bug === undefined ? undefined : bugNamed(values.bug);
const overrides = {
  ...(values['safety-ms'] !== undefined && { safetyMs: count('safety-ms', values['safety-ms']) }),
  ...(values.faults !== undefined && { faults: values.faults.split(',').map(faultKind) }),
};

if (values.bug !== undefined && !bug) {
  const names = plantedBugs.map(({ name }) => name).join(', ');
  console.error(`no planted bug is named ${values.bug}; there are ${names}`);
  process.exitCode = 2;
} else if (values.seed !== undefined) {
  await replay(count('seed', values.seed));
} else {
  await many(count('from', values.from), count('seeds', values.seeds ?? '100'));
}

async function replay(seed: number): Promise<void> {
  const result = await runSeed(seed, { journalMax: 5_000_000, bug, ...overrides });
  if (!values.quiet) for (const line of result.lastLines(Infinity)) console.log(line);
  console.log(summary(result));
  if (result.violation) {
    console.log(result.violation.stack);
    process.exitCode = 1;
  }
}

async function many(from: number, seeds: number): Promise<void> {
  let batch: RunResult[] = [];
  let startedMs = Date.now();
  for (let seed = from; seed < from + seeds; seed++) {
    const result = await runSeed(seed, { bug, ...overrides });
    if (result.violation) {
      report(result);
      process.exitCode = 1;
      return;
    }
    batch.push(result);
    if (batch.length < batchSeeds && seed + 1 < from + seeds) continue;
    console.log(batchLine(batch, Date.now() - startedMs));
    batch = [];
    startedMs = Date.now();
  }
}

function batchLine(batch: readonly RunResult[], realMs: number): string {
  const sum = (of: (result: RunResult) => number) => batch.reduce((total, result) => total + of(result), 0);
  const virtualMs = sum(({ virtualMs: ms }) => ms);
  return [
    `seeds ${batch[0]!.seed}-${batch.at(-1)!.seed} hold:`,
    `${sum((r) => r.operations)} requests, ${sum((r) => r.acknowledgedWrites)} writes,`,
    `${sum((r) => r.watchEvents)} watch events, ${sum((r) => r.leaderships)} leaders, ${sum((r) => r.restarts)} restarts,`,
    `${sum((r) => r.undecidedKeys)} keys undecided;`,
    `${(virtualMs / 1000).toFixed(0)} s in ${(realMs / 1000).toFixed(1)} s (${(virtualMs / realMs).toFixed(0)}x)`,
  ].join(' ');
}

function summary(result: RunResult): string {
  return `${result.swarm}\nfaults that came: ${result.faults}\n${batchLine([result], 1)}`;
}

function report(result: RunResult): void {
  console.log(
    `seed ${result.seed} FAILS after ${result.virtualMs.toFixed(0)} ms: ${result.violation?.message}`,
  );
  console.log(result.swarm);
  console.log(`faults that came: ${result.faults}`);
  console.log('the end of its journal:');
  for (const line of result.lastLines(20)) console.log(`  ${line}`);
  const options = [
    values.bug && `--bug ${values.bug}`,
    values['safety-ms'] && `--safety-ms ${values['safety-ms']}`,
  ];
  console.log(`replay: npm run sim -- --seed ${result.seed} ${options.filter(Boolean).join(' ')}`.trimEnd());
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
