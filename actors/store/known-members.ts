/**
 * The members that a client knows, nearest first: those that it was told of, and whom it heard of since. Each keeps its place
 * while requests are on their way to it; one that has left the group keeps it, too, until somebody needs it, but is not asked any
 * more.
 */
import { strict as assert } from 'node:assert';
import type { ActorRef } from '../runtime/index.js';
import { storeLimits } from './limits.js';
import { refOf } from './membership.js';
import type { StoreMessage } from './messages.js';

export interface KnownMember {
  readonly name: string;
  readonly ref: ActorRef<StoreMessage>;
}

export class KnownMembers {
  readonly #members: KnownMember[];
  /** Names of those that the group has not named when it last said who belongs to it. */
  readonly #gone = new Set<string>();

  constructor(members: readonly KnownMember[]) {
    if (members.length === 0) throw new TypeError('the store has no members');
    this.#members = [...members];
  }

  at(place: number): KnownMember {
    const member = this.#members[place];
    assert(member, `there is no member in place ${place}`);
    return member;
  }

  /** How many are worth asking. */
  get count(): number {
    const count = this.#members.filter(({ name }) => !this.#gone.has(name)).length;
    return count === 0 ? this.#members.length : count;
  }

  /** The nearest that is worth asking. */
  get nearest(): number {
    return this.after(-1);
  }

  /** Whom to ask when this one was of no help. */
  after(place: number): number {
    const { length } = this.#members;
    for (let i = 1; i <= length; i++) {
      const next = (place + i) % length;
      if (!this.#gone.has(this.#members[next]!.name)) return next;
    }
    // All may have been replaced by others that are not known.
    return (place + 1) % length;
  }

  /** -1: it is not known. */
  placeOf(name: string | undefined): number {
    return this.#members.findIndex((member) => member.name === name);
  }

  /** One member, on this node, belongs to the group. */
  meet(name: string, node: string | undefined): void {
    if (node === undefined) return;
    this.#gone.delete(name);
    if (this.placeOf(name) !== -1) return;
    const member = { name, ref: refOf(node) };
    const free = this.#members.findIndex((one) => this.#gone.has(one.name));
    if (this.#members.length < storeLimits.membersKnownMax) this.#members.push(member);
    else if (free !== -1) {
      this.#gone.delete(this.#members[free]!.name);
      this.#members[free] = member;
    }
  }

  /** These are all that belong to the group. */
  learn(members: readonly { readonly name: string; readonly address?: string }[]): void {
    // Most answers name nobody.
    if (members.length === 0) return;
    const names = new Set(members.map(({ name }) => name));
    for (const { name } of this.#members) {
      if (names.has(name)) this.#gone.delete(name);
      else this.#gone.add(name);
    }
    for (const { name, address } of members) this.meet(name, address);
  }
}
