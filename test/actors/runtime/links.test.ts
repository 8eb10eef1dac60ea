/** Actor systems over the links of transport/: refs travel in messages, crashes and lost nodes are told. */
import { strict as assert } from 'node:assert';
import {
  type ActorRef,
  AskError,
  createActorSystem,
  createNactEngine,
  createRealEnv,
  type Message,
  realClock,
  realRandom,
  type RunningActorSystem,
} from '../../../actors/runtime/index.js';
import {
  FaultPolicy,
  type Incarnation,
  InprocNetwork,
  type Link,
  type NodeId,
  nodeId,
  silentJournal,
  ZmqLink,
} from '../../../transport/index.js';
import { actor } from './world.js';

type Question = { readonly type: 'Question'; readonly replyTo: ActorRef<Answer> };
type Answer = { readonly type: 'Answer'; readonly bytes: Uint8Array };
type MakeLink = (node: NodeId, incarnation: Incarnation, policy: FaultPolicy) => Link;

const clock = realClock;
const random = realRandom;

const kinds: Record<string, () => MakeLink> = {
  'the in-process network': () => {
    const network = new InprocNetwork({ clock, random, roundTrip: true });
    return (node, incarnation, policy) => network.link(node, incarnation, policy);
  },
  ZeroMQ: () => (node, incarnation, policy) =>
    new ZmqLink(node, incarnation, policy, { clusterId: 'test', clock, random }),
};

async function until(condition: () => boolean): Promise<void> {
  const startedMs = clock.monotonicMs();
  while (!condition()) {
    if (clock.monotonicMs() - startedMs > 15_000) throw new Error('the condition does not hold after 15 s');
    await new Promise<void>((resolve) => clock.setTimer(5, resolve));
  }
}

for (const [name, makeKind] of Object.entries(kinds)) {
  describe(`actor systems over ${name}`, () => {
    let systems: RunningActorSystem[];
    let makeLink: MakeLink;
    const peersUp = new Set<string>();

    beforeEach(() => {
      systems = [];
      makeLink = makeKind();
      peersUp.clear();
    });
    afterEach(async () => {
      for (const system of systems) await system.stop();
    });

    async function start(name: string): Promise<RunningActorSystem> {
      const node = nodeId(name);
      const incarnation = 1 as Incarnation;
      const env = createRealEnv({
        disk: () => Promise.reject(new Error('no disk in this test')),
        link: ({ policy }) => makeLink(node, incarnation, policy),
      });
      const faults = new FaultPolicy();
      const link = env.link(node, incarnation, faults);
      const journal = {
        ...silentJournal,
        record: (event: { kind?: string; detail?: Readonly<Record<string, unknown>> }) => {
          if (event.kind === 'peer-up') peersUp.add(`${name} ${String(event.detail?.['peer'])}`);
        },
      };
      const engine = createNactEngine();
      const system = createActorSystem({ node, incarnation, env, link, journal, faults, engine });
      await system.started;
      for (const other of systems) {
        system.link.addPeer(other.node, other.link.address());
        other.link.addPeer(node, system.link.address());
      }
      systems.push(system);
      return system;
    }

    async function pair(): Promise<[RunningActorSystem, RunningActorSystem]> {
      const [a, b] = [await start('a'), await start('b')];
      await until(() => peersUp.has('a b') && peersUp.has('b a'));
      return [a, b];
    }

    it('answers asks: the reply address travels in the message', async () => {
      const [a, b] = await pair();
      const ref = b.spawn<Question>({
        id: 'oracle',
        start: () =>
          actor((message, ctx) => ctx.tell(message.replyTo, { type: 'Answer', bytes: Uint8Array.of(4, 2) })),
      });
      const question = (replyTo: ActorRef<Answer>): Question => ({ type: 'Question', replyTo });
      const answer = await a.ask(ref, question, { timeoutMs: 5000 });
      assert.deepEqual([...answer.bytes], [4, 2]);
    });

    it('tells at once of a crash, of a missing actor, and of a node that went', async () => {
      const [a, b] = await pair();
      const seen: string[] = [];
      const fragile = b.spawn<Question>({
        id: 'fragile',
        start: () =>
          actor(() => {
            throw new Error('boom');
          }),
      });
      const steady = b.spawn<Question>({ id: 'steady', start: () => actor(() => {}) });
      a.spawn<Message>({
        id: 'watcher',
        start: () =>
          actor((message) => void seen.push(message.type), {
            initial: (ctx) => {
              ctx.watch(fragile, (reason) => ({ type: `fragile ${reason}` }));
              ctx.watch(steady, (reason) => ({ type: `steady ${reason}` }));
            },
          }),
      });
      const question = (replyTo: ActorRef<Answer>): Question => ({ type: 'Question', replyTo });
      const refusal = (ref: ActorRef<Question>) =>
        a.ask(ref, question, { timeoutMs: 60_000 }).then(
          () => assert.fail('answered'),
          (error: AskError) => [error.code, error.definite],
        );
      assert.deepEqual(await refusal(fragile), ['Dead', false]);
      await until(() => seen.length === 1);
      assert.deepEqual(await refusal({ ...steady, path: '/nobody' }), ['Dead', true]);
      const lost = refusal(steady);
      await until(() => b.tree().every((node) => node.mailboxDepth === 0));
      systems = [a];
      await b.stop();
      const [code] = await lost;
      assert(code === 'Unreachable' || code === 'Dead', String(code));
      await until(() => seen.length === 2);
      assert.equal(seen[0], 'fragile crash');
      assert.match(seen[1] ?? '', /^steady (normal|unreachable)$/);
    });
  });
}
