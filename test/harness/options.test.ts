import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What is wrong, and what the one line about it says. */
const mistakes: readonly (readonly [tool: string, args: readonly string[], says: RegExp])[] = [
  [
    'sim/raft/main.js',
    ['--seeds', 'many'],
    /'--seeds <n>' .*'many' is invalid. it must be a whole number, 1 or more/,
  ],
  ['sim/raft/main.js', ['--seed', '1', '--bug', 'none'], /it must be one of .*ack-before-fsync/],
  ['sim/raft/main.js', ['--faults', 'crash,splt'], /it must be one of .*split/],
  [
    'faults/store/main.js',
    ['--faults', 'kill-leader+kil-all'],
    /there is no fault kil-all; there are .*kill-all/,
  ],
  ['faults/store/main.js', ['--minutes', '-1'], /it must be a number from 0 to 100000/],
  ['conformance/etcd-diff/main.js', ['--steps', '0'], /it must be a whole number, 1 or more/],
  ['soak/soak.js', ['--steps', 'objects,pod'], /it must be one of .*pods/],
  ['bench/bench.js', ['stor'], /no benchmark is called stor; there are .*store-grpc/],
  ['bench/bench.js', ['--client', 'heavy'], /it must be one of node, light/],
  ['bench/bench.js', ['--second', '3'], /unknown option '--second'/],
];

describe('the tools for developers', () => {
  for (const [tool, args, says] of mistakes) {
    it(`end with one line about what is wrong: ${tool} ${args.join(' ')}`, () => {
      const path = fileURLToPath(new URL(`../${tool}`, import.meta.url));
      const { status, stderr, stdout } = spawnSync(process.execPath, [path, ...args], { encoding: 'utf8' });
      assert.match(stderr, says);
      assert.equal(
        stderr
          .trim()
          .split('\n')
          .filter((line) => !line.startsWith('(Did you mean')).length,
        1,
        stderr,
      );
      assert.equal(stdout, '');
      assert.equal(status, 1);
    });
  }
});
