/** `npm run etcd-diff -- --steps 20000 --seed 7`: one random script to Debian's etcd and to our store. Ends with 1 when they differ. */
import { parseArgs } from 'node:util';
import { isInstalled } from '../../harness/store-alone.js';
import { compare, startBoth } from './comparison.js';

const { values } = parseArgs({
  options: { steps: { type: 'string', default: '5000' }, seed: { type: 'string', default: '1' } },
});
const [steps, seed] = [Number(values.steps), Number(values.seed)];
if (!Number.isSafeInteger(steps) || steps < 1 || !Number.isSafeInteger(seed)) {
  throw new TypeError('--steps and --seed take whole numbers');
}
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
