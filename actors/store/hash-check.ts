/**
 * Finds a member whose state differs from the others' though it applied the same entries (etcd #14039, #13766, #18667). Every
 * member notes the digest of its state at certain indexes of the log; the leader collects these notes now and then. Who
 * differs from a majority of voters at any index is wrong, the leader included, and the group raises the alarm Corrupt for it;
 * it ends when it hears of that. When no majority agrees, round after round, the alarm names nobody and stops the whole group.
 */
import type { Alarm, KvStore } from 'raft-consensus';

/** The digest of a member's state after the entry at `index`. */
export interface DigestPoint {
  readonly index: number;
  readonly digest: number;
}

/** A point every so many entries, the newest ones kept: lag of a follower up to their product is no obstacle. */
const pointEveryEntries = 32;
const pointsMax = 128;
const pointsSentMax = 16;
/** Rounds without a majority before nobody is trusted. */
const undecidedRoundsMax = 3;

export class DigestTrail {
  readonly #store: KvStore;
  readonly #points: DigestPoint[] = [];

  constructor(store: KvStore) {
    this.#store = store;
    store.listen({
      applied: (index) => {
        if (index % pointEveryEntries !== 0) return;
        this.#points.push({ index, digest: store.digest });
        if (this.#points.length > pointsMax) this.#points.shift();
      },
    });
  }

  /** The newest last: where the member is right now. */
  points(countMax: number = pointsSentMax): readonly DigestPoint[] {
    const now = { index: this.#store.appliedIndex, digest: this.#store.digest };
    return [...this.#points.slice(-countMax), now];
  }
}

export class HashCheck {
  readonly #name: string;
  readonly #trail: DigestTrail;
  readonly #heard = new Map<string, readonly DigestPoint[]>();
  #undecidedRounds = 0;

  constructor(name: string, store: KvStore) {
    this.#name = name;
    this.#trail = new DigestTrail(store);
  }

  /** What this member tells a leader that asks. */
  points(): readonly DigestPoint[] {
    return this.#trail.points();
  }

  /** Of the leader: what a member told. */
  hear(from: string, points: readonly DigestPoint[]): void {
    this.#heard.set(from, points.slice(-pointsSentMax - 1));
  }

  /** The member does not lead. */
  rest(): void {
    this.#heard.clear();
    this.#undecidedRounds = 0;
  }

  /** Of the leader: ends a round; the alarms that are due by what was heard in it. */
  round(members: readonly string[], voters: readonly string[]): readonly Alarm[] {
    const told = new Map([[this.#name, this.#trail.points(Infinity)] as const]);
    for (const name of members) {
      const points = this.#heard.get(name);
      if (points) told.set(name, points);
    }
    this.#heard.clear();
    const { diverged, isUndecided } = judge(told, voters);
    this.#undecidedRounds = isUndecided ? this.#undecidedRounds + 1 : 0;
    const names = this.#undecidedRounds >= undecidedRoundsMax ? [...diverged, ''] : diverged;
    return names.map((member) => ({ type: 'Corrupt', member }));
  }
}

/** Who differs from a majority at any index; undecided where members differ and no majority agrees. */
export function judge(
  told: ReadonlyMap<string, readonly DigestPoint[]>,
  voters: readonly string[],
): { readonly diverged: readonly string[]; readonly isUndecided: boolean } {
  const byIndex = new Map<number, Map<number, Set<string>>>();
  for (const [name, points] of told) {
    for (const { index, digest } of points) {
      const digests = byIndex.get(index) ?? new Map<number, Set<string>>();
      byIndex.set(index, digests);
      digests.set(digest, (digests.get(digest) ?? new Set()).add(name));
    }
  }
  const diverged = new Set<string>();
  let isUndecided = false;
  for (const digests of byIndex.values()) {
    if (digests.size < 2) continue;
    const right = [...digests.values()].find(
      (names) => voters.filter((voter) => names.has(voter)).length > voters.length / 2,
    );
    if (right === undefined) isUndecided = true;
    else for (const names of digests.values()) if (names !== right) names.forEach((one) => diverged.add(one));
  }
  return { diverged: [...diverged].sort(), isUndecided };
}
