/** What every engine must do: messages, order, asks, callbacks, causes, dead letters. */
import { strict as assert } from 'node:assert';
import { type ActorRef, actorRef, AskError, type Message } from '../../../actors/runtime/index.js';
import { nodeId, type NodeId } from '../../../transport/index.js';
import { actor, type World, type WorldMaker } from './world.js';

interface Add extends Message {
  readonly type: 'Add';
  readonly n: number;
}
interface Get extends Message {
  readonly type: 'Get';
  readonly replyTo: ActorRef<Total>;
}
interface Total extends Message {
  readonly type: 'Total';
  readonly n: number;
}
type CounterMessage = Add | Get;

const counter = {
  id: 'counter',
  start: () => ({
    initial: () => 0,
    receive: (
      state: unknown,
      message: CounterMessage,
      ctx: { tell: (r: ActorRef<Total>, m: Total) => void },
    ) => {
      if (message.type === 'Add') return (state as number) + message.n;
      ctx.tell(message.replyTo, { type: 'Total', n: state as number });
      return state;
    },
  }),
};

const get = (replyTo: ActorRef<Total>): Get => ({ type: 'Get', replyTo });

async function rejection(promise: Promise<unknown>): Promise<AskError> {
  const error = await promise.then(
    () => assert.fail('did not reject'),
    (e: unknown) => e,
  );
  assert(error instanceof AskError, String(error));
  return error;
}

