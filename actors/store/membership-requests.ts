/**
 * Requests about the members, served by whoever leads: a record is read and changed only against the configuration that was
 * looked at (`prevIndex`), so that two operators at once cannot give one address to two members.
 */
import {
  isMember,
  type LogIndex,
  type MemberId,
  memberId,
  membersOf,
  type MembershipRefusal,
  type Raft,
  RaftError,
} from 'raft-consensus';
import { dialAddress } from '../../transport/index.js';
import type { StoreMemberInfo } from './client.js';
import { checkAddress, type MemberAddress, readAddress, writeAddress } from './member-address.js';
import { infoOf } from './membership.js';
import type { StoreRequest } from './messages.js';

export type MembershipRequest = Extract<StoreRequest, { readonly type: `StoreMember${string}` }>;

export function isAboutMembers(request: StoreRequest): request is MembershipRequest {
  return request.type.startsWith('StoreMember');
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
    case 'StoreMemberAdd':
      await add(raft, request, timeoutMs);
      break;
    case 'StoreMemberUpdate':
      await update(raft, request, timeoutMs);
      break;
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

/**
 * A learner in any case: one that shall vote does so as soon as it has caught up. Before that it would only make the quorum
 * larger, and a group of one could not even write down the key of its second member.
 */
async function add(
  raft: Raft<unknown>,
  { name, address, learner }: MembershipRequest & { readonly type: 'StoreMemberAdd' },
  timeoutMs: number,
): Promise<void> {
  checkAddress(address);
  await mustLead(raft, timeoutMs);
  const record = learner ? address : { ...address, isToVote: true };
  const id = memberId(name);
  const prevIndex = refuseDoubles(raft, id, record);
  await raft.addNonvoter(id, { address: writeAddress(record), timeoutMs, ...prevIndex });
}

async function update(
  raft: Raft<unknown>,
  { name, change }: MembershipRequest & { readonly type: 'StoreMemberUpdate' },
  timeoutMs: number,
): Promise<void> {
  await mustLead(raft, timeoutMs);
  const id = memberId(name);
  const configuration = raft.configuration();
  if (!isMember(configuration, id)) throw refused('member-not-found', `member ${name} not found`);
  const text = configuration.addresses?.[id];
  const known = text === undefined ? undefined : readAddress(text);
  if (known === undefined) throw refused('pending', 'the group has not written down its members yet');
  const { publicKey } = change;
  if (publicKey !== undefined && known.publicKey !== undefined && known.publicKey !== publicKey) {
    const why = `member ${name} has started already, with another key: remove it and add it anew`;
    throw refused('member-exists', why);
  }
  const next = { ...known, ...change };
  checkAddress(next);
  const prevIndex = refuseDoubles(raft, id, next);
  if (writeAddress(next) !== text) {
    await raft.setAddress(id, writeAddress(next), { timeoutMs, ...prevIndex });
  }
}

/** What was looked at elsewhere may be old. */
async function mustLead(raft: Raft<unknown>, timeoutMs: number): Promise<void> {
  if (!raft.isLeader()) await raft.verifyLeader(timeoutMs);
}

/** Of two members at one address only one would be reached. */
function refuseDoubles(
  raft: Raft<unknown>,
  id: MemberId,
  { node, url }: MemberAddress,
): { readonly prevIndex?: LogIndex } {
  const configuration = raft.configuration();
  for (const other of membersOf(configuration)) {
    const text = configuration.addresses?.[other];
    const taken = other === id || text === undefined ? undefined : readAddress(text);
    if (taken?.node === node) throw refused('member-exists', `the node ${node} is that of member ${other}`);
    if (url !== undefined && taken?.url !== undefined && dialAddress(taken.url) === dialAddress(url)) {
      throw refused('member-exists', `the peer URL ${url} is that of member ${other} already`);
    }
  }
  return configuration.index === undefined ? {} : { prevIndex: configuration.index };
}

const refused = (reason: MembershipRefusal, why: string): RaftError =>
  new RaftError('Membership', why, { definite: true, reason });
