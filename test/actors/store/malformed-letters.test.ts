import { strict as assert } from 'node:assert';
import { memberId, type WatchBatch } from 'raft-consensus';
import { actorRef, type RunningActorSystem } from '../../../actors/runtime/index.js';
import type { WatchEnd } from '../../../actors/store/index.js';
import type { StoreMessage, StoreReply, StoreWatchReply } from '../../../actors/store/messages.js';
import { type JournalEvent, type LinkEvents, nodeId } from '../../../transport/index.js';
import { type SeededRandom, seededRandom } from '../../raft/seeded-random.js';
import { kindOf, type Moment, type Mutation, mutations, pathsOf, samples } from './letter-samples.js';
import { put, SmallGroup } from './small-group.js';

const mutationsPerField = 3;
const file = 'dist/test/actors/store/malformed-letters.test.js';

/** May be absent, or of another kind than in the sample. */
const optional =
  /(?:^|\.)(?:rangeEnd|context|caller|inPieces|revision|limit|keysOnly|countOnly|sort|m(?:in|ax)\w+Revision|lease|prevKv|ignore\w+|startRevision|noPut|noDelete|url|publicKey|title|clientUrls|isToVote|user|to|index|node)$/;
/** Said by members only, and of themselves (letter-sender.test.ts). */
const speaksFor = /^(?:Raft|StoreDigest|StoreMemberAsk)/;
const either = /(?:^|\.)(?:operand)$/;

type Reply = StoreReply | StoreWatchReply;

interface SendOptions {
  readonly kind?: string;
  readonly path?: string;
  readonly from?: string;
}

/** A group of three, and a machine of its cluster that has lost its mind. */
class Rogue {
  readonly group: SmallGroup;
  readonly replies: Reply[] = [];
  readonly #system: RunningActorSystem;
  readonly #replyTo;

  constructor(seed: number) {
    this.group = new SmallGroup(`malformed-${seed}`);
    this.#system = this.group.world.system(nodeId('rogue'));
    this.#replyTo = this.#system.callback<Reply>('rogue', (reply) => this.replies.push(reply));
  }

  moment(to: string, from: string): Moment {
    const { term, lastIndex } = this.group.parts.get(to)!.raft.stats();
    return { from: memberId(from), to: memberId(to), term, lastIndex, replyTo: this.#replyTo.ref };
  }

  /**
   * What the member's machine put on record of it. The envelope is a right one: links see to that (test/transport/codec). `from`:
   * it is a member's machine that has lost its mind.
   */
  async send(
    to: string,
    body: unknown,
    { kind = 'Malformed', path = '/store', from }: SendOptions = {},
  ): Promise<readonly JournalEvent[]> {
    this.#events();
    const system = from === undefined ? this.#system : this.group.systems.get(from)!;
    const { link } = system;
    const { send } = link;
    link.send = (envelope) => {
      link.send = send;
      link.send({ ...envelope, kind, body });
    };
    system.tell(actorRef<StoreMessage>(nodeId(to), path), { type: 'StoreTick' });
    await this.group.wait(4);
    this.#checkAllLive();
    return this.#events().filter(({ node, type }) => node === to && type === 'drop');
  }

  /** Since the last time. */
  #events(): readonly JournalEvent[] {
    const { journal } = this.group.world;
    const events = journal.events();
    journal.clear();
    const crash = events.find(({ type }) => type === 'crash');
    assert.equal(crash, undefined, `an actor crashed: ${JSON.stringify(crash)}`);
    return events;
  }

  #checkAllLive(): void {
    for (const [name, error] of this.group.ended) throw new Error(`${name} has ended`, { cause: error });
  }

  /** They do what they are there for. */
  async checkHealth(): Promise<void> {
    this.#checkAllLive();
    await this.group.put('right', 'value');
    assert(await this.group.has('right'));
  }
}

/** Whoever takes it for what it was will stumble. */
function isCertainlyWrong({ path, was, is }: Mutation): boolean {
  const name = path.join('.');
  if (kindOf(is) === 'nothing') return !optional.test(name);
  return kindOf(was) !== kindOf(is) && !either.test(name);
}

function saysWhy(reply: Reply): boolean {
  if (reply.type === 'StoreWatchRefused')
    return reply.message.includes('cannot read the request: StoreWatch.');
  return reply.type === 'StoreFailed' && reply.kvCode === 'InvalidArgument' && reply.definite;
}

