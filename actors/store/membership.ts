/**
 * The group's members as actors: who they are stands in Raft's configuration, and the address kept there is the node that
 * a member lives on. Requests to change them are served here.
 */
import {
  type Configuration,
  isMember,
  type MemberId,
  memberId,
  membersOf,
  type Raft,
  RaftError,
} from 'raft-consensus';
import { type ActorRef, actorRef } from '../runtime/index.js';
import { nodeId } from '../../transport/index.js';
import type { StoreMemberInfo } from './client.js';
import { storeLimits } from './limits.js';
import type { StoreMessage, StoreRequest } from './messages.js';

type Peer = { readonly name: string; readonly ref: ActorRef<StoreMessage> };

export type MembershipRequest = Extract<StoreRequest, { readonly type: `StoreMember${string}` }>;

export function isAboutMembers(request: StoreRequest): request is MembershipRequest {
  return request.type.startsWith('StoreMember');
}

export class MemberBook {
  readonly self: MemberId;
  /** Those that the member was started with, and all that a configuration ever named. */
  readonly #refs: Map<MemberId, ActorRef<StoreMessage>>;

  #gone: Configuration | null = null;

  constructor(self: string, peers: readonly Peer[]) {
    this.self = memberId(self);
    this.#refs = new Map(peers.map(({ name, ref }) => [memberId(name), ref]));
  }

  /** That a group of these peers is made with. */
  get configuration(): Configuration {
    const addresses = Object.fromEntries([...this.#refs].map(([id, ref]) => [id, ref.node]));
    return { voters: [...this.#refs.keys()], learners: [], addresses };
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
    if (isNode(node)) this.#refs.set(id, refOf(node));
  }

  ref(id: MemberId): ActorRef<StoreMessage> | undefined {
    return this.#refs.get(id);
  }

  follow(configuration: Configuration): void {
    const { addresses = {} } = configuration;
    if (isMember(configuration, this.self)) this.#gone = null;
    for (const [name, node] of Object.entries(addresses)) this.#refs.set(memberId(name), refOf(node));
  }
}

export function refOf(node: string): ActorRef<StoreMessage> {
  return actorRef<StoreMessage>(nodeId(node), '/store');
}

/** Voters first. In a joint configuration whoever votes in either set is a voter. */
export function infoOf(configuration: Configuration): readonly StoreMemberInfo[] {
  const { voters, votersOutgoing = [], addresses = {} } = configuration;
  return membersOf(configuration).map((id) => ({
    name: id,
    voter: voters.includes(id) || votersOutgoing.includes(id),
    ...(addresses[id] !== undefined && { address: addresses[id] }),
  }));
}

/** Resolves when it is done, with the members then. */
export async function changeMembers(
  raft: Raft<unknown>,
  request: MembershipRequest,
  timeoutMs: number,
): Promise<readonly StoreMemberInfo[]> {
  switch (request.type) {
    case 'StoreMemberList':
      // Linearizable: everything that was changed before the question is applied here.
      if (!request.serializable) await raft.readIndex(timeoutMs);
      break;
    case 'StoreMemberAdd': {
      const { name, address } = request;
      checkAddress(address);
      const options = { address, timeoutMs };
      if (request.learner) await raft.addNonvoter(memberId(name), options);
      else await raft.addVoter(memberId(name), options);
      break;
    }
    case 'StoreMemberRemove':
      await raft.removeServer(memberId(request.name), { timeoutMs });
      break;
    case 'StoreMemberPromote':
      await raft.promote(memberId(request.name), { timeoutMs });
      break;
    default:
      request satisfies never;
  }
  return infoOf(raft.configuration());
}

/** What stands in the configuration is used by every member: no member may stumble over it. */
function checkAddress(address: string): void {
  if (isNode(address)) return;
  const why = `a member's address is the name of its node, not ${JSON.stringify(address)}`;
  throw new RaftError('Membership', why, { definite: true, reason: 'invalid' });
}

function isNode(name: string): boolean {
  try {
    nodeId(name);
    return true;
  } catch {
    return false;
  }
}
