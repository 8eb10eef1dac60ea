/** The simulated environment by itself, and a small world replayed. */
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import {
  type ActorRef,
  actorRef,
  type Message,
  NondeterminismError,
  seededRandom,
  Simulation,
  SimulationError,
} from '../../../actors/runtime/index.js';
import { nodeId, type NodeId } from '../../../transport/index.js';
import { SimWorld } from '../../sim/world.js';
import { actor, simWorld } from './world.js';

const n1 = nodeId('n1');

describe('the simulation', () => {
  it('runs events by time, and in the order of their planning when times are equal', async () => {
    const simulation = new Simulation({ seed: 1 });
    const { clock } = simulation.env(n1);
    const order: string[] = [];
    clock.setTimer(5, () => order.push('c'));
    clock.setTimer(2, () => order.push('a'));
    clock.setTimer(2, () => order.push('b'));
    clock.setTimer(3, () => order.push('never')).cancel();
    clock.defer(() => order.push('first'));
    await simulation.run(10);
    assert.deepEqual(order, ['first', 'a', 'b', 'c']);
    assert.equal(simulation.nowMs, 10);
  });

  it('lets all promise code run between two events', async () => {
    const simulation = new Simulation({ seed: 1 });
    const { clock } = simulation.env(n1);
    const order: string[] = [];
    clock.setTimer(1, () => {
      void (async () => {
        for (let i = 0; i < 50; i++) await Promise.resolve();
        await new Promise((resolve) => process.nextTick(resolve));
        order.push('promise');
      })();
    });
    clock.setTimer(1, () => order.push('event'));
    await simulation.run(2);
    assert.deepEqual(order, ['promise', 'event']);
  });

  it('stops when the predicate holds, and says why when it never will', async () => {
    const simulation = new Simulation({ seed: 1 });
    const { clock } = simulation.env(n1);
    let done = false;
    clock.setTimer(7, () => (done = true));
    await simulation.run(() => done);
    assert.equal(simulation.nowMs, 7);
    const codeOf = (error: unknown) => (error as SimulationError).code;
    await assert.rejects(
      simulation.run(() => false),
      (e) => codeOf(e) === 'Idle',
    );
    const again = () => clock.setTimer(1, again);
    again();
    await assert.rejects(
      simulation.run(() => false, { maxVirtualMs: 50 }),
      (e) => codeOf(e) === 'TooLong',
    );
    await assert.rejects(simulation.run(10_000, { maxEvents: 20 }), (e) => codeOf(e) === 'TooManyEvents');
  });

  it('gives each node a wall clock of its own, and one time that passes', async () => {
    const simulation = new Simulation({ seed: 1, wallOffsetMs: (node) => (node === n1 ? 250 : 0) });
    const [a, b] = [simulation.env(n1).clock, simulation.env(nodeId('n2')).clock];
    await simulation.run(1000);
    assert.equal(a.nowMs() - b.nowMs(), 250);
    assert.equal(b.nowMs(), Date.UTC(2026, 0, 1) + 1000);
    simulation.setWallOffset(n1, -5);
    assert.equal(a.nowMs() - b.nowMs(), -5);
    assert.equal(a.monotonicMs(), b.monotonicMs());
  });

  it('never runs what a killed node had planned; a new start has a new environment', async () => {
    const killed: NodeId[] = [];
    const simulation = new Simulation({ seed: 1, onKill: (node) => killed.push(node) });
    const before = simulation.env(n1);
    let events = 0;
    before.clock.setTimer(5, () => (events += 1));
    before.clock.defer(() => (events += 1));
    simulation.kill(n1);
    const after = simulation.env(n1);
    before.clock.setTimer(1, () => (events += 1));
    assert.notEqual(after, before);
    assert.notEqual(after.uuid(), before.uuid());
    after.clock.setTimer(6, () => (events += 100));
    await simulation.run(10);
    assert.equal(events, 100);
    assert.deepEqual(killed, [n1]);
  });

  it('holds back what comes due while a node is paused, and lets it happen in its order afterwards', async () => {
    const simulation = new Simulation({ seed: 1 });
    const { clock } = simulation.env(n1);
    const order: string[] = [];
    clock.setTimer(2, () => order.push(`a at ${clock.monotonicMs()}`));
    clock.setTimer(3, () => order.push(`b at ${clock.monotonicMs()}`));
    const cancelled = clock.setTimer(4, () => order.push('never'));
    clock.setTimer(9, () => order.push(`c at ${clock.monotonicMs()}`));
    simulation.pause(n1);
    await simulation.run(5);
    assert.deepEqual(order, []);
    cancelled.cancel();
    simulation.resume(n1);
    await simulation.run(10);
    assert.deepEqual(order, ['a at 5', 'b at 5', 'c at 9']);
  });

  it('forgets what a paused node had planned when it is killed', async () => {
    const simulation = new Simulation({ seed: 1 });
    simulation.env(n1).clock.setTimer(1, () => assert.fail('it is dead'));
    simulation.pause(n1);
    await simulation.run(2);
    simulation.kill(n1);
    simulation.resume(n1);
    await simulation.run(10);
    assert.equal(simulation.isPaused(n1), false);
  });

  it('makes chance by seed and node alone', () => {
    const draw = (seed: number, node: string) => {
      const env = new Simulation({ seed }).env(nodeId(node));
      return [env.random.next(), env.random.integer(1000), env.random.hex(5), env.uuid()];
    };
    assert.deepEqual(draw(1, 'a'), draw(1, 'a'));
    assert.notDeepEqual(draw(1, 'a'), draw(2, 'a'));
    assert.notDeepEqual(draw(1, 'a'), draw(1, 'b'));
    assert.match(
      String(draw(1, 'a')[3]),
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });

  it('draws evenly', () => {
    const random = seededRandom(42, 'test');
    const buckets = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 20_000; i++) buckets[random.integer(10)]! += 1;
    assert(
      buckets.every((n) => n > 1800 && n < 2200),
      buckets.join(' '),
    );
  });
});

