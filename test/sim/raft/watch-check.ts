/**
 * What watchers saw, judged by etcd's promises (filter, ordered, unique, atomic, reliable, resumable, bookmarkable, isCreate,
 * prevKv) against
 * the committed history. What can be judged at once is judged when a batch arrives.
 */
import type { WatchBatch, WatchEvent, WatchRequest } from 'raft-consensus';
import { type Truth, type TrueChange, versionOf } from './truth.js';

export class WatchLog {
  readonly name: string;
  readonly request: WatchRequest;
  /** Everything up to here was delivered. */
  reached: number;
  #start: number | undefined;
  #events = 0;
  readonly #truth: Truth;
  readonly #fail: (message: string) => never;

  /** Without a start revision it begins with the first batch. */
  constructor(name: string, request: WatchRequest, truth: Truth, fail: (message: string) => never) {
    this.name = name;
    this.request = request;
    this.#truth = truth;
    this.#fail = fail;
    this.#start = request.startRevision || undefined;
    this.reached = (this.#start ?? 1) - 1;
  }

  get events(): number {
    return this.#events;
  }

  /** The history that it asks for has been compacted. */
  compacted(compactRevision: number): void {
    if (this.reached + 1 < compactRevision) return;
    this.#fail(`${this.name} was told of compaction at ${compactRevision}, having reached ${this.reached}`);
  }

  batch(batch: WatchBatch): void {
    const { name } = this;
    if (batch.revision > this.#truth.head) {
      this.#fail(`${name}: progress ${batch.revision} is ahead of the store at ${this.#truth.head}`);
    }
    const [first] = batch.events;
    // From the next change on: which that is, only the first batch can say.
    if (this.#start === undefined) {
      this.#start = Math.min(first?.kv.modRevision ?? Infinity, batch.revision + (first ? 0 : 1));
      this.reached = this.#start - 1;
    }
    if (batch.revision < this.reached) this.#fail(`${name}: progress went back to ${batch.revision}`);
    const owed = this.#owed(this.reached, batch.revision);
    for (const [at, event] of batch.events.entries()) this.#event(event, owed[at], batch.revision);
    if (owed.length > batch.events.length) {
      this.#fail(`${name}: at ${batch.revision} without ${show(owed[batch.events.length]!)}`);
    }
    this.#events += batch.events.length;
    this.reached = batch.revision;
  }

  #event(event: WatchEvent, owed: TrueChange | undefined, upTo: number): void {
    const { name } = this;
    const { kv } = event;
    const what = `${event.type} ${kv.key}@${kv.modRevision}`;
    if (kv.modRevision <= this.reached)
      this.#fail(`${name}: ${what} came late or twice, after ${this.reached}`);
    if (kv.modRevision > upTo) this.#fail(`${name}: ${what} in a batch up to ${upTo}`);
    if (owed === undefined) return void this.#fail(`${name}: ${what} is an event too many`);
    const isRight =
      owed.key === kv.key &&
      owed.mod === kv.modRevision &&
      owed.deleted === (event.type === 'delete') &&
      (owed.deleted ||
        (owed.value === versionOf(kv).value &&
          owed.create === kv.createRevision &&
          owed.version === kv.version));
    if (!isRight) this.#fail(`${name}: ${what} instead of ${show(owed)}`);
    this.#previous(event, owed);
  }

  /** Absent for a creation, or when compaction may have taken it. */
  #previous({ prevKv, kv }: WatchEvent, owed: TrueChange): void {
    const mayLack =
      owed.previous === null || !this.request.prevKv || kv.modRevision <= this.#truth.compactedTo;
    if (prevKv === undefined && mayLack) return;
    if (prevKv === undefined) {
      return void this.#fail(`${this.name}: ${show(owed)} comes without its previous version`);
    }
    const { previous } = owed;
    const isRight =
      previous !== null &&
      prevKv.key === kv.key &&
      previous.value === versionOf(prevKv).value &&
      previous.mod === prevKv.modRevision &&
      previous.version === prevKv.version;
    if (this.request.prevKv !== true || !isRight) {
      this.#fail(`${this.name}: ${kv.key}@${kv.modRevision} comes with a wrong previous version`);
    }
  }

  #owed(after: number, upTo: number): readonly TrueChange[] {
    const owed: TrueChange[] = [];
    for (let revision = after + 1; revision <= upTo; revision++) {
      for (const change of this.#truth.changesAt(revision)) if (this.#covers(change)) owed.push(change);
    }
    return owed;
  }

  #covers({ key, deleted }: TrueChange): boolean {
    const { key: from, rangeEnd: to, noPut, noDelete } = this.request;
    if (deleted ? noDelete : noPut) return false;
    if (to === undefined) return key === from;
    return key >= from && (to === '\0' || key < to);
  }
}

function show(change: TrueChange): string {
  return `${change.deleted ? 'delete' : 'put'} ${change.key}@${change.mod}`;
}
