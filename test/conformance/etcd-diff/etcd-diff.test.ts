import { isInstalled } from '../../harness/store-alone.js';
import { type BothStores, compare, startBoth } from './comparison.js';

/** More on demand: `npm run etcd-diff -- --steps 20000 --seed 7`. */
const seeds = [1, 2, 3];
const steps = 700;

describe('random scripts give the same replies from our store and from etcd', function () {
  this.timeout(600_000);
  let both: BothStores;
  beforeEach(async function () {
    if (!isInstalled('etcd', '--version')) return this.skip();
    both = await startBoth();
  });
  afterEach(() => both?.stop());

  for (const seed of seeds) {
    it(`seed ${seed}, ${steps} steps`, async () => {
      await compare(both, seed, steps);
    });
  }
});
