/** Tells Raft at once when the link knows that a peer has ended, which Raft by itself would find out by its silence. */
import { type Configuration, type MemberId, membersOf } from 'raft-consensus';
import type { NodeId } from '../../transport/index.js';
import type { ActorSystem } from '../runtime/index.js';
import type { MemberBook } from './membership.js';

export class PeerEnds {
  readonly #system: ActorSystem;
  readonly #book: MemberBook;
  readonly #ended: (peer: MemberId) => void;
  readonly #forget = new Map<MemberId, () => void>();

  constructor(system: ActorSystem, book: MemberBook, ended: (peer: MemberId) => void) {
    this.#system = system;
    this.#book = book;
    this.#ended = ended;
  }

  /** The members are these now. */
  follow(configuration: Configuration): void {
    const members = membersOf(configuration);
    for (const [id, forget] of this.#forget) {
      if (members.includes(id)) continue;
      forget();
      this.#forget.delete(id);
    }
    for (const id of members) {
      const ref = this.#book.ref(id);
      if (id === this.#book.self || ref === undefined || this.#forget.has(id)) continue;
      this.#await(id, ref.node);
    }
  }

  close(): void {
    for (const forget of this.#forget.values()) forget();
    this.#forget.clear();
  }

  /** Each end is told once: it may start again, and end again. */
  #await(id: MemberId, node: NodeId): void {
    const forget = this.#system.onNodeDown(node, () => {
      this.#await(id, node);
      this.#ended(id);
    });
    this.#forget.set(id, forget);
  }
}
