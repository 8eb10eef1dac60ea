/**
 * `npm run faults`: rounds of faults on a store of real processes, one after another.
 *
 *   npm run faults -- --minutes 10 --seed 7      seeds 7, 8, 9 ... until the time is up
 *   npm run faults -- --seed 7 --minutes 0       one round
 *   npm run faults -- --faults kill-all,one-way  these only, in this order
 *   npm run faults -- --bug ack-before-fsync     with a planted bug (planted.ts), which must be found
 *
 * Ends with 1 when a property does not hold; the members' folder is kept then.
 */
import { parseArgs } from 'node:util';
import { seededRandom } from '../../../actors/runtime/index.js';
import { drawnFaults, faultNamed } from './faults.js';
import { type PlantedName, plantedNames } from './planted.js';
import { describeVerdict, Round } from './round.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '5' },
    faults: { type: 'string' },
    bug: { type: 'string' },
  },
});

const faultsPerRound = 8;
const chosen = values.faults?.split(',').map(faultNamed);
const bugs = values.bug === undefined ? [] : [bugNamed(values.bug)];
const endsAtMs = Date.now() + number('minutes', values.minutes) * 60_000;
let seed = number('seed', values.seed);
do {
  if (!(await playRound(seed))) process.exitCode = 1;
  seed += 1;
} while (Date.now() < endsAtMs && process.exitCode !== 1);
process.exit();

/** Whether every property held. */
async function playRound(of: number): Promise<boolean> {
  const startedMs = Date.now();
  const round = await Round.begin({ seed: of, bugs });
  const schedule =
    chosen ??
    drawnFaults(faultsPerRound, seededRandom(of, 'schedule')).filter(
      (fault) => fault.missing?.(round.group) === undefined,
    );
  console.log(`seed ${of}: ${schedule.map(({ name }) => name).join(', ')}`);
  const verdict = await round.play(schedule);
  const holds = verdict.violations.length === 0;
  await round.end({ keep: !holds });
  const took = `${((Date.now() - startedMs) / 1000).toFixed(0)} s`;
  console.log(`  ${holds ? 'holds' : 'FAILS'}: ${describeVerdict(verdict)}; ${took}`);
  if (holds) return true;
  for (const violation of verdict.violations) console.log(`  ${violation}`);
  const names = schedule.map(({ name }) => name).join(',');
  const options = `--faults ${names}${values.bug === undefined ? '' : ` --bug ${values.bug}`}`;
  console.log(`  the members' folder: ${round.group.dir.path}`);
  console.log(`  the same schedule: npm run faults -- --seed ${of} --minutes 0 ${options}`);
  return false;
}

function bugNamed(name: string): PlantedName {
  const bug = plantedNames.find((known) => known === name);
  if (bug) return bug;
  throw new TypeError(`no planted bug is named ${name}; there are ${plantedNames.join(', ')}`);
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new TypeError(`--${name} takes a number, not ${text}`);
  return value;
}
