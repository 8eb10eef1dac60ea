import { strict as assert } from 'node:assert';
import { type Letter, memberId } from 'raft-consensus';
import { actorRef, type RunningActorSystem } from '../../../actors/runtime/index.js';
import type { StoreMessage, StoreReply, StoreWatchReply } from '../../../actors/store/messages.js';
import { nodeId } from '../../../transport/index.js';
import { samples } from './letter-samples.js';
import { SmallGroup } from './small-group.js';

/** What `to` put on record as refused when `system` told it `message`. */
async function refusals(group: SmallGroup, system: RunningActorSystem, to: string, message: StoreMessage) {
  const { journal } = group.world;
  journal.clear();
  system.tell(actorRef<StoreMessage>(nodeId(to), '/store'), message);
  await group.wait(4);
  return journal
    .events()
    .filter(({ node, type, reason }) => node === to && type === 'drop' && reason === 'malformed')
    .map(({ detail }) => String(detail?.['why']));
}

/** Everything that a member says of itself, as `from` would say it to `to`. */
function ownWords(group: SmallGroup, from: string, to: string): readonly StoreMessage[] {
  const { term, lastIndex } = group.parts.get(to)!.raft.stats();
  const replyTo = actorRef<StoreReply | StoreWatchReply>(nodeId('nobody'), '/nobody');
  const all = samples({ from: memberId(from), to: memberId(to), term, lastIndex, replyTo });
  const said = (all as readonly StoreMessage[]).filter(({ type }) =>
    /^Raft|^StoreDigest|^StoreMemberAsk/.test(type),
  );
  assert(said.length >= 19, `${said.length} kinds`);
  return said;
}

/** A machine of the cluster that the members have met. */
async function machine(group: SmallGroup, name: string): Promise<RunningActorSystem> {
  const system = group.world.system(nodeId(name));
  await group.wait(50);
  return system;
}

async function started(seed: string) {
  const group = new SmallGroup(seed);
  const leader = await group.leader();
  await group.put('a');
  const [follower = '', third = ''] = group.names.filter((name) => name !== leader);
  return { group, leader, follower, third };
}

describe('a machine that speaks in the name of a member that lives elsewhere', () => {
  it('is refused by the leader and by followers, whatever it says; the member itself is not', async () => {
    const { group, leader, follower, third } = await started('impostor');
    const stranger = await machine(group, 'stranger');
    for (const [to, as] of [
      [leader, third],
      [follower, third],
      [follower, leader],
    ] as const) {
      for (const message of ownWords(group, as, to)) {
        for (const system of [stranger, group.systems.get(to === leader ? follower : leader)!]) {
          if (system.node === as) continue;
          const why = await refusals(group, system, to, message);
          const what = `${message.type} of ${as} from ${system.node} to ${to}`;
          assert.deepEqual(why.length, 1, what);
          assert.match(why[0]!, new RegExp(`${as} on ${as}, and came from ${system.node}$`), what);
        }
        // The real one may say it; whether it makes sense is another question.
        const why = await refusals(group, group.systems.get(as)!, to, message);
        assert(!why.some((text) => text.includes('came from')), `${message.type}: ${why.join()}`);
      }
    }
    assert.equal(group.ended.size, 0);
    await group.put('b');
  });

  it('makes no leader of one that nobody elected', async () => {
    const { group, leader, follower, third } = await started('forged votes');
    const stranger = await machine(group, 'stranger');
    group.kill(leader);
    group.kill(third);
    const { raft } = group.parts.get(follower)!;
    const vote = { from: memberId(third), to: memberId(follower), granted: true };
    const ref = actorRef<StoreMessage>(nodeId(follower), '/store');
    for (let i = 0; i < 500; i++) {
      const { term } = raft.stats();
      const yes = { ...vote, type: 'vote-reply', term } as Letter;
      const wouldYes = { ...vote, type: 'pre-vote-reply', term: term + 1 } as Letter;
      stranger.tell<StoreMessage>(ref, { type: 'RaftPreVoteReply', raft: wouldYes });
      stranger.tell<StoreMessage>(ref, { type: 'RaftVoteReply', raft: yes });
      await group.wait(10);
      assert(!raft.isLeader(), `of one that stands alone, in term ${term}`);
    }
  });

  it('cannot say of a member that its data differ', async () => {
    const { group, leader, follower, third } = await started('forged digests');
    const stranger = await machine(group, 'stranger');
    for (let i = 0; i < 200; i++) await group.put(`k${i}`);
    const points = Array.from({ length: 8 }, (_, at) => ({ index: (at + 1) * 32, digest: 7 }));
    for (let round = 0; round < 10; round++) {
      for (const from of [follower, third]) {
        const letter = { type: 'StoreDigests', from, points } as const;
        assert.equal((await refusals(group, stranger, leader, letter)).length, 1);
      }
      await group.wait(1_000);
    }
    assert.deepEqual(group.parts.get(leader)!.store.alarms(), []);
    assert.equal(group.ended.size, 0);
  });

  it('may be new to the group, and then speaks of the node that it wrote from', async () => {
    const { group, leader } = await started('newcomer');
    const stranger = await machine(group, 'm9');
    const ask = (name: string, node: string) => ({ type: 'StoreMemberAsk', name, node }) as const;
    assert.match(
      (await refusals(group, stranger, leader, ask('m9', 'm1')))[0]!,
      /m9 on m1, and came from m9$/,
    );
    assert.deepEqual(await refusals(group, stranger, leader, ask('m9', 'm9')), []);
    const other = await machine(group, 'm10');
    assert.match(
      (await refusals(group, other, leader, ask('m9', 'm10')))[0]!,
      /m9 on m9, and came from m10$/,
    );
  });

  it('is heard at the doors of a node, and by no other actor of it', async () => {
    const { group, leader } = await started('doors');
    const heard: string[] = [];
    const inner = group.systems.get(leader)!.spawn<{ readonly type: string }>({
      id: 'inner',
      start: () => ({ initial: () => null, receive: (_, { type }) => (heard.push(type), null) }),
    });
    const stranger = await machine(group, 'stranger');
    stranger.tell(inner, { type: 'from outside' });
    group.systems.get(leader)!.tell(inner, { type: 'from inside' });
    await group.wait(50);
    assert.deepEqual(heard, ['from inside']);
    assert.equal(group.systems.get(leader)!.deadLetters.at(-1)?.reason, 'no-door');
  });

  it('says nothing that a member says to itself', async () => {
    const { group, leader } = await started('own words');
    const stranger = await machine(group, 'stranger');
    const words: readonly StoreMessage[] = [
      { type: 'StoreTick' },
      { type: 'StoreCompactStep' },
      { type: 'StoreWatcherGone', client: 'kabuki://client/store-watch/1-1' },
    ];
    for (const word of words) {
      const [why = ''] = await refusals(group, stranger, leader, word);
      assert.match(why, new RegExp(`${leader} on ${leader}, and came from stranger$`));
    }
  });
});
