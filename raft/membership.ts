/**
 * What a leader asks itself before it changes the members: may this be, and would the group live through it?
 * The core sees to safety; this is about not losing the quorum by a slip of an operator (etcd's strict
 * reconfiguration check, and its texts).
 */
import {
  afterSteps,
  isMember,
  type MemberStep,
  noVoterLeft,
  tooManyMembers,
  type Transition,
} from './core/configuration.js';
import type { RaftCore } from './core/core.js';
import type { Configuration, LogIndex, MemberId } from './core/types.js';
import { RaftError, type MembershipRefusal } from './errors.js';
import * as limits from './limits.js';

export interface ChangeOptions {
  /** Only if the configuration is still the one of this index (`configuration().index`). */
  readonly prevIndex?: LogIndex;
  readonly timeoutMs?: number;
}

export interface AddOptions extends ChangeOptions {
  /** Where the member is reached; kept in the configuration, opaque to Raft. */
  readonly address?: string;
}

export interface ChangeManyOptions extends ChangeOptions {
  /** Default `auto`: jointly when more than one voter changes. */
  readonly transition?: Transition;
}

export type Lives = (peer: MemberId) => boolean;

const reasons: Readonly<Record<string, MembershipRefusal>> = {
  [noVoterLeft]: 'no-voter-left',
  [tooManyMembers]: 'too-many-members',
};

/** Null: nothing speaks against the steps. */
export function refusalOf(
  core: RaftCore,
  steps: readonly MemberStep[],
  transition: Transition | undefined,
  lives: Lives,
): RaftError | null {
  const { configuration } = core;
  for (const step of steps) {
    const refused = refusalOfStep(core, step);
    if (refused !== null) return refused;
  }
  const next = afterSteps(configuration, steps, transition);
  if (typeof next === 'string') return refused(reasons[next] ?? 'invalid', next);
  const learners = next.learners.length + (next.learnersNext?.length ?? 0);
  if (learners > limits.learnersMax && learners > configuration.learners.length) {
    return refused('too-many-learners', 'too many learner members in cluster');
  }
  return quorumRisk(core.id, configuration, next, lives);
}

function refusalOfStep({ configuration, log, leader }: RaftCore, step: MemberStep): RaftError | null {
  const { id } = step;
  const known = isMember(configuration, id);
  switch (step.type) {
    case 'add-learner':
      if (configuration.learners.includes(id)) return refused('member-exists', `member ${id} already exists`);
      return addressTaken(configuration, id, step.address);
    case 'add-voter': {
      if (configuration.voters.includes(id)) return refused('member-exists', `member ${id} already exists`);
      if (!known) return addressTaken(configuration, id, step.address);
      const match = leader?.peers.get(id)?.match ?? 0;
      if (match * 100 >= log.lastIndex * limits.promotionReadyPercent) return null;
      return refused('learner-not-ready', 'can only promote a learner member which is in sync with leader');
    }
    case 'remove':
      return known ? null : refused('member-not-found', `member ${id} not found`);
    case 'set-address':
      if (!known) return refused('member-not-found', `member ${id} not found`);
      return addressTaken(configuration, id, step.address);
    default:
      return step satisfies never;
  }
}

function addressTaken(
  { addresses = {} }: Configuration,
  id: MemberId,
  address: string | undefined,
): RaftError | null {
  if (address === undefined) return null;
  const owner = Object.keys(addresses).find((other) => other !== id && addresses[other] === address);
  return owner === undefined
    ? null
    : refused('member-exists', `the address ${address} is that of member ${owner} already`);
}

/**
 * Of the voters after the change, a majority must be alive now, or nothing would ever be committed again. A
 * group of one may grow, although the second cannot be known to live (etcd does the same).
 */
function quorumRisk(
  self: MemberId,
  before: Configuration,
  after: Configuration,
  lives: Lives,
): RaftError | null {
  const gone = before.voters.filter((id) => !after.voters.includes(id));
  const added = after.voters.filter((id) => !before.voters.includes(id));
  if (gone.length === 0 && added.length === 0) return null;
  const isAlive = (id: MemberId): boolean => id === self || lives(id);
  const alive = after.voters.filter(isAlive).length;
  const needed = Math.floor(after.voters.length / 2) + 1;
  if (alive >= needed) return null;
  if (before.voters.length === 1 && added.length === 1 && gone.length === 0) return null;
  return refused(
    'quorum-at-risk',
    `re-configuration failed due to not enough started members: ${alive} of the ${after.voters.length} voters ` +
      `that there would be are alive, ${needed} must be`,
  );
}

export const refused = (reason: MembershipRefusal, message: string): RaftError =>
  new RaftError('Membership', message, { definite: true, reason });
