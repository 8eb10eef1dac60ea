import { strict as assert } from 'node:assert';
import { faultNamed } from './faults.js';
import { Round, type RoundOptions } from './round.js';
import type { Verdict } from './verdict.js';

/** A harness that finds nothing proves nothing: each checker sees a bug that was planted for it. */
interface Expectation {
  readonly title: string;
  readonly options: Omit<RoundOptions, 'seed'>;
  readonly faults: readonly string[];
  /** What has to be among what is found. */
  readonly finds: readonly RegExp[];
}

const expectations: readonly Expectation[] = [
  {
    title: 'a member that answers before its fsync loses acknowledged writes when the power fails',
    options: { bugs: ['ack-before-fsync'] },
    // Twice: what was lost must also have been seen by somebody who asks again.
    faults: ['power-failure', 'power-failure'],
    finds: [/^truth: .*(beyond the last revision|but )/, /^linearizability: /],
  },
  {
    title: 'a skipped event, leases cut short and a repeated write, each by its own checker',
    options: { bugs: ['resume-skips-one', 'lease-cut-short'], retriesWrites: true },
    faults: ['kill-all', 'lost-replies', 'lost-replies'],
    finds: [
      /^watch: .*(instead of|without)/,
      /^leases: .*before its lease ended/,
      /^truth: .*(written twice|but it took effect)/,
    ],
  },
  {
    title: 'a member whose state is not that of the others',
    options: { bugs: ['member-strays'] },
    faults: ['isolate-follower'],
    finds: [/^state machine: state machine safety|^process: store-2 ended|^state machine: store-2/],
  },
];

describe('the checkers of real processes find what is planted', function () {
  this.timeout(120_000);

  // One after another: three groups at once are nine processes, which a slow machine does not carry in the time they have.
  for (const expectation of expectations) {
    it(expectation.title, async () => {
      const { violations } = await played(expectation);
      for (const expected of expectation.finds) {
        assert.ok(
          violations.some((violation) => expected.test(violation)),
          `nothing like ${expected} in\n${violations.join('\n')}`,
        );
      }
    });
  }
});

async function played({ options, faults }: Expectation): Promise<Verdict> {
  const round = await Round.begin({ seed: 1, ...options });
  try {
    return await round.play(faults.map(faultNamed));
  } finally {
    await round.end();
  }
}
