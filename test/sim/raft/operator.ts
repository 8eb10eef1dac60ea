/**
 * Whoever runs the group: what has lost its disk is removed from it, and a new member added in its place, first as a learner.
 * Level-triggered: looks each second at what is still to be done, and asks the leader for the next step.
 */
import { isMember, type MemberId, memberId } from 'raft-consensus';
import type { Member, StoreGroup } from './store-group.js';

const lookEveryMs = 1_000;

export class Operator {
  readonly #group: StoreGroup;

  constructor(group: StoreGroup) {
    this.#group = group;
  }

  start(): void {
    this.#group.world.simulation.clock.setTimer(lookEveryMs, () => {
      this.#look();
      this.start();
    });
  }

  #look(): void {
    const raft = this.#group.leader()?.parts?.raft;
    const lost = this.#group.members.filter(({ isLost }) => isLost);
    if (!raft || lost.length === 0) return;
    const configuration = raft.configuration();
    const belongs = (member: Member) => isMember(configuration, memberId(member.name));
    const gone = lost.find(belongs);
    if (gone) return this.#ask('remove', gone, raft.removeServer(memberId(gone.name)));
    const spare = this.#group.spares.find((member) => !member.isLost && !belongs(member));
    const learner = configuration.learners.find((id) => this.#isSpare(id));
    if (learner) {
      const member = this.#group.members.find(({ name }) => name === learner)!;
      return this.#ask('promote', member, raft.promote(learner));
    }
    if (!spare || configuration.voters.length >= this.#group.swarm.members) return;
    this.#group.start(spare);
    this.#ask('add', spare, raft.addNonvoter(memberId(spare.name), { address: spare.name }));
  }

  #isSpare(id: MemberId): boolean {
    return this.#group.spares.some(({ name }) => name === id);
  }

  /** Refused when it cannot be: then at another time. */
  #ask(step: string, { name }: Member, change: Promise<unknown>): void {
    this.#group.note('operator', { step, member: name });
    change.catch(() => undefined);
  }
}
