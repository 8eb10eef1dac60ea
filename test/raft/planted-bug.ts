/**
 * Declares a regression: the test as it is, and the same with the bug that another store had planted into the real parts, which
 * must make it fail by what it asserts itself. An assertion of the parts that stumble over a clumsy plant proves nothing.
 */
import { strict as assert } from 'node:assert';

export function regression<P>(
  name: string,
  play: (plant: P | undefined) => void | Promise<void>,
  plant: P,
): void {
  it(name, () => play(undefined));
  it(`${name}: the planted bug is found`, async () => {
    const found = await outcome(async () => play(plant));
    assert(found instanceof assert.AssertionError, `with the bug it ended so: ${String(found)}`);
    assert.match(firstFrame(found), /\/test\//, 'not the test, but what it looks at');
  });
}

async function outcome(play: () => Promise<void>): Promise<unknown> {
  try {
    await play();
    return 'well';
  } catch (error) {
    return error;
  }
}

function firstFrame({ stack }: Error): string {
  return stack?.split('\n').find((line) => line.startsWith('    at ')) ?? '';
}
