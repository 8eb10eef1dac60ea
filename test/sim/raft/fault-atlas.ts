/**
 * Whose copies are still good. A disk may be damaged for good only while a majority of every set of voters that may be in force
 * keeps its own: then what is committed is never lost, nobody has an excuse, and every failure is a bug (TigerBeetle's VOPR).
 */
import {
  type Configuration,
  decodeConfiguration,
  type MemberId,
  RaftError,
  StorageError,
} from 'raft-consensus';
import type { MemberParts } from '../../../actors/store/index.js';
import type { Member } from './store-group.js';

export class FaultAtlas {
  readonly #members: readonly Member[];
  readonly #damaged = new Set<string>();

  constructor(members: readonly Member[]) {
    this.#members = members;
  }

  get hasDamage(): boolean {
    return this.#damaged.size > 0;
  }

  isDamaged({ name }: Member): boolean {
    return this.#damaged.has(name);
  }

  mayDamage({ name }: Member): boolean {
    const bad = new Set([...this.#damaged, name]);
    return this.#configurations().every(({ voters, votersOutgoing = [] }) =>
      [voters, votersOutgoing].every((set) => isSurvivable(set, bad)),
    );
  }

  damage({ name }: Member): void {
    this.#damaged.add(name);
  }

  #configurations(): readonly Configuration[] {
    return this.#members.flatMap(({ parts, lastConfigurations }) =>
      parts ? configurationsKnownTo(parts) : lastConfigurations,
    );
  }
}

/** Those that it goes by, and those that its log holds and that may come into force. */
export function configurationsKnownTo({ raft }: MemberParts): readonly Configuration[] {
  const { configuration, appliedIndex, log } = raft.core;
  const known: Configuration[] = [configuration];
  for (let index = appliedIndex + 1; index <= log.lastIndex; index++) {
    const entry = log.at(index);
    const pending = entry?.type === 'config' ? decodeConfiguration(entry.data) : null;
    if (pending) known.push(pending);
  }
  return known;
}

function isSurvivable(voters: readonly MemberId[], bad: ReadonlySet<string>): boolean {
  const lost = voters.filter((voter) => bad.has(voter)).length;
  return lost === 0 || 2 * (voters.length - lost) > voters.length;
}

/** What a member says of a disk that must not be relied on. */
export function isDamage(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (at instanceof StorageError && damageCodes.has(at.code)) return true;
    if (at instanceof RaftError && at.code === 'Corrupt') return true;
  }
  return false;
}

const damageCodes: ReadonlySet<string> = new Set([
  'WalCorrupt',
  'WalLost',
  'SnapshotCorrupt',
  'ValueCorrupt',
]);
