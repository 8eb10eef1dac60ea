import { strict as assert } from 'node:assert';
import { randomInt } from 'node:crypto';
import { faults } from './faults.js';
import { describeVerdict, Round } from './round.js';

/** `SEED=7 npx mocha dist/test/faults/store/faults.test.js` for the same schedule. */
const seed = Number(process.env['SEED'] ?? randomInt(1_000_000));

describe(`a store of three processes under faults (SEED=${seed})`, function () {
  this.timeout(120_000);
  let round: Round;
  let failed = false;
  before(async () => {
    round = await Round.begin({ seed });
  });
  afterEach(function () {
    failed ||= this.currentTest?.state === 'failed';
  });
  after(() => round?.end({ keep: failed }));

  for (const fault of faults) {
    it(`${fault.name}: ${fault.what}`, async function () {
      const why = fault.missing?.(round.group);
      if (why !== undefined) {
        console.log(`    skipped: ${why}`);
        this.skip();
      }
      await round.suffer(fault);
    });
  }

  it('and the whole history keeps every promise', async () => {
    const verdict = await round.judge();
    console.log(`    ${describeVerdict(verdict)}`);
    const replay = `SEED=${seed} npx mocha dist/test/faults/store/faults.test.js`;
    const found = verdict.violations.join('\n');
    failed ||= found !== '';
    assert.equal(found, '', `${found}\n${replay}\nthe members' folder: ${round.group.dir.path}`);
  });
});
