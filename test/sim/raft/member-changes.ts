/** Changes of the members, drawn at random: what an operator could ask of a leader, be it wise or not. */
import { isMember, type MemberId, memberId, type MemberStep } from 'raft-consensus';
import type { MemberParts } from '../../../actors/store/index.js';
import type { Random } from '../../../transport/index.js';
import type { Member, StoreGroup } from './store-group.js';

export class MemberChanges {
  readonly #group: StoreGroup;
  readonly #raft: MemberParts['raft'];
  readonly #random: Random;

  constructor(group: StoreGroup, raft: MemberParts['raft'], random: Random) {
    this.#group = group;
    this.#raft = raft;
    this.#random = random;
  }

  /** Asks for one change and says which; refused when it cannot be: that is an answer, too. */
  next(): string {
    const { voters, learners } = this.#raft.configuration();
    const outside = this.#outside();
    const dice = this.#random.next();
    if (dice < 0.2 && outside.length > 0) return this.#add(this.#pick(outside), this.#random.next() < 0.5);
    if (dice < 0.45 && outside.length > 0) return this.#learners(outside);
    if (dice < 0.55 && learners.length > 0) {
      const id = this.#pick(learners);
      return this.#ask(`promote ${id}`, this.#raft.promote(id));
    }
    if (dice < 0.85 && learners.length > 0) return this.#replace(learners);
    if (voters.length <= 2) return 'none';
    const id = this.#pick(voters);
    if (dice < 0.93) return this.#ask(`demote ${id}`, this.#raft.demoteVoter(id));
    return this.#ask(`remove ${id}`, this.#raft.removeServer(id));
  }

  /** Learners for voters, at once: a joint configuration. */
  #replace(coming: readonly MemberId[]): string {
    const going = this.#raft.configuration().voters.slice(0, coming.length);
    const steps: MemberStep[] = [
      ...coming.map((id) => ({ type: 'add-voter' as const, id })),
      ...going.filter(() => this.#random.next() < 0.8).map((id) => ({ type: 'remove' as const, id })),
    ];
    const what = `joint ${steps.map(({ type, id }) => `${type} ${id}`).join()}`;
    return this.#ask(what, this.#raft.changeMembers(steps, { transition: 'joint' }));
  }

  #learners(outside: readonly Member[]): string {
    for (const member of outside) this.#group.start(member);
    const steps = outside.map(({ name }): MemberStep => {
      return { type: 'add-learner', id: memberId(name), address: name };
    });
    return this.#ask(`learners ${outside.map(({ name }) => name).join()}`, this.#raft.changeMembers(steps));
  }

  #add(member: Member, asLearner: boolean): string {
    this.#group.start(member);
    const id: MemberId = memberId(member.name);
    const options = { address: member.name };
    return asLearner
      ? this.#ask(`learner ${id}`, this.#raft.addNonvoter(id, options))
      : this.#ask(`voter ${id}`, this.#raft.addVoter(id, options));
  }

  #outside(): readonly Member[] {
    const configuration = this.#raft.configuration();
    return this.#group.members.filter(
      ({ name, isLost }) => !isLost && !isMember(configuration, memberId(name)),
    );
  }

  #ask(what: string, change: Promise<unknown>): string {
    change.catch(() => undefined);
    return what;
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.integer(from.length)]!;
  }
}
