/**
 * Who belongs to a group, as pure functions: what a change makes of a configuration, and how one is written
 * into an entry. Joint consensus after Raft §6 and etcd-io/raft's confchange: while two sets of voters stand,
 * decisions need a majority of each. An entry holds the whole configuration after the change, not the
 * change, so that the newest entry alone says who belongs. It counts from when it is applied (etcd), not
 * from when it is appended (paper); what makes that safe stands at `RaftCore.changeConfiguration`.
 */
import * as limits from '../limits.js';
import { logIndex, memberId } from './types.js';
import type { Configuration, LogIndex, MemberId } from './types.js';

export type MemberStep =
  /** A new member, or a learner that shall vote. */
  | { readonly type: 'add-voter'; readonly id: MemberId; readonly address?: string }
  /** A new member that gets the log and does not vote, or a voter that shall not vote any more. */
  | { readonly type: 'add-learner'; readonly id: MemberId; readonly address?: string }
  | { readonly type: 'remove'; readonly id: MemberId }
  | { readonly type: 'set-address'; readonly id: MemberId; readonly address: string };

/** `auto`: jointly when more than one voter changes; `joint-explicit` stays joint until `leave-joint`. */
export type Transition = 'auto' | 'joint' | 'joint-explicit';

export type ConfigurationChange =
  | {
      readonly type: 'steps';
      readonly steps: readonly MemberStep[];
      readonly transition?: Transition;
      /** Only if the configuration is still the one of this index (hashicorp/raft: prevIndex). */
      readonly prevIndex?: LogIndex;
    }
  | { readonly type: 'leave-joint' }
  /** Writes the configuration that the group was made with into the log. */
  | { readonly type: 'record' };

export const isJoint = (configuration: Configuration): boolean =>
  (configuration.votersOutgoing?.length ?? 0) > 0;

/** Everybody who gets the log: incoming voters first, then outgoing ones, then learners; each once. */
export function membersOf(configuration: Configuration): readonly MemberId[] {
  const { voters, votersOutgoing = [], learners } = configuration;
  return [...new Set([...voters, ...votersOutgoing, ...learners])];
}

export const isMember = (configuration: Configuration, id: MemberId): boolean =>
  membersOf(configuration).includes(id);

/** The configuration after `change`; a string says why there is none. */
export function afterChange(current: Configuration, change: ConfigurationChange): Configuration | string {
  switch (change.type) {
    case 'steps':
      return afterSteps(current, change.steps, change.transition);
    case 'leave-joint':
      return isJoint(current) ? afterJoint(current) : 'no joint change is under way';
    case 'record':
      return current;
    default:
      return change satisfies never;
  }
}

export const noVoterLeft = 'no voter would be left';
export const tooManyMembers = `more than ${limits.membersMax} members`;

/** The configuration after `steps`; a string says why there is none. */
export function afterSteps(
  current: Configuration,
  steps: readonly MemberStep[],
  transition: Transition = 'auto',
): Configuration | string {
  if (isJoint(current)) return 'a joint change is not over';
  const voters = new Set(current.voters);
  const learners = new Set(current.learners);
  const addresses = new Map(Object.entries(current.addresses ?? {}));
  for (const step of steps) {
    const wrong = takeStep(step, voters, learners, addresses);
    if (wrong !== null) return wrong;
  }
  if (voters.size === 0) return noVoterLeft;
  if (voters.size + learners.size > limits.membersMax) return tooManyMembers;
  const changed = [...new Set([...current.voters, ...voters])].filter(
    (id) => voters.has(id) !== current.voters.includes(id),
  );
  if (transition === 'auto' && changed.length <= 1) {
    return trimmed({ voters: [...voters], learners: [...learners] }, addresses);
  }
  // A voter that becomes a learner votes in the outgoing set until the change is over.
  const outgoing = new Set(current.voters);
  const next = [...learners].filter((id) => outgoing.has(id));
  return trimmed(
    {
      voters: [...voters],
      learners: [...learners].filter((id) => !outgoing.has(id)),
      votersOutgoing: [...outgoing],
      learnersNext: next,
      autoLeave: transition !== 'joint-explicit',
    },
    addresses,
  );
}

/** The configuration when the joint one is left: the incoming voters alone decide. */
export function afterJoint(current: Configuration): Configuration {
  const { voters, learners, learnersNext = [], addresses = {} } = current;
  return trimmed({ voters, learners: [...learners, ...learnersNext] }, new Map(Object.entries(addresses)));
}

