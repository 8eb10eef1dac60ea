/** `npm run etcd-diff -- --steps 20000 --seed 7`: one random script to Debian's etcd and to our store. Ends with 1 when they differ. */
import { Command } from 'commander';
import { wholeNumberFrom } from '../../harness/options.js';
import { isInstalled } from '../../harness/store-alone.js';
import { compare, startBoth } from './comparison.js';

const { steps, seed } = new Command('npm run etcd-diff --')
  .description("one random script to Debian's etcd and to our store")
  .option('--steps <n>', 'how many', wholeNumberFrom(1), 5_000)
  .option('--seed <seed>', 'what the script is drawn from', wholeNumberFrom(0), 1)
  .parse()
  .opts<{ readonly steps: number; readonly seed: number }>();
if (!isInstalled('etcd', '--version')) process.exit(1);
const both = await startBoth();
try {
  const counts = await compare(both, seed, steps);
  const listed = [...counts].map(([kind, count]) => `${kind.replace(/^.*[./]/, '')} ${count}`).join(', ');
  console.log(`seed ${seed}: ${steps} steps, no difference (${listed})`);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
} finally {
  await both.stop();
}
