/**
 * The one committed history, revision by revision, as the members' state machines make it: the first to apply a revision
 * tells, all others must agree with it (state machine safety, seen from the state). It is replayed here by a model of its
 * own, so that a store which is wrong on every member alike is found too.
 */
import { strict as assert } from 'node:assert';
import {
  type Change,
  type KvStore,
  KvError,
  type KeyValue,
  type LeaseId,
  type Revision,
} from 'raft-consensus';
import type { Version } from './history.js';

export interface TrueChange extends Version {
  readonly key: string;
  readonly deleted: boolean;
  readonly lease: LeaseId;
  readonly previous: (Version & { readonly lease: LeaseId }) | null;
}

interface TrueRevision {
  readonly changes: readonly TrueChange[];
  /** Virtual time of the first apply. */
  readonly atMs: number;
}

export interface FollowedLife {
  isAlive(): boolean;
  onApply(): void;
  onRestore(): void;
}

export class Truth {
  /** `#revisions[r]`; a fresh store is at revision 1, which changes nothing. */
  readonly #revisions: TrueRevision[] = [
    { changes: [], atMs: 0 },
    { changes: [], atMs: 0 },
  ];
  readonly #byKey = new Map<string, TrueChange[]>();
  readonly #nowMs: () => number;
  /** The highest revision that any member has compacted. */
  compactedTo = 0;
  /** The first thing that is wrong is thrown here too, since a listener's error is the member's. */
  readonly #fail: (message: string) => never;

  constructor(nowMs: () => number, fail: (message: string) => never) {
    this.#nowMs = nowMs;
    this.#fail = fail;
  }

  get head(): number {
    return this.#revisions.length - 1;
  }

  changesAt(revision: number): readonly TrueChange[] {
    return this.#revisions[revision]?.changes ?? [];
  }

  appliedAtMs(revision: number): number {
    return this.#revisions[revision]?.atMs ?? 0;
  }

  /** All changes of all keys, oldest first. */
  get changes(): readonly TrueChange[] {
    return this.#revisions.flatMap(({ changes }) => changes);
  }

  /** The key as of that revision. */
  at(key: string, revision: number): TrueChange | null {
    const versions = this.#byKey.get(key) ?? [];
    let [low, high] = [0, versions.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (versions[middle]!.mod <= revision) low = middle + 1;
      else high = middle;
    }
    const found = versions[low - 1];
    return found === undefined || found.deleted ? null : found;
  }

  /** Listens to one member's state machine, from its start to its end. */
  follow(member: string, store: KvStore, life: FollowedLife): void {
    store.listen({
      changed: (at, changes) => {
        life.onApply();
        if (!life.isAlive()) return;
        const told = changes.map((change) => trueChangeOf(store, change));
        this.record(member, at, told);
      },
      restored: () => {
        life.onRestore();
        if (life.isAlive()) this.#compareWith(member, store);
      },
    });
  }

  /** What a member made of a revision. */
  record(member: string, at: number, changes: readonly TrueChange[]): void {
    if (at <= this.head) {
      const known = text(this.changesAt(at));
      const found = text(changes);
      if (known === found) return;
      this.#fail(`state machine safety: ${member} made ${found} of revision ${at}, which is ${known}`);
    }
    if (at !== this.head + 1) this.#fail(`${member} skipped from revision ${this.head} to ${at}`);
    for (const change of changes) this.#checkAgainstModel(member, change, at);
    this.#revisions.push({ changes, atMs: this.#nowMs() });
    for (const change of changes) {
      const versions = this.#byKey.get(change.key) ?? [];
      versions.push(change);
      this.#byKey.set(change.key, versions);
    }
  }

  #checkAgainstModel(member: string, change: TrueChange, at: number): void {
    const before = this.at(change.key, at - 1);
    const expected = change.deleted
      ? { create: 0, version: 0 }
      : { create: before?.create ?? at, version: (before?.version ?? 0) + 1 };
    const isRight =
      change.mod === at && change.create === expected.create && change.version === expected.version;
    if (!isRight || (change.deleted && before === null)) {
      this.#fail(`${member} made ${text([change])} at ${at}, on ${before ? text([before]) : 'nothing'}`);
    }
    const { previous } = change;
    if ((previous === null) !== (before === null) || (previous && previous.value !== before?.value)) {
      this.#fail(`${member} says that ${text([change])} followed ${previous?.value ?? 'nothing'}`);
    }
  }

  /** A snapshot was installed: the whole state must be that of its revision. */
  #compareWith(member: string, store: KvStore): void {
    const { revision } = store;
    if (revision > this.head) this.#fail(`${member} restored revision ${revision} beyond ${this.head}`);
    this.#compareAt(member, store, revision);
    // The history that it brings must be whole from its first revision on.
    if (store.compactRevision > 0) this.#compareAt(member, store, store.compactRevision);
  }

  #compareAt(member: string, store: KvStore, revision: Revision): void {
    const all = store.range({ type: 'range', key: '\0', rangeEnd: '\0', revision });
    assert(!(all instanceof KvError), `revision ${revision} can be read`);
    const found = all.result.kvs.map((kv) => text([{ ...versionOf(kv), key: kv.key, deleted: false }]));
    const expected = [...this.#byKey.keys()].toSorted().flatMap((key) => {
      const version = this.at(key, revision);
      return version ? [text([version])] : [];
    });
    if (found.join() !== expected.join()) {
      this.#fail(`snapshot: ${member} holds ${found.join()} at ${revision}, not ${expected.join()}`);
    }
  }
}

function trueChangeOf(store: KvStore, { kv, prev }: Change): TrueChange {
  return trueChange({ kv: store.kvOf(kv), prev: prev && store.kvOf(prev) });
}

export function trueChange(change: {
  readonly kv: KeyValue;
  readonly prev: KeyValue | undefined;
}): TrueChange {
  const { kv, prev } = change;
  return {
    ...versionOf(kv),
    key: kv.key,
    deleted: kv.version === 0,
    lease: kv.lease,
    previous: prev ? { ...versionOf(prev), lease: prev.lease } : null,
  };
}

export function versionOf(kv: KeyValue): Version {
  const value = Buffer.from(kv.value).toString();
  return { value, mod: kv.modRevision, create: kv.createRevision, version: kv.version };
}

function text(changes: readonly (Version & { key: string; deleted: boolean })[]): string {
  return changes
    .map((c) => `${c.key}=${c.deleted ? 'deleted' : c.value}@${c.mod}/${c.create}/${c.version}`)
    .join(' ');
}
