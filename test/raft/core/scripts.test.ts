/**
 * Golden scripts: each file in `scripts/` is a play in plain words. A command, `----`, and everything that
 * happens then. Run with REWRITE=1 to write what happens now into the files, then read the difference.
 */
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Script } from './script.js';

// The scripts stay in the source tree: from dist/test/raft/core up to the root and down again.
const folder = fileURLToPath(new URL('../../../../test/raft/core/scripts/', import.meta.url));

describe('raft core, golden scripts', () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
    it(file.replace('.txt', '').replaceAll('-', ' '), () => {
      const path = folder + file;
      const before = readFileSync(path, 'utf8');
      const after = play(before);
      if (process.env['REWRITE'] === '1') writeFileSync(path, after);
      else assert.equal(after, before);
    });
  }
});

/** The same script with the output of each command as it is now. */
function play(source: string): string {
  const script = new Script();
  const blocks: string[] = [];
  for (const block of source.trimEnd().split(/\n\n+/)) {
    const lines = block.split('\n');
    const command = lines.find((line) => !line.startsWith('#') && line !== '----');
    const comments = lines.filter((line) => line.startsWith('#'));
    if (command === undefined) {
      blocks.push(block);
      continue;
    }
    const output = script.run(command);
    blocks.push([...comments, command, '----', ...(output.length === 0 ? ['ok'] : output)].join('\n'));
  }
  return `${blocks.join('\n\n')}\n`;
}