describe('the guards of the simulation', () => {
  const forbidden: Record<string, () => unknown> = {
    'Date.now': () => Date.now(),
    'new Date()': () => new Date(),
    'Date()': () => Date(),
    'Math.random': () => Math.random(),
    setTimeout: () => setTimeout(() => {}, 1),
    setInterval: () => setInterval(() => {}, 1),
    setImmediate: () => setImmediate(() => {}),
    'performance.now': () => performance.now(),
    'process.hrtime': () => process.hrtime.bigint(),
    'crypto.randomUUID': () => crypto.randomUUID(),
    'crypto.randomUUID of node:crypto': () => randomUUID(),
  };

  for (const [what, call] of Object.entries(forbidden)) {
    it(`${what} throws while a simulation runs, naming the way out, and works again after it`, async () => {
      const simulation = new Simulation({ seed: 1 });
      let thrown: unknown;
      simulation.env(n1).clock.defer(() => {
        try {
          call();
        } catch (error) {
          thrown = error;
        }
      });
      await simulation.run(1);
      assert(thrown instanceof NondeterminismError);
      assert.match(thrown.message, /^(\S+|new Date\(\)) called while a simulation runs.* Use env\./);
      const result = call();
      if (what.startsWith('set')) clearTimeout(result as NodeJS.Timeout);
    });
  }

  it('bind what the simulation causes, and leave real callbacks between two events alone', async () => {
    const simulation = new Simulation({ seed: 1 });
    const { clock } = simulation.env(n1);
    let real = 0;
    const interval = setInterval(() => {
      real += Date.now() > 0 && process.hrtime.bigint() > 0n && Math.random() < 1 ? 1 : 0;
      setTimeout(() => (real += 1), 0);
    }, 0);
    const again = () => void clock.setTimer(1, again);
    again();
    try {
      await simulation.run(() => real > 10);
    } finally {
      clearInterval(interval);
    }
  });

  it('leave node to handle an error that nobody caught', async () => {
    const url = new URL('../../../actors/runtime/index.js', import.meta.url).href;
    const script = `
      import { Simulation } from ${JSON.stringify(url)};
      let seen = false;
      process.on('uncaughtException', (error) => { seen = error.message === 'real'; });
      const simulation = new Simulation({ seed: 1 });
      const again = () => simulation.clock.setTimer(1, again);
      again();
      simulation.clock.defer(() => void Promise.reject(new Error('real')));
      await simulation.run(() => seen);
      console.log('went on');`;
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script]);
    assert.equal(stdout, 'went on\n');
  });

  it('leave dates from a given time alone', async () => {
    const simulation = new Simulation({ seed: 1 });
    let text = '';
    simulation.env(n1).clock.defer(() => {
      const date = new Date(0);
      text = `${date.toISOString()} ${date instanceof Date} ${Date.UTC(1970, 0, 2)}`;
    });
    await simulation.run(1);
    assert.equal(text, '1970-01-01T00:00:00.000Z true 86400000');
  });

  it('crash the actor that breaks the rule', async () => {
    const world = simWorld();
    const system = world.system();
    const ref = system.spawn<Message>({ id: 'rogue', start: () => actor(() => void Math.random()) });
    system.tell(ref, { type: 'Roll' });
    await world.until(() => world.journal.events().some((e) => e.type === 'crash'));
    const crash = world.journal.events().find((e) => e.type === 'crash');
    assert.match(crash?.reason ?? '', /Math\.random called while a simulation runs/);
    assert.equal(crash?.kind, 'Roll');
    await world.end();
  });
});

