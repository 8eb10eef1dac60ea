import { strict as assert } from 'node:assert';
import { RecentlySeen } from '../../../actors/runtime/index.js';

describe('recently seen', () => {
  it('tells a name that comes again, and forgets only what is long ago', () => {
    const seen = new RecentlySeen(100);
    for (let i = 0; i < 1_000; i += 1) {
      assert.equal(seen.again(`n${i}`), false);
      assert.equal(seen.again(`n${i}`), true);
      if (i >= 49) assert.equal(seen.again(`n${i - 49}`), true, `n${i - 49} after n${i}`);
    }
    assert.equal(seen.again('n0'), false);
  });
});
