/**
 * Faults that wait for their moment: several events must meet, and chance alone would hardly ever bring them together. Each is
 * a stage that looks after every event and does its next part when the time has come.
 */
import { isJoint, memberId, type MemberStep, type RaftCore } from 'raft-consensus';
import type { Fault, Strike } from './nemesis.js';
import { OlderCopy } from './older-copy.js';
import { crash } from './process-faults.js';
import type { Member } from './store-group.js';

type StagedKind = 'coup' | 'split-change' | 'figure-8' | 'older-copy' | 'fall-behind';

export interface Stage {
  /** After an event; false: it is over. */
  look(): boolean;
}

export const stagedFaults: Readonly<Record<StagedKind, Fault>> = {
  /** Whoever is elected next loses its voters: it is cut off, or it dies, or they do. */
  coup: (strike) => {
    const { group, random, stage, after } = strike;
    const { leaderships } = group.invariants;
    stage({
      look: () => {
        if (group.invariants.leaderships === leaderships) return true;
        after(random.next() ** 2 * 3 * group.swarm.raft.tickMs!, () => overthrow(strike));
        return false;
      },
    });
  },
  'split-change': (strike) => {
    const { group, leader, random, after } = strike;
    if (!leader?.parts || group.atlas.hasDamage) return;
    const { raft } = leader.parts;
    const { voters, learners } = raft.configuration();
    const newcomers = group.members.filter(
      ({ name, isLost }) => !isLost && !voters.includes(memberId(name)) && !learners.includes(memberId(name)),
    );
    for (const member of newcomers) group.start(member);
    const steps = newcomers.map(({ name }): MemberStep => {
      return { type: 'add-learner', id: memberId(name), address: name };
    });
    if (steps.length > 0) raft.changeMembers(steps).catch(() => undefined);
    // By then they have caught up.
    after((5 + random.integer(20)) * group.swarm.raft.tickMs!, () => splitChange(strike));
  },
  'figure-8': (strike) => {
    if (strike.leader) strike.stage(new FigureEight(strike, strike.leader));
  },
  'older-copy': (strike) => {
    const { group, victim, stage } = strike;
    const disk = group.diskOf(victim);
    if (disk && victim.hasRun) stage(new OlderCopy(strike, victim, disk));
  },
  /** Cut off until the log of the leader does not reach back to it: it needs a snapshot (VOPR's longest partitions). */
  'fall-behind': (strike) => {
    const { group, network, leader, random, after, note, stage } = strike;
    const followers = group.living.filter((member) => member !== leader && member.parts);
    const member = followers[random.integer(followers.length)];
    if (!leader || !member) return;
    const { tickMs } = group.swarm.raft;
    const lastIndex = member.parts!.raft.core.log.lastIndex;
    const deadlineMs = group.nowMs + (100 + 100 * random.next()) * tickMs!;
    note({ member: member.name, lengthMs: deadlineMs - group.nowMs });
    group.burstUntilMs = Math.max(group.burstUntilMs, group.nowMs + 500);
    const heal = network.isolate(member.name);
    after(deadlineMs - group.nowMs, heal);
    // Where snapshots are few or logs long, it would need none; a member that starts has its own limits again.
    if (random.next() < 0.7) {
      for (const { parts } of group.living) {
        parts?.raft.reload({
          snapshotEveryEntries: 5 + random.integer(30),
          trailingEntriesMax: random.integer(5),
        });
      }
    }
    stage({
      look: () => {
        if (group.nowMs > deadlineMs) return false;
        const core = group.leader()?.parts?.raft.core;
        if (!core || core.id === member.name || core.log.firstIndex <= lastIndex + 1) return true;
        heal();
        // While it comes, or before.
        if (random.next() < 0.5) {
          const fallen = random.next() < 0.5 ? member : (group.leader() ?? leader);
          after(random.next() * 6 * tickMs!, () => crash(strike, [fallen]));
        }
        return false;
      },
    });
  },
};

function overthrow(strike: Strike): void {
  const { group, network, random, after, note } = strike;
  const leader = group.leader();
  if (!leader) return;
  const lengthMs = strike.exponential(group.swarm.faultLengthMs);
  if (random.next() < 0.6) {
    note({ member: leader.name, lengthMs });
    after(lengthMs, network.isolate(leader.name));
  } else crash(strike, [leader]);
  const voters = group.living.filter((member) => member !== leader && random.next() < 0.5);
  if (voters.length > 0) crash(strike, voters);
}

/**
 * The members change, and those of before lose sight of the leader when they have the change in their logs but do not know that
 * it is committed: two sets of voters, each of which holds itself for the one that counts (Raft §6, figure 10).
 */
