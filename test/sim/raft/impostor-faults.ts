/**
 * A machine of the cluster that is no member, or not this one, and speaks in the name of members: gives their votes, acknowledges
 * entries for them, says that they heard of a round of reads, that their data are others. Its link is vouched for as everybody's is.
 */
import { type Letter, type MemberId, memberId, type RaftCore } from 'raft-consensus';
import { actorRef, type RunningActorSystem } from '../../../actors/runtime/index.js';
import type { StoreMessage } from '../../../actors/store/index.js';
import { nodeId, type Random } from '../../../transport/index.js';
import type { Fault } from './nemesis.js';
import type { Member, StoreGroup } from './store-group.js';

const impostors = new WeakMap<StoreGroup, RunningActorSystem>();

export const impostorFaults: Readonly<Record<'impostor', Fault>> = {
  impostor: ({ group, random, lengthMs, after, note }) => {
    const everyMs = 5 + random.next() * 45;
    note({ everyMs, lengthMs });
    const endMs = group.nowMs + lengthMs;
    const speak = () => {
      lie(group, random);
      if (group.nowMs < endMs) after(everyMs, speak);
    };
    // Those who have yet to meet it hear nothing.
    impostorOf(group);
    after(everyMs, speak);
  },
};

function impostorOf(group: StoreGroup): RunningActorSystem {
  let system = impostors.get(group);
  if (!system) impostors.set(group, (system = group.world.system(nodeId('impostor'))));
  return system;
}

/** To somebody who is up, in the name of somebody else. */
function lie(group: StoreGroup, random: Random): void {
  const { living, members } = group;
  const to = living[random.integer(living.length)];
  const as = members[random.integer(members.length)]!;
  if (!to?.parts || as === to) return;
  const message = lieOf(to, memberId(as.name), random);
  impostorOf(group).tell<StoreMessage>(actorRef(to.node, '/store'), message);
}

function lieOf({ name, parts }: Member, from: MemberId, random: Random): StoreMessage {
  const core = parts!.raft.core as RaftCore;
  const head = { from, to: memberId(name), term: core.term };
  const letter = (kind: string, fields: object): StoreMessage => ({
    type: `Raft${kind}`,
    raft: { ...head, ...fields } as Letter,
  });
  if (core.role === 'pre-candidate') {
    return letter('PreVoteReply', { type: 'pre-vote-reply', term: core.term + 1, granted: true });
  }
  if (core.role === 'candidate') return letter('VoteReply', { type: 'vote-reply', granted: true });
  const dice = random.next();
  if (dice < 0.2) {
    const points = Array.from({ length: 4 }, (_, at) => ({ index: (at + 1) * 32, digest: 7 }));
    return { type: 'StoreDigests', from, points };
  }
  const { leader, log } = core;
  if (leader && dice < 0.6)
    return letter('AppendAccepted', { type: 'append-accepted', index: log.lastIndex });
  if (leader) return letter('HeartbeatReply', { type: 'heartbeat-reply', readRound: leader.reads.rounds });
  return letter('TimeoutNow', { type: 'timeout-now' });
}
