import { strict as assert } from 'node:assert';
import { Frame, Frames } from '../../../actors/runtime/frame.js';
import type { TraceParent } from '../../../transport/index.js';

const cause = { trace: '00-1-1-01' as TraceParent };

describe('frames', () => {
  it('of a system with a journal follow promises, and are nothing to another system', async () => {
    const [owner, other] = [{}, {}];
    const [frames, others] = [new Frames(owner, true), new Frames(other, true)];
    const frame = new Frame(owner, '/a', cause, undefined);
    const seen = await frames.run(frame, async () => {
      const before = frames.current;
      await Promise.resolve();
      return [before, frames.current, others.current];
    });
    assert.deepEqual(seen, [frame, frame, undefined]);
    assert.equal(frames.current, undefined);
  });

  it('of a system without one are known until the first await, and cost no promise anything', async () => {
    const owner = {};
    const frames = new Frames(owner, false);
    const frame = new Frame(owner, '/a', cause, undefined);
    const seen = await frames.run(frame, async () => {
      const before = frames.current;
      await Promise.resolve();
      return [before, frames.current];
    });
    assert.deepEqual(seen, [frame, undefined]);
  });

  it('of a system without one are those of the innermost handler, also when it throws', () => {
    const owner = {};
    const frames = new Frames(owner, false);
    const [outer, inner] = ['/outer', '/inner'].map((path) => new Frame(owner, path, cause, undefined));
    frames.run(outer, () => {
      assert.throws(() => frames.run(inner, () => assert.equal(frames.current, outer)));
      assert.equal(
        frames.run(inner, () => frames.current),
        inner,
      );
      assert.equal(
        frames.run(undefined, () => frames.current),
        undefined,
      );
      assert.equal(frames.current, outer);
    });
  });
});
