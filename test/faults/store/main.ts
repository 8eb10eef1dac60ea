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
import { Command, InvalidArgumentError } from 'commander';
import { seededRandom } from '../../../actors/runtime/index.js';
import { listOf, numberFrom, oneOf, wholeNumberFrom } from '../../harness/options.js';
import { drawnFaults, type Fault, faultNamed } from './faults.js';
import { type PlantedName, plantedNames } from './planted.js';
import { describeVerdict, Round } from './round.js';

interface Values {
  readonly seed: number;
  readonly minutes: number;
  readonly faults?: readonly Fault[];
  readonly bug?: PlantedName;
}

const values = new Command('npm run faults --')
  .description('rounds of faults on a store of real processes')
  .option('--seed <seed>', 'of the first round', wholeNumberFrom(0), 1)
  .option('--minutes <n>', 'how long new rounds begin; 0: one round', numberFrom(0, 100_000), 5)
  .option('--faults <names>', 'these only, in this order; a+b: both at once', listOf(knownFault))
  .option('--bug <name>', 'with a planted bug, which must be found', oneOf(plantedNames))
  .parse()
  .opts<Values>();

const faultsPerRound = 8;
const chosen = values.faults;
const bugs = values.bug === undefined ? [] : [values.bug];
const endsAtMs = Date.now() + values.minutes * 60_000;
let seed = values.seed;
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

function knownFault(name: string): Fault {
  try {
    return faultNamed(name);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}
