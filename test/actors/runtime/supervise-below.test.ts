/** A supervision tree that an actor starts below itself, as a leader does. */
import { strict as assert } from 'node:assert';
import type { ActorContext, ChildSpec, Message, SupervisorSpec } from '../../../actors/runtime/index.js';
import { actor, simWorld } from './world.js';

interface GaveUp extends Message {
  readonly type: 'GaveUp';
  readonly why: string;
}

const tree = (children: readonly ChildSpec[]): SupervisorSpec => ({
  id: 'leading',
  strategy: 'one-for-one',
  intensity: { maxRestarts: 2, windowMs: 10_000 },
  backoff: { minMs: 1, maxMs: 2, resetAfterMs: 10_000 },
  children,
});

describe('supervision tree below an actor', () => {
  function begin() {
    const world = simWorld(1);
    const log: string[] = [];
    let context: ActorContext<GaveUp> | undefined;
    const child: ChildSpec = {
      id: 'worker',
      start: () =>
        actor<never>(() => {}, {
          initial: () => void log.push('started'),
          stopped: (_state, reason) => void log.push(`stopped ${reason}`),
        }),
    };
    let handle: { stop(): Promise<void> } | undefined;
    const system = world.system();
    system.spawn<GaveUp>({
      id: 'leader',
      start: () =>
        actor<GaveUp>((message) => void log.push(message.why), {
          initial: (ctx) => {
            context = ctx;
            handle = ctx.supervise(tree([child]), (error) => ({ type: 'GaveUp', why: error.message }));
          },
        }),
    });
    return { world, system, log, ctx: () => context!, handle: () => handle! };
  }

  it('runs under the path of its actor and stops when told to', async () => {
    const { world, system, log, ctx, handle } = begin();
    await world.until(() => log.length === 1);
    assert.equal(system.tree()[0]?.children[0]?.children[0]?.path, '/leader/leading/worker');
    await world.settled(handle().stop());
    assert.deepEqual(log, ['started', 'stopped shutdown']);
    assert.equal(system.tree()[0]?.children.length, 0);
    ctx().supervise(tree([]), (error) => ({ type: 'GaveUp', why: error.message }));
    await world.end();
  });

  it('tells its actor once when it gives up, with its children stopped', async () => {
    const { world, system, log } = begin();
    for (let crashes = 1; crashes <= 3; crashes += 1) {
      await world.until(() => log.filter((line) => line === 'started').length === crashes);
      system.crash('/leader/leading/worker', 'on purpose');
    }
    await world.until(() => log.some((line) => line.includes('gives up')));
    await world.quiet();
    assert.equal(log.filter((line) => line.includes('gives up')).length, 1);
    assert.equal(log.filter((line) => line === 'stopped crash').length, 3);
    assert.equal(system.tree()[0]?.state, 'running');
    await world.end();
  });

  it('ends with its actor', async () => {
    const { world, system, log } = begin();
    await world.until(() => log.length === 1);
    system.crash('/leader', 'on purpose');
    await world.until(() => log.includes('stopped shutdown'));
    await world.end();
  });
});