function splitChange(strike: Strike): void {
  const { group, network, random, note, after, stage } = strike;
  const leader = group.leader();
  const raft = leader?.parts?.raft;
  if (!leader || !raft) return;
  const { learners, voters } = raft.configuration();
  if (learners.length === 0) return;
  const coming = learners.map((id): MemberStep => ({ type: 'add-voter', id }));
  const isJointChange = random.next() < 0.5;
  if (isJointChange) {
    const going = voters.filter((id) => id !== leader.name).slice(0, coming.length);
    const steps = [...coming, ...going.map((id): MemberStep => ({ type: 'remove', id }))];
    raft.changeMembers(steps, { transition: 'joint' }).catch(() => undefined);
  } else {
    // The second is refused while the first is under way.
    for (const step of coming) raft.changeMembers([step]).catch(() => undefined);
  }
  const others = voters.filter((id) => id !== leader.name);
  const { tickMs } = group.swarm.raft;
  const deadlineMs = group.nowMs + 20 * tickMs!;
  const waitsFor = isJointChange ? 1 : coming.length;
  note({ leader: leader.name, coming: learners.join(), others: others.join(), isJointChange });
  stage({
    look: () => {
      if (group.nowMs > deadlineMs || !leader.isUp) return false;
      if (
        !group.members.some(
          (member) => others.includes(memberId(member.name)) && changesIn(member) >= waitsFor,
        )
      ) {
        return true;
      }
      const heal = network.cut([leader.name, ...learners], others, 'one');
      const { latencyMaxMs, latencyMeanMs } = group.swarm.network;
      const forthMs = 4 * (latencyMeanMs ?? latencyMaxMs);
      after(forthMs, () => {
        const healBack = network.cut(others, [leader.name, ...learners], 'one');
        after((30 + random.integer(40)) * tickMs!, () => {
          heal();
          healBack();
        });
      });
      return false;
    },
  });
}

/** How many changes of the members its log holds that it has not applied; a joint one that it is in counts for one. */
function changesIn({ parts }: Member): number {
  if (!parts) return 0;
  const { log, appliedIndex, configuration } = parts.raft.core;
  let changes = isJoint(configuration) ? 1 : 0;
  for (let index = appliedIndex + 1; index <= log.lastIndex; index++) {
    if (log.at(index)?.type === 'config') changes++;
  }
  return changes;
}

/**
 * Figure 8 of the Raft paper: one leader is cut off with entries that nobody else has, the next one with an entry of its own;
 * the first leads again and brings its old entries to a majority; there it is cut off, and the second comes back.
 */
class FigureEight implements Stage {
  readonly #strike: Strike;
  readonly #first: Member;
  readonly #deadlineMs: number;
  /** Behind it are the entries that only the first has. */
  readonly #commonIndex: number;
  #second: Member | undefined;
  #part: 'alone' | 'again' | 'over' = 'alone';
  #heal: () => void;

  constructor(strike: Strike, first: Member) {
    const { group, network, note } = strike;
    this.#strike = strike;
    this.#first = first;
    this.#commonIndex = first.parts!.raft.core.commit;
    this.#deadlineMs = group.nowMs + 150 * group.swarm.raft.tickMs!;
    note({ first: first.name });
    this.#heal = network.isolate(first.name);
    // Entries that take more than one letter where letters are small.
    for (let at = 0; at < 4; at++) first.parts!.raft.barrier().catch(() => undefined);
  }

  look(): boolean {
    const { group } = this.#strike;
    if (this.#part === 'over') return false;
    if (group.nowMs > this.#deadlineMs || !this.#first.isUp) return this.#end();
    if (this.#part === 'alone') this.#lookForSecond();
    else this.#lookForOldEntries();
    return true;
  }

  /** Cut off the moment it leads: nobody else has its first entry. */
  #lookForSecond(): void {
    const { group, network } = this.#strike;
    const leader = group.leader();
    if (
      !leader ||
      leader === this.#first ||
      leader.parts!.raft.core.term <= this.#first.parts!.raft.core.term
    ) {
      return;
    }
    this.#second = leader;
    this.#heal();
    this.#heal = network.isolate(leader.name);
    this.#part = 'again';
  }

  /** A majority has an entry of an earlier term, and none has one of this term. */
  #lookForOldEntries(): void {
    const core = this.#first.parts!.raft.core as RaftCore;
    const { leader, term, log, quorum } = core;
    if (core.role !== 'leader' || !leader || !this.#second?.isUp) return;
    const reached = quorum.reached((voter) =>
      voter === core.id ? log.stableIndex : (leader.peers.get(voter)?.match ?? 0),
    );
    if (reached <= this.#commonIndex || log.term(reached) === term) return;
    const { network, group, note, after } = this.#strike;
    note({ second: this.#second.name, index: reached });
    this.#heal();
    const healFirst = network.isolate(this.#first.name);
    after(40 * group.swarm.raft.tickMs!, healFirst);
    this.#part = 'over';
  }

  #end(): boolean {
    this.#heal();
    return false;
  }
}
