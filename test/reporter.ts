/**
 * Mocha's spec output, closed by the one line that every CI can read: `N passed, N failed, N skipped`.
 */
import mocha, { type Runner, type MochaOptions } from 'mocha';

class Reporter extends mocha.reporters.Spec {
  constructor(runner: Runner, options: MochaOptions) {
    super(runner, options);
    // Spec prints its epilogue on the same event; ours is registered later and so comes last.
    runner.once('end', () => {
      const { passes = 0, failures = 0, pending = 0 } = this.stats ?? {};
      process.stdout.write(`${passes} passed, ${failures} failed, ${pending} skipped\n`);
    });
  }
}

// Mocha loads a reporter by its default export.
export { Reporter as default };
