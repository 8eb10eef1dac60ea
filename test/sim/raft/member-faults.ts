/** What operators ask for at the worst of times: another leader, other members. */
import { memberId } from 'raft-consensus';
import { MemberChanges } from './member-changes.js';
import type { Fault } from './nemesis.js';

type MemberKind = 'transfer' | 'change-members';

export const memberFaults: Readonly<Record<MemberKind, Fault>> = {
  transfer: ({ network, leader, random, note }) => {
    const to = network.names[random.integer(network.names.length)]!;
    note({ to });
    // Refused when it cannot be: that is an answer, too.
    leader?.parts?.raft.leadershipTransfer(memberId(to)).catch(() => undefined);
  },
  // One change or two at once; sometimes the old members lose sight of the leader and the new ones.
  'change-members': ({ group, network, leader, random, lengthMs, after, note }) => {
    const raft = leader?.parts?.raft;
    // Who goes might be the one whose copy is good.
    if (!leader || !raft || group.atlas.hasDamage) return;
    const changes = new MemberChanges(group, raft, random);
    const made = [changes.next(), ...(random.next() < 0.5 ? [changes.next()] : [])];
    note({ leader: leader.name, changes: made.join('; ') });
    if (random.next() < 0.5) return;
    const { tickMs } = group.swarm.raft;
    const others = group.founders.filter((member) => member !== leader).map(({ name }) => name);
    // In the middle of the change, or soon after it.
    const delayMs = random.next() * (random.next() < 0.6 ? 10 : 2 * tickMs!);
    after(delayMs, () => after(lengthMs, network.cut(others, network.but(others), 'both')));
  },
};
