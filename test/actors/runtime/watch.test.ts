import { strict as assert } from 'node:assert';
import { actorRef, type Message } from '../../../actors/runtime/index.js';
import { watchSuite } from './watch.case.js';
import { actor, realWorld, simWorld } from './world.js';

watchSuite('nact', realWorld);
watchSuite('the simulator', simWorld);

describe('death watch over a network that loses letters', () => {
  for (const lost of ['Watch', 'Watching', 'Terminated']) {
    it(`still tells of the end when the first ${lost} is lost`, async () => {
      const world = simWorld(7);
      const [a, b] = [world.system('a'), world.system('b')];
      let losses = 0;
      world.network.lose = (envelope) => envelope.kind === lost && losses++ === 0;
      const seen: string[] = [];
      b.spawn<Message>({ id: 'target', restart: 'temporary', start: () => actor((_m, ctx) => ctx.stop()) });
      const ref = actorRef<Message>(b.node, '/target');
      a.spawn<Message>({
        id: 'watcher',
        start: () =>
          actor((message) => void seen.push(message.type), {
            initial: (ctx) => ctx.watch(ref, (reason) => ({ type: reason })),
          }),
      });
      await world.simulation.run(6000);
      a.tell(ref, { type: 'Stop' });
      await world.until(() => seen.length > 0);
      await world.simulation.run(world.simulation.nowMs + 60_000);
      assert(losses > 0);
      assert.deepEqual(seen, [lost === 'Terminated' ? 'not-found' : 'normal']);
      await world.end();
    });
  }

  it('tells of the end of a life although its path has a new one and the Terminated was lost', async () => {
    const world = simWorld(8);
    const [a, b] = [world.system('a'), world.system('b')];
    let losses = 0;
    world.network.lose = (envelope) => envelope.kind === 'Terminated' && losses++ === 0;
    const seen: string[] = [];
    const ref = b.spawn<Message>({ id: 'target', start: () => actor(() => {}) });
    a.spawn<Message>({
      id: 'watcher',
      start: () =>
        actor((message) => void seen.push(message.type), {
          initial: (ctx) => ctx.watch(ref, (reason) => ({ type: reason })),
        }),
    });
    await world.simulation.run(100);
    b.crash(ref.path, 'the test says so');
    await world.simulation.run(20_000);
    assert(losses > 0);
    assert.deepEqual(seen, ['not-found']);
    await world.end();
  });
});