/** Three gossiping nodes on the simulated network, with losses, crashes, timers, asks, and a machine that dies. */
async function gossip(seed: number): Promise<string> {
  type Rumour = Message & { readonly type: 'Rumour'; readonly hops: number };
  type Question = Message & { readonly type: 'Question'; readonly replyTo: ActorRef<Message> };
  type Pulse = Message & { readonly type: 'Pulse' };
  const world = new SimWorld(seed);
  const names = ['n1', 'n2', 'n3'].map(nodeId);
  const start = (node: NodeId): void => {
    const system = world.system(node);
    system.faults.add({ id: 'loss', from: ['*'], to: ['*'], action: { type: 'drop', probability: 0.05 } });
    system.spawn<Rumour | Question | Pulse>({
      id: 'gossip',
      start: () => ({
        initial: (ctx) => ctx.setTimer('pulse', 10, { type: 'Pulse' }),
        receive: async (_state, message, ctx) => {
          const peer = names[ctx.env.random.integer(names.length)]!;
          const ref = actorRef<Rumour | Question>(peer, '/gossip');
          if (message.type === 'Pulse') {
            ctx.setTimer('pulse', 5 + ctx.env.random.next() * 10, { type: 'Pulse' });
            ctx.tell(ref, { type: 'Rumour', hops: 0 });
          } else if (message.type === 'Question') {
            ctx.tell(message.replyTo, { type: 'Answer' });
          } else {
            if (ctx.env.random.next() < 0.05) throw new Error('lost my head');
            if (message.hops < 3) ctx.tell(ref, { type: 'Rumour', hops: message.hops + 1 });
            const asked = ctx.ask(
              ref,
              (replyTo: ActorRef<Message>): Question => ({ type: 'Question', replyTo }),
              {
                timeoutMs: 20,
              },
            );
            await asked.catch((error: { code: string }) => ctx.note('ask-failed', { code: error.code }));
          }
        },
      }),
    });
  };
  names.forEach(start);
  await world.run(1000);
  world.kill(names[1]!);
  await world.run(4000);
  start(names[1]!);
  await world.run(8000);
  return world.journal.toNdjson();
}

describe('a small world in the simulator', () => {
  it('replays byte for byte from its seed, and differs with another', async () => {
    const first = await gossip(1);
    const lines = first.split('\n').length;
    assert(lines > 4000, `only ${lines} events`);
    for (const type of ['crash', 'restart', 'drop', 'handled', 'note', 'recv']) {
      assert(first.includes(`"type":"${type}"`), `no ${type} in the journal`);
    }
    assert(first === (await gossip(1)), 'the replay differs');
    assert(first !== (await gossip(2)), 'another seed gives the same run');
  });
});
