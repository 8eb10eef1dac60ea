/** OTP's promises, on every engine. */
import { strict as assert } from 'node:assert';
import {
  type ActorRef,
  actorRef,
  type ChildSpec,
  formatTree,
  type Message,
  type RunningActorSystem,
  type SupervisorSpec,
} from '../../../actors/runtime/index.js';
import { actor, type World, type WorldMaker } from './world.js';

type Order = Message & { readonly type: 'Work' | 'Crash' | 'Stop' };

const quick: Pick<SupervisorSpec, 'intensity' | 'backoff'> = {
  intensity: { maxRestarts: 10, windowMs: 10_000 },
  backoff: { minMs: 1, maxMs: 5, resetAfterMs: 60_000 },
};

export function supervisionSuite(name: string, make: WorldMaker): void {
  describe(`supervision on ${name}`, () => {
    let world: World;
    let system: RunningActorSystem;
    let log: string[];
    beforeEach(() => {
      world = make();
      system = world.system();
      log = [];
    });
    afterEach(() => world.end());

    const worker = (id: string, more: Partial<ChildSpec<Order>> = {}): ChildSpec<never> =>
      ({
        id,
        start: () =>
          actor<Order>(
            (message, ctx) => {
              if (message.type === 'Crash') throw new Error(`${id} boom`);
              if (message.type === 'Stop') ctx.stop();
              else log.push(`${id} works`);
            },
            {
              initial: () => void log.push(`+${id}`),
              stopped: (_state, reason) => void log.push(`-${id} ${reason}`),
            },
          ),
        ...more,
      }) as unknown as ChildSpec<never>;

    const ref = (path: string): ActorRef<Order> => actorRef(system.node, path);
    const tell = (path: string, type: Order['type']) => system.tell(ref(path), { type });
    const supervise = (strategy: SupervisorSpec['strategy'], children: SupervisorSpec['children']) =>
      system.supervise({ id: 's', strategy, ...quick, children });
    const logged = (...entries: string[]) =>
      world.until(() => log.length >= entries.length).then(() => assert.deepEqual(log, entries));

    it('starts in order and stops in reverse order', async () => {
      supervise('one-for-one', [worker('a'), worker('b'), worker('c')]);
      await logged('+a', '+b', '+c');
      log = [];
      await world.settled(system.stop());
      assert.deepEqual(log, ['-c shutdown', '-b shutdown', '-a shutdown']);
    });

    it('starts a child only when the one before it has started', async () => {
      const slow: ChildSpec<never> = {
        id: 'slow',
        start: () =>
          actor(() => {}, {
            initial: async (ctx) => {
              await new Promise<void>((resolve) => ctx.env.clock.setTimer(10, resolve));
              log.push('+slow');
            },
          }),
      };
      supervise('one-for-one', [slow, worker('b')]);
      await logged('+slow', '+b');
    });

    it('one-for-one restarts only the child that crashed, under its path', async () => {
      supervise('one-for-one', [worker('a'), worker('b')]);
      await world.until(() => log.length === 2);
      tell('/s/a', 'Crash');
      tell('/s/a', 'Work');
      await logged('+a', '+b', '-a crash', '+a', 'a works');
    });

    it('rest-for-one restarts the crashed child and those after it', async () => {
      supervise('rest-for-one', [worker('a'), worker('b'), worker('c')]);
      await world.until(() => log.length === 3);
      tell('/s/b', 'Crash');
      await logged('+a', '+b', '+c', '-b crash', '-c shutdown', '+b', '+c');
    });

    it('all-for-one restarts all, last stopped first', async () => {
      supervise('all-for-one', [worker('a'), worker('b'), worker('c')]);
      await world.until(() => log.length === 3);
      tell('/s/b', 'Crash');
      await logged('+a', '+b', '+c', '-b crash', '-c shutdown', '-a shutdown', '+a', '+b', '+c');
    });

    it('all-for-one does not bring a temporary child back', async () => {
      supervise('all-for-one', [worker('a'), worker('t', { restart: 'temporary' })]);
      await world.until(() => log.length === 2);
      tell('/s/a', 'Crash');
      await logged('+a', '+t', '-a crash', '-t shutdown', '+a');
      assert.doesNotMatch(formatTree(system.tree()), / t /);
    });

    it('restarts a permanent child that stopped, not a transient one', async () => {
      supervise('one-for-one', [worker('p'), worker('t', { restart: 'transient' })]);
      await world.until(() => log.length === 2);
      tell('/s/p', 'Stop');
      await logged('+p', '+t', '-p normal', '+p');
      tell('/s/t', 'Stop');
      await logged('+p', '+t', '-p normal', '+p', '-t normal');
      tell('/s/t', 'Work');
      await world.quiet();
      assert.equal(system.deadLetterCount, 1);
      assert.equal(log.length, 5);
    });

    it('restarts a transient child that crashed, never a temporary one', async () => {
      supervise('one-for-one', [
        worker('t', { restart: 'transient' }),
        worker('x', { restart: 'temporary' }),
      ]);
      await world.until(() => log.length === 2);
      tell('/s/x', 'Crash');
      await world.until(() => log.length === 3);
      tell('/s/t', 'Crash');
      await logged('+t', '+x', '-x crash', '-t crash', '+t');
    });

    it('gives up beyond its intensity; at the top that ends the system with the cause', async () => {
      system.supervise({
        id: 's',
        strategy: 'one-for-one',
        intensity: { maxRestarts: 2, windowMs: 60_000 },
        backoff: quick.backoff,
        children: [worker('other'), worker('a')],
      });
      for (let n = 0; n < 3; n++) tell('/s/a', 'Crash');
      const error = await world.settled(system.whenFailed);
      assert.match(
        error.message,
        /supervisor \/s gives up: more than 2 restarts within 60000 ms.*\/s\/a: a boom/,
      );
      assert.equal((error.cause as Error).message, 'a boom');
      await world.settled(system.stop());
      assert.equal(log.filter((entry) => entry === '+a').length, 3);
      assert.equal(log.at(-1), '-other shutdown');
    });

    it('escalates: a supervisor that gave up is restarted by its parent with all its children', async () => {
      system.supervise({
        id: 'top',
        strategy: 'one-for-one',
        ...quick,
        children: [
          {
            id: 'inner',
            strategy: 'one-for-one',
            intensity: { maxRestarts: 0, windowMs: 1000 },
            backoff: quick.backoff,
            children: [worker('a'), worker('b', { restart: 'temporary' })],
          },
          worker('c'),
        ],
      });
      await world.until(() => log.length === 3);
      tell('/top/inner/b', 'Crash');
      await world.until(() => log.length === 4);
      tell('/top/inner/a', 'Crash');
      await logged('+a', '+b', '+c', '-b crash', '-a crash', '+a', '+b');
      const inner = system.tree()[0]?.children[0];
      assert.deepEqual([inner?.restarts, inner?.state], [1, 'running']);
    });

    it('counts a crash in `initial` as a crash', async () => {
      let starts = 0;
      const flaky: ChildSpec<never> = {
        id: 'flaky',
        start: () =>
          actor(() => {}, {
            initial: () => {
              starts += 1;
              if (starts < 3) throw new Error('not yet');
              log.push('+flaky');
            },
          }),
      };
      supervise('one-for-one', [flaky]);
      await logged('+flaky');
      assert.equal(starts, 3);
      assert.equal(world.journal.events().filter((e) => e.type === 'crash').length, 2);
    });

    it('keeps messages for a child that is backing off, up to its mailbox depth', async () => {
      system.supervise({
        id: 's',
        strategy: 'one-for-one',
        intensity: quick.intensity,
        backoff: { minMs: 50, maxMs: 50, resetAfterMs: 1000 },
        children: [worker('a', { mailboxDepthMax: 2 })],
      });
      tell('/s/a', 'Crash');
      await world.until(() => log.includes('-a crash'));
      for (let n = 0; n < 3; n++) tell('/s/a', 'Work');
      assert.equal(system.deadLetterCount, 1);
      assert.match(formatTree(system.tree()), /a \(backing-off, mailbox 2\)/);
      await logged('+a', '-a crash', '+a', 'a works', 'a works');
    });

    it('crashes an actor on purpose, also one whose handler never ends', async () => {
      const stuck: ChildSpec<never> = {
        id: 'stuck',
        start: () =>
          actor<Order>((message) => (log.push(message.type), new Promise<void>(() => {})), {
            initial: () => void log.push('+stuck'),
          }) as never,
      };
      supervise('one-for-one', [stuck]);
      tell('/s/stuck', 'Work');
      await logged('+stuck', 'Work');
      assert.equal(system.crash('/s/stuck', 'the test says so'), true);
      await logged('+stuck', 'Work', '+stuck');
      assert.equal(system.crash('/s/nobody', 'the test says so'), false);
      const crash = world.journal.events().find((e) => e.type === 'crash');
      assert.equal(crash?.reason, 'crashed on purpose: the test says so');
    });

    it('abandons an actor that does not stop within shutdownMs', async () => {
      const stuck = worker('stuck', { shutdownMs: 20 });
      const start = () =>
        actor<Order>(() => new Promise<void>(() => {}), { initial: () => void log.push('+stuck') });
      supervise('one-for-one', [{ ...stuck, start } as unknown as ChildSpec<never>]);
      tell('/s/stuck', 'Work');
      await logged('+stuck');
      await world.settled(system.stop());
      assert(world.journal.events().some((e) => e.type === 'stop' && e.actor === '/s/stuck'));
    });

    it('stops what an actor spawned before the actor itself, and when it crashes', async () => {
      const parent: ChildSpec<never> = {
        id: 'parent',
        start: () =>
          actor<Order>(
            (message, ctx) => {
              if (message.type === 'Crash') throw new Error('boom');
              ctx.spawn(worker('x'));
              ctx.spawn(worker('y'));
            },
            { stopped: (_state, reason) => void log.push(`-parent ${reason}`) },
          ) as never,
      };
      supervise('one-for-one', [parent]);
      tell('/s/parent', 'Work');
      tell('/s/parent/x', 'Work');
      await world.until(() => log.length === 2);
      tell('/s/parent', 'Crash');
      await logged('+x', '+y', '-y shutdown', '-x shutdown', '-parent crash');
    });

    it('spawned children are temporary, and only their parent may stop them', async () => {
      let refused: unknown;
      const parent: ChildSpec<never> = {
        id: 'parent',
        start: () =>
          actor<Order>((message, ctx) => {
            if (message.type === 'Work') {
              ctx.spawn(worker('x'));
              ctx.spawn(worker('y'));
              return;
            }
            ctx.stop(ref('/s/parent/y'));
            try {
              ctx.stop(ref('/s/other'));
            } catch (error) {
              refused = error;
            }
          }) as never,
      };
      supervise('one-for-one', [parent, worker('other')]);
      await logged('+other');
      tell('/s/parent', 'Work');
      await logged('+other', '+x', '+y');
      tell('/s/parent/x', 'Crash');
      await world.until(() => log.includes('-x crash'));
      tell('/s/parent', 'Stop');
      await logged('+other', '+x', '+y', '-x crash', '-y shutdown');
      await world.until(() => refused !== undefined);
      assert.match(String(refused), /no child of \/s\/parent/);
      assert.doesNotMatch(formatTree(system.tree()), / [xy] /);
    });

    it('prints the tree', async () => {
      supervise('rest-for-one', [
        worker('a'),
        { id: 'inner', strategy: 'all-for-one', ...quick, children: [worker('b')] },
      ]);
      system.spawn(worker('top'));
      await world.until(() => log.length === 3);
      await world.quiet();
      assert.equal(
        formatTree(system.tree()),
        [
          'kabuki://n1',
          '├─ s (rest-for-one, running)',
          '│  ├─ a (running)',
          '│  └─ inner (all-for-one, running)',
          '│     └─ b (running)',
          '└─ top (running)',
        ].join('\n'),
      );
    });

    it('refuses a path that exists and an id that is no path segment', () => {
      system.spawn(worker('a'));
      assert.throws(() => system.spawn(worker('a')), /kabuki:\/\/n1\/a exists already/);
      assert.throws(() => system.spawn(worker('a/b')), /actor id "a\/b" must be/);
    });
  });
}