export function systemSuite(name: string, make: WorldMaker): void {
  describe(`actor system on ${name}`, () => {
    let world: World;
    beforeEach(() => {
      world = make();
    });
    afterEach(() => world.end());

    it('handles messages one after another in the order of their sending', async () => {
      const system = world.system();
      const ref = system.spawn(counter);
      for (let n = 1; n <= 200; n++) system.tell(ref, { type: 'Add', n });
      const reply = await world.settled(system.ask(ref, get, { timeoutMs: 1000 }));
      assert.deepEqual(reply, { type: 'Total', n: 20100 });
    });

    it('handles one message at a time, also when a handler waits', async () => {
      const system = world.system();
      const seen: string[] = [];
      const ref = system.spawn<Add>({
        id: 'slow',
        start: () =>
          actor(async (message, ctx) => {
            seen.push(`begin ${message.n}`);
            await new Promise<void>((resolve) => ctx.env.clock.setTimer(2, resolve));
            seen.push(`end ${message.n}`);
          }),
      });
      system.tell(ref, { type: 'Add', n: 1 });
      system.tell(ref, { type: 'Add', n: 2 });
      await world.until(() => seen.length === 4);
      assert.deepEqual(seen, ['begin 1', 'end 1', 'begin 2', 'end 2']);
    });

    it('asks an actor of another node', async () => {
      const [a, b] = [world.system('a'), world.system('b')];
      const ref = b.spawn(counter);
      a.tell(ref, { type: 'Add', n: 7 });
      const reply = await world.settled(a.ask(ref, get, { timeoutMs: 1000 }));
      assert.equal(reply.n, 7);
    });

    it('gives an ask a timeout, after which the outcome is unknown', async () => {
      const system = world.system();
      const ref = system.spawn<Get>({ id: 'mute', start: () => actor(() => {}) });
      const error = await rejection(world.settled(system.ask(ref, get, { timeoutMs: 20 })));
      assert.deepEqual([error.code, error.definite], ['Timeout', false]);
    });

    it('rejects an ask of an unknown actor at once, definitely', async () => {
      const [a, b] = [world.system('a'), world.system('b')];
      for (const node of [a.node, b.node]) {
        const ref = actorRef<Get>(node, '/nobody');
        const error = await rejection(world.settled(a.ask(ref, get, { timeoutMs: 60_000 })));
        assert.deepEqual([error.code, error.definite], ['Dead', true]);
      }
      assert.equal(a.deadLetters[0]?.envelope.kind, 'Get');
      assert(world.journal.events().some((e) => e.type === 'dead' && e.node === b.node));
    });

    it('rejects an ask at once when the asked actor crashes, here and elsewhere', async () => {
      const [a, b] = [world.system('a'), world.system('b')];
      for (const owner of [a, b]) {
        const ref = owner.spawn<Get>({
          id: 'fragile',
          start: () =>
            actor(() => {
              throw new Error('boom');
            }),
        });
        const error = await rejection(world.settled(a.ask(ref, get, { timeoutMs: 60_000 })));
        assert.deepEqual([error.code, error.definite], ['Dead', false]);
      }
    });

    it('rejects an ask at once when the node of the asked actor is lost', async () => {
      const [a, b] = [world.system('a'), world.system('b')];
      const ref = b.spawn<Get>({ id: 'mute', start: () => actor(() => {}) });
      const asked = a.ask(ref, get, { timeoutMs: 60_000 });
      asked.catch(() => {});
      await world.until(() =>
        world.journal.events().some((e) => e.type === 'handled' && e.actor === '/mute'),
      );
      world.network.cut(b.node, 'timeout');
      const error = await rejection(world.settled(asked));
      assert.deepEqual([error.code, error.definite], ['Unreachable', false]);
    });

    it('rejects an ask of a node that cannot be reached, definitely', async () => {
      const system = world.system();
      const ref = actorRef<Get>(nodeId('nowhere'), '/counter');
      const error = await rejection(world.settled(system.ask(ref, get, { timeoutMs: 60_000 })));
      assert.deepEqual([error.code, error.definite], ['Unreachable', true]);
    });

    it('refuses messages beyond the depth of a mailbox and says so', async () => {
      const system = world.system();
      const [a] = [world.system('a')];
      const ref = system.spawn<Get>({ id: 'small', mailboxDepthMax: 2, start: () => actor(() => {}) });
      for (let i = 0; i < 2; i++) system.tell(ref, get(actorRef(system.node, '/x')));
      const error = await rejection(world.settled(system.ask(ref, get, { timeoutMs: 60_000 })));
      assert.deepEqual([error.code, error.definite], ['Refused', true]);
      assert(world.journal.events().some((e) => e.type === 'drop' && e.reason === 'mailbox-full'));
      assert.equal(system.deadLetterCount, 1);
      assert.equal(a.deadLetterCount, 0);
    });

    it('a message that is refused is counted, on record with the reason, and its asker is told', async () => {
      const [a, b] = [world.system('a'), world.system('b')];
      const reader = actor<Get>((_, ctx) => ctx.refuse('it has no number'));
      const ref = b.spawn<Get>({ id: 'reader', start: () => reader });
      const error = await rejection(world.settled(a.ask(ref, get, { timeoutMs: 60_000 })));
      assert.deepEqual([error.code, error.definite], ['Refused', true]);
      const callback = b.callback<Add>('stream', () => b.refuse('it has no number either'));
      a.tell(callback.ref, { type: 'Add', n: 1 });
      await world.until(() => b.deadLetterCount === 2);
      const drops = world.journal.events().filter(({ type, node }) => type === 'drop' && node === b.node);
      assert.deepEqual(
        drops.map(({ kind, reason, detail }) => [kind, reason, detail]),
        [
          ['Get', 'malformed', { why: 'it has no number' }],
          ['Add', 'malformed', { why: 'it has no number either' }],
        ],
      );
    });

    it('other nodes write to its doors and to nobody else, and are answered and told of ends all the same', async () => {
      const [a, b] = [world.system('a'), world.system('b', 1, ['/door'])];
      const door = b.spawn({ ...counter, id: 'door' });
      const inner = b.spawn(counter);
      assert.deepEqual(await world.settled(a.ask(door, get, { timeoutMs: 1000 })), { type: 'Total', n: 0 });
      const error = await rejection(world.settled(a.ask(inner, get, { timeoutMs: 60_000 })));
      assert.deepEqual([error.code, error.definite], ['Refused', true]);
      assert.deepEqual(
        b.deadLetters.map(({ envelope, reason }) => [envelope.toPath, reason]),
        [['/counter', 'no-door']],
      );
      assert.deepEqual(await world.settled(b.ask(inner, get, { timeoutMs: 1000 })), { type: 'Total', n: 0 });
      const far = a.spawn(counter);
      assert.deepEqual(await world.settled(b.ask(far, get, { timeoutMs: 1000 })), { type: 'Total', n: 0 });
    });

    it('delivers to callbacks in a later turn, in order, until they are closed', async () => {
      const system = world.system();
      const seen: [number, NodeId][] = [];
      const callback = system.callback<Add>('stream', (message, sender) =>
        seen.push([message.n, sender.node]),
      );
      system.tell(callback.ref, { type: 'Add', n: 1 });
      system.tell(callback.ref, { type: 'Add', n: 2 });
      assert.deepEqual(seen, []);
      await world.until(() => seen.length === 2);
      assert.deepEqual(seen, [
        [1, system.node],
        [2, system.node],
      ]);
      callback.close();
      system.tell(callback.ref, { type: 'Add', n: 3 });
      await world.quiet();
      assert.equal(seen.length, 2);
      assert.equal(system.deadLetterCount, 1);
    });

    it('carries the cause through asynchronous handlers, over nodes, in one trace', async () => {
      const [a, b] = [world.system('a'), world.system('b')];
      const target = b.spawn(counter);
      const ref = a.spawn<Add>({
        id: 'relay',
        start: () =>
          actor(async (message, ctx) => {
            await ctx.ask(target, get, { timeoutMs: 1000 });
            a.tell(target, message);
          }),
      });
      const cause = { trace: '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01' as never };
      a.withCause(cause, () => a.tell(ref, { type: 'Add', n: 1 }));
      await world.until(() =>
        world.journal.events().some((e) => e.type === 'handled' && e.kind === 'Add' && e.node === b.node),
      );
      const sends = world.journal
        .events()
        .filter((e) => e.type === 'send' && ['Add', 'Get', 'Total'].includes(e.kind ?? ''));
      assert.deepEqual(
        sends.map((e) => e.kind),
        ['Add', 'Get', 'Total', 'Add'],
      );
      assert(sends.every((e) => e.trace === cause.trace));
      const [outer, ask, reply, inner] = sends;
      assert.equal(outer?.cause, undefined);
      assert.equal(ask?.cause, outer?.id);
      assert.equal(reply?.cause, ask?.id);
      assert.equal(inner?.cause, outer?.id);
      assert(
        outer!.lamport < ask!.lamport && ask!.lamport < reply!.lamport && reply!.lamport < inner!.lamport,
      );
    });

    it('knows the sender of the message being handled, and none outside', async () => {
      const [a, b] = [world.system('a'), world.system('b')];
      let seen: unknown;
      const ref = b.spawn<Add>({
        id: 'listener',
        start: () =>
          actor(async () => {
            await Promise.resolve();
            seen = b.sender();
          }),
      });
      const relay = a.spawn<Add>({
        id: 'relay',
        start: () => actor((message, ctx) => ctx.tell(ref, message)),
      });
      a.tell(relay, { type: 'Add', n: 1 });
      await world.until(() => seen !== undefined);
      assert.deepEqual(seen, { node: 'a', path: '/relay' });
      assert.equal(b.sender(), undefined);
    });

    it('obeys a stop before the messages that wait', async () => {
      const system = world.system();
      let handled = 0;
      let stopped = false;
      const ref = system.spawn<Add>({
        id: 'busy',
        start: () =>
          actor(
            async (_message, ctx) => {
              handled += 1;
              await new Promise<void>((resolve) => ctx.env.clock.setTimer(2, resolve));
            },
            { stopped: () => void (stopped = true) },
          ),
      });
      for (let n = 0; n < 500; n++) system.tell(ref, { type: 'Add', n });
      await world.until(() => handled === 1);
      await world.settled(system.stop());
      assert(stopped);
      assert.equal(handled, 1);
      assert.equal(system.deadLetterCount, 499);
    });

    it('lets others have their turn beside an actor that talks to itself', async () => {
      const system = world.system();
      let [own, other] = [0, 0];
      const self = system.spawn<Add>({
        id: 'self',
        start: () =>
          actor((message, ctx) => {
            own += 1;
            if (other === 0) ctx.tell(ctx.self, message);
          }),
      });
      const patient = system.spawn<Add>({ id: 'patient', start: () => actor(() => void (other = 1)) });
      system.tell(self, { type: 'Add', n: 1 });
      await world.until(() => own > 0);
      system.tell(patient, { type: 'Add', n: 1 });
      await world.until(() => other === 1);
    });

    it('silences a handler that was abandoned when its actor crashed', async () => {
      const system = world.system();
      const told: number[] = [];
      const listener = system.spawn<Add>({
        id: 'listener',
        start: () => actor(({ n }) => void told.push(n)),
      });
      let outcome: unknown;
      const ref = system.spawn<Add>({
        id: 'ghost',
        restart: 'temporary',
        start: () =>
          actor(async (message, ctx) => {
            await new Promise<void>((resolve) => ctx.env.clock.setTimer(20, resolve));
            ctx.tell(listener, message);
            outcome = await ctx.ask(listener, get as never, { timeoutMs: 10 }).catch((e: unknown) => e);
          }),
      });
      system.tell(ref, { type: 'Add', n: 1 });
      await world.until(() =>
        world.journal.events().some((e) => e.type === 'handle' && e.actor === '/ghost'),
      );
      system.crash('/ghost', 'the test says so');
      await world.until(() => outcome !== undefined);
      assert(outcome instanceof AskError && outcome.definite);
      assert.deepEqual(told, []);
      assert(world.journal.events().some((e) => e.kind === 'told-after-end'));
    });

    it('records the throw of a callback, closes it, and goes on', async () => {
      const system = world.system();
      const callback = system.callback('stream', () => {
        throw new Error('bad callback');
      });
      system.tell(callback.ref, { type: 'Any' });
      await world.until(() => world.journal.events().some((e) => e.type === 'crash'));
      system.tell(callback.ref, { type: 'Any' });
      await world.quiet();
      assert.equal(system.deadLetterCount, 1);
      assert.equal(world.journal.events().find((e) => e.type === 'crash')?.reason, 'bad callback');
    });

    it('puts fault rules on record beside the messages they hit', () => {
      const system = world.system();
      const rule = { id: 'r1', from: ['n1'], to: ['*'], action: { type: 'drop', probability: 0.5 } } as const;
      system.faults.add(rule);
      system.faults.remove('r1');
      const faults = world.journal.events().filter((e) => e.type === 'fault');
      assert.deepEqual(
        faults.map(({ kind, reason, detail }) => [kind, reason, detail?.['rule'], detail?.['probability']]),
        [
          ['applied', 'drop', 'r1', 0.5],
          ['healed', 'drop', 'r1', 0.5],
        ],
      );
    });

    it('refuses what is no control message of this runtime', async () => {
      const [a, b] = [world.system('a'), world.system('b')];
      a.tell(actorRef(b.node, '/system'), { type: 'Watch' });
      a.tell(actorRef(b.node, '/system'), { type: 'Format' });
      const refused = () => world.journal.events().filter((e) => e.reason === 'unknown-control').length;
      await world.until(() => refused() === 2);
    });

    it('drops expired requests before they are handled', async () => {
      const system = world.system();
      let handled = 0;
      const ref = system.spawn<Get>({
        id: 'slow',
        start: () =>
          actor(async (_message, ctx) => {
            handled += 1;
            await new Promise<void>((resolve) => ctx.env.clock.setTimer(30, resolve));
          }),
      });
      const asks = [1, 2].map(() => rejection(system.ask(ref, get, { timeoutMs: 10 })));
      await world.settled(Promise.all(asks));
      await world.until(() =>
        world.journal.events().some((e) => e.type === 'drop' && e.reason === 'expired'),
      );
      assert.equal(handled, 1);
    });
  });
}
