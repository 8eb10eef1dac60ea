/** Messages of etcd's Cluster service, and of the one call that etcd has not: how a new member says who it is. */
import { header } from './kv-messages.js';
import { bool, embedded, message, repeated, text, uint64 } from './message.js';
import { Member } from './rpc-messages.js';

const members = (number: number) => repeated(embedded(number, () => Member));

export const MemberAddRequest = message('MemberAddRequest', {
  peerUrls: repeated(text(1)),
  isLearner: bool(2),
});
export const MemberAddResponse = message('MemberAddResponse', {
  header: header(),
  member: embedded(2, () => Member),
  members: members(3),
});
export const MemberIdRequest = message('MemberIdRequest', { id: uint64(1) });
export const MemberUpdateRequest = message('MemberUpdateRequest', {
  id: uint64(1),
  peerUrls: repeated(text(2)),
});
/** Of MemberRemove, MemberUpdate and MemberPromote. */
export const MembersResponse = message('MembersResponse', { header: header(), members: members(2) });

/** `kabuki.Store/Join`: the member that was added with this peer URL runs now. */
export const JoinRequest = message('JoinRequest', {
  peerUrl: text(1),
  /** What etcd's clients are to call it. */
  title: text(2),
  publicKey: text(3),
  clientUrls: repeated(text(4)),
});
const JoinedMember = message('JoinedMember', { name: text(1), url: text(2), publicKey: text(3) });
export const JoinResponse = message('JoinResponse', {
  header: header(),
  clusterId: text(2),
  /** Its name in the group. */
  name: text(3),
  /** The others that have started. */
  members: repeated(embedded(4, () => JoinedMember)),
});
