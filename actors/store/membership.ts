/**
 * The group's members as actors: who they are stands in Raft's configuration, and the address kept there is the node that
 * a member lives on. Requests to change them are served here.
 */
import { type Configuration, isMember, type MemberId, memberId, membersOf } from 'raft-consensus';
import { type ActorRef, actorRef } from '../runtime/index.js';
import { nodeId } from '../../transport/index.js';
import type { StoreMemberInfo } from './client.js';
import { storeLimits } from './limits.js';
import { type MemberAddress, readAddress, writeAddress } from './member-address.js';
import type { StoreMessage } from './messages.js';

export interface StorePeer {
  readonly name: string;
  readonly ref: ActorRef<StoreMessage>;
  /** What its founders write into the configuration besides its node. */
  readonly address?: Omit<MemberAddress, 'node'>;
}

export class MemberBook {
  readonly self: MemberId;
  /** Those that the member was started with, and all that a configuration ever named. */
  readonly #refs: Map<MemberId, ActorRef<StoreMessage>>;

  #gone: Configuration | null = null;

  readonly #founders: readonly StorePeer[];

  constructor(self: string, peers: readonly StorePeer[]) {
    this.self = memberId(self);
    this.#founders = peers;
    this.#refs = new Map(peers.map(({ name, ref }) => [memberId(name), ref]));
  }

  /** That a group of these peers is made with. */
  get configuration(): Configuration {
    const addresses = Object.fromEntries(
      this.#founders.map(({ name, ref, address }) => [name, writeAddress({ node: ref.node, ...address })]),
    );
    return { voters: this.#founders.map(({ name }) => memberId(name)), learners: [], addresses };
  }

  get others(): readonly ActorRef<StoreMessage>[] {
    return [...this.#refs].flatMap(([id, ref]) => (id === this.self ? [] : [ref]));
  }

  /** Another member says that `self` does not belong, as of `configuration`. */
  told(configuration: Configuration, own: Configuration): void {
    if ((configuration.index ?? 0) <= (own.index ?? 0) || isMember(configuration, this.self)) return;
    this.follow(configuration);
    this.#gone = configuration;
  }

  /** The configuration without this member, as far as that is known; null: it belongs. */
  without(own: Configuration): Configuration | null {
    return this.#gone ?? (isMember(own, this.self) ? null : own);
  }

  /** `id` wrote from `node`; a configuration knows better. */
  heardFrom(id: MemberId, node: string | undefined): void {
    if (node === undefined || this.#refs.has(id) || this.#refs.size >= storeLimits.membersKnownMax) return;
    const known = readAddress(node);
    if (known) this.#refs.set(id, refOf(known.node));
  }

  ref(id: MemberId): ActorRef<StoreMessage> | undefined {
    return this.#refs.get(id);
  }

  follow(configuration: Configuration): void {
    const { addresses = {} } = configuration;
    if (isMember(configuration, this.self)) this.#gone = null;
    for (const [name, text] of Object.entries(addresses)) {
      const address = readAddress(text);
      if (address) this.#refs.set(memberId(name), refOf(address.node));
    }
  }
}

export function refOf(node: string): ActorRef<StoreMessage> {
  return actorRef<StoreMessage>(nodeId(node), '/store');
}

/** Voters first. In a joint configuration whoever votes in either set is a voter. */
export function infoOf(configuration: Configuration): readonly StoreMemberInfo[] {
  const { voters, votersOutgoing = [] } = configuration;
  return membersOf(configuration).map((id) => {
    const { node, isToVote, ...more } = addressOf(configuration, id) ?? {};
    return {
      name: id,
      voter: voters.includes(id) || votersOutgoing.includes(id),
      ...(node !== undefined && { address: node }),
      ...more,
      ...(isToVote === true && !voters.includes(id) && { isToVote }),
    };
  });
}

export function addressOf({ addresses }: Configuration, id: MemberId): MemberAddress | undefined {
  const text = addresses?.[id];
  return text === undefined ? undefined : readAddress(text);
}