async function feed(rogue: Rogue, to: string, from: string, random: SeededRandom): Promise<number> {
  let reported = 0;
  const { length } = samples(rogue.moment(to, from));
  for (let at = 0; at < length; at++) {
    const sample = () => samples(rogue.moment(to, from))[at]!;
    for (const path of pathsOf(sample())) {
      for (const mutation of mutations(sample(), path, mutationsPerField, random)) {
        const { type } = sample();
        const what = `${type} to ${to}, ${path.join('.')} = ${String(JSON.stringify(text(mutation.is)))?.slice(0, 80)}`;
        try {
          rogue.replies.length = 0;
          const drops = await rogue.send(to, mutation.message, {
            kind: type,
            ...(speaksFor.test(type) && { from }),
          });
          reported += drops.length;
          const isReported = drops.some(
            ({ reason, detail }) => reason === 'malformed' && detail?.['why'] !== '',
          );
          if (!isCertainlyWrong(mutation)) continue;
          assert(isReported, 'it is dropped and on record');
          if (!('replyTo' in sample()) || path[0] === 'replyTo') continue;
          if (path[0] === 'watchId') continue;
          assert(rogue.replies.some(saysWhy), 'it is answered');
        } catch (cause) {
          throw new Error(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
        }
      }
    }
    await rogue.checkHealth();
  }
  return reported;
}

function text(value: unknown): unknown {
  return typeof value === 'bigint' || Number.isNaN(value) ? String(value) : value;
}

describe('a machine of the cluster that sends malformed letters', () => {
  it('ends no store member: each is dropped, on record and answered, and the next right request is served', async function () {
    this.timeout(120_000);
    const only = process.env['SEED'];
    for (const seed of only === undefined ? [1, 2] : [Number(only)]) {
      try {
        const rogue = new Rogue(seed);
        const random = seededRandom(seed);
        const leader = await rogue.group.leader();
        await rogue.checkHealth();
        const [follower = '', third = ''] = rogue.group.names.filter((name) => name !== leader);
        const [first, second] = seed % 2 === 0 ? [leader, follower] : [follower, leader];
        const reported =
          (await feed(rogue, first, third, random)) + (await feed(rogue, second, third, random));
        assert(reported > 1_000, `${reported} were reported`);
      } catch (cause) {
        throw new Error(`seed ${seed}: SEED=${seed} npx mocha --no-config ${file}`, { cause });
      }
    }
  });

  it('and ones that are no objects, or of types that nobody knows', async () => {
    const rogue = new Rogue(0);
    const leader = await rogue.group.leader();
    const bodies = [
      { type: 'StoreFailed' },
      { type: 'RaftSnapshot', raft: {} },
      { type: 'RaftVote' },
      { type: 'toString' },
    ];
    for (const body of bodies) {
      const [drop] = await rogue.send(leader, body);
      assert.equal(drop?.reason, 'malformed', JSON.stringify(body));
    }
    for (const body of [null, undefined, 7, 'StoreTxn', [], new Uint8Array(4)]) {
      const [drop] = await rogue.send(leader, body);
      assert.equal(drop?.reason, 'malformed', String(body));
    }
    await rogue.checkHealth();
  });

  it('a client takes nothing malformed for news of its watches, and its watches go on', async () => {
    const rogue = new Rogue(0);
    const { group } = rogue;
    await group.leader();
    const seen: string[] = [];
    const watch = group.client.watch(
      { key: 'seen' },
      {
        onBatch: ({ events }) => seen.push(...events.map(({ type }) => type)),
        onEnd: ({ type }) => seen.push(type),
      },
    );
    await group.put('seen');
    await group.world.run(() => seen.length === 1);
    const watches = [['client/store-watch/1-1.1', 1]];
    const kv = { key: 'seen', value: 'text', createRevision: 1, modRevision: 1, version: 1, lease: 0 };
    const letters = [
      null,
      { type: 'StoreWatchBatch', watches },
      { type: 'StoreWatchBatch', watches: 7, batch: { revision: 1, events: [] } },
      { type: 'StoreWatchBatch', watches, batch: { revision: 1, events: [{ type: 'put', kv }] } },
      { type: 'StoreWatchBatch', watches, batch: { revision: 1, events: [{ type: 'put' }] } },
      { type: 'StoreWatchAlive', watches },
      { type: 'StoreWatchAlive', watches: [null] },
      { type: 'StoreWatchLost', watchId: watches[0]![0], members: [7] },
      { type: 'StoreWatchCompacted', watchId: watches[0]![0] },
      { type: 'StoreTxnDone' },
    ];
    for (const letter of letters) {
      const [drop] = await rogue.send('client', letter, {
        kind: 'StoreWatchBatch',
        path: '/store-watch/1-1',
      });
      assert.equal(drop?.reason, 'malformed', JSON.stringify(letter));
    }
    await group.put('seen');
    await group.world.run(() => seen.length === 2);
    assert.deepEqual(seen, ['put', 'put']);
    watch.close();
  });

  it('a watch that no member can read ends, and says why; one that some can read goes on there', async () => {
    const { group } = new Rogue(0);
    await group.leader();
    const ends: WatchEnd[] = [];
    const seen: string[] = [];
    const handler = {
      onBatch: ({ events }: WatchBatch) => seen.push(...events.map(({ kv }) => kv.key)),
      onEnd: (end: WatchEnd) => ends.push(end),
    };
    group.client.watch({ key: 7 as unknown as string }, handler);
    await group.world.run(() => ends.length === 1);
    const [end] = ends;
    assert(end?.type === 'refused');
    assert.match(
      end.message,
      /^store member m\d cannot read the request: StoreWatch\.request\.key is absent/,
    );
    const system = group.systems.get('m1')!;
    const { onEnvelope } = system as unknown as LinkEvents;
    (system as unknown as LinkEvents).onEnvelope = (envelope) => {
      const body = envelope.body as StoreMessage;
      const older = body.type === 'StoreWatch' ? { ...body, credit: undefined } : body;
      onEnvelope.call(system, { ...envelope, body: older });
    };
    const watch = group.client.watch({ key: 'seen' }, handler);
    await group.wait(5_000);
    await group.put('seen');
    await group.world.run(() => seen.length === 1);
    assert.equal(ends.length, 1);
    watch.close();
  });

  it('a letter of many with one request that is none is refused as a whole, and nothing of it is done', async () => {
    const rogue = new Rogue(0);
    const leader = await rogue.group.leader();
    const { replyTo } = rogue.moment(leader, 'm1');
    const requests = [{ type: 'StoreTxn', txn: put('some') }, { type: 'StoreStatus' }];
    await rogue.send(leader, { type: 'StoreMany', requests, replyTo });
    assert.deepEqual(
      rogue.replies.map((reply) => reply.type === 'StoreFailed' && reply.message),
      [
        `store member ${leader} cannot read the request: StoreMany.requests[1].type is absent or not what it should be`,
      ],
    );
    assert(!(await rogue.group.has('some')));
  });
});
