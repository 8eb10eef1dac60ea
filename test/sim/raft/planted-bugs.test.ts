/** A simulator that finds nothing proves nothing: each planted bug is found, within a bounded number of seeds. */
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { bugNamed, plantedBugs } from './planted-bugs.js';
import { runSeed } from './run.js';

describe('the simulator finds a planted bug', function () {
  this.timeout(180_000);

  for (const bug of plantedBugs) {
    it(`${bug.name}: ${bug.what}`, async () => {
      for (let seed = bug.seed; seed < bug.seed + bug.seedsMax; seed++) {
        const { violation } = await runSeed(seed, { bug });
        if (!violation) continue;
        assert.match(violation.message, bug.finds);
        return;
      }
      assert.fail(`not found by seeds ${bug.seed} to ${bug.seed + bug.seedsMax - 1}`);
    });
  }

  it('and all of them stand in docs/store-bugs.md', () => {
    const table = readFileSync(new URL('../../../../docs/store-bugs.md', import.meta.url), 'utf8');
    const named = [...table.matchAll(/--bug ([a-z-]+)/g)].map(([, name]) => name!);
    assert.deepEqual(
      plantedBugs.map(({ name }) => name).filter((name) => !named.includes(name)),
      [],
    );
    assert.deepEqual(
      named.filter((name) => !bugNamed(name)),
      [],
    );
  });
});
