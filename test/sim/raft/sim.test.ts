/** The store under faults, from seeds: a few here, as many as one likes with `npm run sim`. */
import { strict as assert } from 'node:assert';
import { bugNamed } from './planted-bugs.js';
import { runSeed, type RunResult } from './run.js';
import { replayLine, runOptionsOf } from './seed-options.js';
import { sumOf } from './toll.js';
import { shrink } from './shrink.js';
import type { FaultKind } from './swarm.js';

/** Shorter than `npm run sim` has them: other runs share the machine. */
const safetyMs = 15_000;
const seeds = Array.from({ length: 20 }, (_, at) => at + 1);

describe('the store in the simulator', function () {
  this.timeout(180_000);

  it('keeps its promises under the faults of twenty seeds, and serves again when they are over', async () => {
    const results: RunResult[] = [];
    for (const seed of seeds) {
      const result = await runSeed(seed, { safetyMs });
      assert.equal(result.violation, undefined, failure(result));
      results.push(result);
    }
    const sum = (of: (result: RunResult) => number) => results.reduce((total, one) => total + of(one), 0);
    // Without these the seeds would say little.
    assert(sum(({ acknowledgedWrites }) => acknowledgedWrites) > 500);
    assert(sum(({ leaderships }) => leaderships) > 30);
    assert(sum(({ restarts }) => restarts) > 20);
    assert(sum(({ watchEvents }) => watchEvents) > 1_000);
  });

  it('damages letters, lets them wait and refuses them, reads slowly, and shows ends, as its faults say', async () => {
    const faults: FaultKind[] = ['noise', 'narrow', 'swizzle', 'slow-reads', 'crash-leader', 'crash-all'];
    const results: RunResult[] = [];
    for (const seed of seeds.slice(0, 12)) {
      const result = await runSeed(seed, { safetyMs, faults, valuesInFiles: true });
      assert.equal(result.violation, undefined, failure(result));
      results.push(result);
    }
    const toll = sumOf(results.map((result) => result.toll));
    for (const [what, count] of Object.entries(toll)) assert(count > 0, what);
    assert(toll.endsSeen < toll.ends, 'some are found by silence');
  });

  it('gives the same journal byte for byte for the same seed, and another one for another', async () => {
    const play = async (seed: number) => {
      const result = await runSeed(seed, { journalMax: 1_000_000, safetyMs });
      return result.lastLines(Infinity).join('\n');
    };
    const first = await play(7);
    assert.equal(await play(7), first);
    assert.notEqual(await play(8), first);
  });

  it('shrinks what fails to a few faults, and the line that it prints replays that', async () => {
    const seed = 7;
    const options = { bug: 'old-term-committed' };
    const { struck } = await runSeed(seed, { bug: bugNamed(options.bug) });
    const shrunk = await shrink(seed, options, { runsMax: 40, isOver: () => false });
    assert(shrunk && shrunk.result.struck.length < struck.length, 'it has become smaller');
    assert(2 * shrunk.result.struck.length <= struck.length, replayLine(seed, shrunk.options));
    const again = await runSeed(seed, runOptionsOf(shrunk.options));
    assert.equal(again.violation?.message, shrunk.result.violation?.message);
  });

  it('names whole milliseconds in that line, which is what it takes, also of a run that is judged at its end', async () => {
    const shrunk = await shrink(1, { bug: 'lease-cut-short' }, { runsMax: 1, isOver: () => true });
    assert(Number.isInteger(shrunk?.options.safetyMs), replayLine(1, shrunk?.options ?? {}));
  });
});

function failure({ seed, violation, swarm, faults, lastLines }: RunResult): string {
  const lines = lastLines(10).join('\n  ');
  const replay = replayLine(seed, { safetyMs });
  return `${violation?.message}\n${swarm}\nfaults that came: ${faults}\n  ${lines}\nreplay: ${replay}`;
}