function takeStep(
  step: MemberStep,
  voters: Set<MemberId>,
  learners: Set<MemberId>,
  addresses: Map<string, string>,
): string | null {
  const { id } = step;
  if (id === '') return 'a member needs a name';
  const known = voters.has(id) || learners.has(id);
  switch (step.type) {
    case 'add-voter':
      if (voters.has(id)) return `${id} votes already`;
      learners.delete(id);
      voters.add(id);
      break;
    case 'add-learner':
      if (learners.has(id)) return `${id} is a learner already`;
      voters.delete(id);
      learners.add(id);
      break;
    case 'remove':
      if (!known) return `${id} is not a member`;
      voters.delete(id);
      learners.delete(id);
      return null;
    case 'set-address':
      if (!known) return `${id} is not a member`;
      break;
    default:
      step satisfies never;
  }
  if (step.address !== undefined) addresses.set(id, step.address);
  return null;
}

/** Without what is empty, and without the addresses of those who are gone. */
function trimmed(configuration: Configuration, addresses: ReadonlyMap<string, string>): Configuration {
  const { voters, learners, votersOutgoing = [], learnersNext = [], autoLeave } = configuration;
  const kept = membersOf(configuration)
    .toSorted()
    .flatMap((id) => (addresses.has(id) ? [[id, addresses.get(id)!] as const] : []));
  return {
    voters,
    learners,
    ...(votersOutgoing.length > 0 && { votersOutgoing }),
    ...(learnersNext.length > 0 && { learnersNext }),
    ...(votersOutgoing.length > 0 && { autoLeave: autoLeave ?? true }),
    ...(kept.length > 0 && { addresses: Object.fromEntries(kept) }),
  };
}

/** As the data of an entry: text, since there are few of them and people read them. */
export function encodeConfiguration(configuration: Configuration): Uint8Array {
  const { voters, learners, votersOutgoing, learnersNext, autoLeave, addresses, index } = configuration;
  return Buffer.from(
    JSON.stringify({ voters, learners, votersOutgoing, learnersNext, autoLeave, addresses, index }),
  );
}

/** Null: these bytes are no configuration. */
export function decodeConfiguration(data: Uint8Array): Configuration | null {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8'));
  } catch {
    return null;
  }
  return isConfiguration(value) ? plain(value) : null;
}

/** The configuration that the entry at `index` makes. */
export function configurationAt(data: Uint8Array, index: LogIndex): Configuration {
  const decoded = decodeConfiguration(data);
  if (decoded === null) throw new TypeError(`the entry ${index} holds no configuration`);
  return { ...decoded, index };
}

/** Does `value` have the shape of one? For what comes from a peer or a disk. */
export function isConfiguration(value: unknown): value is Configuration {
  if (typeof value !== 'object' || value === null) return false;
  const { voters, learners, votersOutgoing, learnersNext, autoLeave, addresses, index } = value as {
    readonly [field: string]: unknown;
  };
  return (
    isNames(voters) &&
    isNames(learners) &&
    (votersOutgoing === undefined || isNames(votersOutgoing)) &&
    (learnersNext === undefined || isNames(learnersNext)) &&
    (autoLeave === undefined || typeof autoLeave === 'boolean') &&
    (addresses === undefined || isAddresses(addresses)) &&
    (index === undefined || (Number.isSafeInteger(index) && (index as number) >= 0))
  );
}

/** Only the known fields. */
function plain(value: Configuration): Configuration {
  const ids = (names: readonly string[]): MemberId[] => names.map(memberId);
  return {
    voters: ids(value.voters),
    learners: ids(value.learners),
    ...(value.votersOutgoing && { votersOutgoing: ids(value.votersOutgoing) }),
    ...(value.learnersNext && { learnersNext: ids(value.learnersNext) }),
    ...(value.autoLeave !== undefined && { autoLeave: value.autoLeave }),
    ...(value.addresses && { addresses: value.addresses }),
    ...(value.index !== undefined && { index: logIndex(value.index) }),
  };
}

const isNames = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.length <= limits.membersMax &&
  value.every((name) => typeof name === 'string' && name !== '') &&
  new Set(value).size === value.length;

const isAddresses = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.values(value).every((address) => typeof address === 'string');
