/** Death watch, timers and pipeToSelf: what an actor sets going and what becomes of it. */
import { strict as assert } from 'node:assert';
import {
  type ActorRef,
  actorRef,
  type Message,
  type RunningActorSystem,
  type TerminationReason,
} from '../../../actors/runtime/index.js';
import { nodeId } from '../../../transport/index.js';
import { actor, type World, type WorldMaker } from './world.js';

type Command =
  | { readonly type: 'Watch'; readonly ref: ActorRef<never> }
  | { readonly type: 'Unwatch'; readonly ref: ActorRef<never> }
  | { readonly type: 'Gone'; readonly path: string; readonly reason: TerminationReason };
type Order = Message & { readonly type: 'Work' | 'Crash' | 'Stop' };

const target = {
  id: 'target',
  start: () =>
    actor<Order>((message, ctx) => {
      if (message.type === 'Crash') throw new Error('boom');
      if (message.type === 'Stop') ctx.stop();
    }),
};

export function watchSuite(name: string, make: WorldMaker): void {
  describe(`death watch and timers on ${name}`, () => {
    let world: World;
    let a: RunningActorSystem;
    let b: RunningActorSystem;
    let seen: string[];
    let watcher: ActorRef<Command>;
    beforeEach(() => {
      world = make();
      [a, b] = [world.system('a'), world.system('b')];
      seen = [];
      watcher = a.spawn<Command>({
        id: 'watcher',
        start: () =>
          actor((message, ctx) => {
            if (message.type === 'Gone') seen.push(`${message.path} ${message.reason}`);
            else if (message.type === 'Unwatch') ctx.unwatch(message.ref);
            else {
              const { path } = message.ref;
              ctx.watch(message.ref, (reason) => ({ type: 'Gone', path, reason }));
            }
          }),
      });
    });
    afterEach(() => world.end());

    const watch = (ref: ActorRef<never>) => a.tell(watcher, { type: 'Watch', ref });
    const handled = (kind: string, actorPath = '/watcher') =>
      world.until(() =>
        world.journal.events().some((e) => e.type === 'handled' && e.kind === kind && e.actor === actorPath),
      );
    const controlled = (kind: string) =>
      world.until(() => world.journal.events().some((e) => e.type === 'recv' && e.kind === kind));

    for (const [order, reason] of [
      ['Crash', 'crash'],
      ['Stop', 'normal'],
    ] as const) {
      it(`tells once that an actor of this node is gone (${reason})`, async () => {
        const ref = a.spawn<Order>({ ...target, restart: 'temporary' });
        watch(ref);
        await handled('Watch');
        a.tell(ref, { type: order });
        await world.until(() => seen.length > 0);
        await world.quiet();
        assert.deepEqual(seen, [`/target ${reason}`]);
      });

      it(`tells once that an actor of another node is gone (${reason})`, async () => {
        const ref = b.spawn<Order>({ ...target, restart: 'temporary' });
        watch(ref);
        await controlled('Watching');
        a.tell(ref, { type: order });
        await world.until(() => seen.length > 0);
        world.network.cut(b.node, 'timeout');
        await world.quiet();
        assert.deepEqual(seen, [`/target ${reason}`]);
      });
    }

    it('fires for each life: a crash that a supervisor mends is told, the new life is not watched', async () => {
      const ref = a.spawn(target);
      watch(ref);
      await handled('Watch');
      a.tell(ref, { type: 'Crash' });
      await world.until(() => seen.length === 1);
      a.tell(ref, { type: 'Crash' });
      await world.until(() => world.journal.events().filter((e) => e.type === 'restart').length === 2);
      assert.deepEqual(seen, ['/target crash']);
    });

    it('answers for actors that never existed, here and elsewhere', async () => {
      watch(actorRef(a.node, '/nobody'));
      watch(actorRef(b.node, '/no-one'));
      await world.until(() => seen.length === 2);
      assert.deepEqual(seen, ['/nobody not-found', '/no-one not-found']);
    });

    it('answers for nodes that cannot be reached', async () => {
      watch(actorRef(nodeId('nowhere'), '/target'));
      await world.until(() => seen.length === 1);
      assert.deepEqual(seen, ['/target unreachable']);
    });

    it('takes the loss of a node for the end of all its actors, once', async () => {
      const refs = [b.spawn(target), b.spawn({ ...target, id: 'target-2' })];
      refs.forEach(watch);
      let down = 0;
      a.onNodeDown(b.node, () => (down += 1));
      const stop = a.onNodeDown(b.node, () => assert.fail('stopped listening'));
      stop();
      await controlled('Watching');
      world.network.cut(b.node, 'timeout');
      await world.until(() => seen.length === 2);
      await world.quiet();
      assert.deepEqual(seen, ['/target unreachable', '/target-2 unreachable']);
      assert.equal(down, 1);
    });

    it('says nothing after unwatch, even when the news is on its way', async () => {
      const ref = b.spawn(target);
      watch(ref);
      await controlled('Watching');
      a.tell(watcher, { type: 'Unwatch', ref });
      a.tell(ref, { type: 'Crash' });
      await controlled('Unwatch');
      await world.until(() => world.journal.events().some((e) => e.type === 'restart'));
      await world.quiet();
      assert.deepEqual(seen, []);
    });

    it('watches a callback: its end tells the other side that nobody listens any more', async () => {
      const callback = b.callback('stream', () => {});
      watch(callback.ref);
      await controlled('Watching');
      callback.close();
      await world.until(() => seen.length === 1);
      assert.match(seen[0] ?? '', /^\/stream\/1-1 normal$/);
    });

    it('delivers a timer once, the later of two of one name, and none that was cancelled', async () => {
      const fired: string[] = [];
      type Tick = Message & { readonly type: 'Tick' | 'Old' | 'New' | 'Never' };
      a.spawn<Tick>({
        id: 'clockwork',
        start: () =>
          actor(
            (message, ctx) => {
              fired.push(message.type);
              if (message.type === 'Tick') ctx.cancelTimer('never');
            },
            {
              initial: (ctx) => {
                ctx.setTimer('x', 1, { type: 'Old' });
                ctx.setTimer('x', 10, { type: 'New' });
                ctx.setTimer('tick', 2, { type: 'Tick' });
                ctx.setTimer('never', 6, { type: 'Never' });
              },
            },
          ),
      });
      await world.until(() => fired.includes('New'));
      assert.deepEqual(fired, ['Tick', 'New']);
    });

    it('does not deliver a timer that was cancelled or replaced while it waited in the mailbox', async () => {
      const fired: string[] = [];
      type Tick = Message & { readonly type: 'Begin' | 'Cancelled' | 'Replaced' | 'Replacement' };
      const ref = a.spawn<Tick>({
        id: 'busy',
        start: () =>
          actor(async (message, ctx) => {
            fired.push(message.type);
            if (message.type !== 'Begin') return;
            ctx.setTimer('x', 1, { type: 'Cancelled' });
            ctx.setTimer('y', 1, { type: 'Replaced' });
            await new Promise<void>((resolve) => ctx.env.clock.setTimer(10, resolve));
            ctx.cancelTimer('x');
            ctx.setTimer('y', 1, { type: 'Replacement' });
          }),
      });
      a.tell(ref, { type: 'Begin' });
      await world.until(() => fired.length === 2);
      await world.quiet();
      assert.deepEqual(fired, ['Begin', 'Replacement']);
    });

    it('ends timers with the life that set them', async () => {
      const fired: number[] = [];
      let lives = 0;
      type Tick = { readonly type: 'Tick'; readonly life: number };
      const ref = a.spawn<Tick | Order>({
        id: 'mortal',
        start: () =>
          actor(
            (message) => {
              if (message.type === 'Crash') throw new Error('boom');
              if (message.type === 'Tick') fired.push(message.life);
            },
            {
              initial: (ctx) => {
                lives += 1;
                ctx.setTimer('tick', 20, { type: 'Tick', life: lives });
              },
            },
          ),
      });
      a.tell(ref, { type: 'Crash' });
      await world.until(() => fired.length > 0);
      assert.deepEqual(fired, [2]);
    });

    it('pipes the outcome of asynchronous work to the actor, with the cause of who began it', async () => {
      const results: string[] = [];
      type Step = { readonly type: 'Begin' } | { readonly type: 'Ended'; readonly how: string };
      const ref = a.spawn<Step>({
        id: 'worker',
        start: () =>
          actor((message, ctx) => {
            if (message.type === 'Ended') {
              results.push(message.how);
              return;
            }
            const later = new Promise<string>((resolve) => ctx.env.clock.setTimer(3, () => resolve('fine')));
            const outcome = (how: string): Step => ({ type: 'Ended', how });
            ctx.pipeToSelf(later, outcome, () => outcome('?'));
            ctx.pipeToSelf(
              Promise.reject(new Error('bad')),
              () => outcome('?'),
              (e) => outcome((e as Error).message),
            );
          }),
      });
      a.tell(ref, { type: 'Begin' });
      await world.until(() => results.length === 2);
      assert.deepEqual(results, ['bad', 'fine']);
      const begin = world.journal.events().find((e) => e.type === 'send' && e.kind === 'Begin');
      const ends = world.journal.events().filter((e) => e.type === 'send' && e.kind === 'Ended');
      assert.deepEqual(
        ends.map((e) => e.cause),
        [begin?.id, begin?.id],
      );
    });
  });
}
