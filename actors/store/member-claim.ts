/**
 * How a member that was added comes to be one: it says which peer URL it is, and its key; the configuration takes both down, and
 * the others let it in. Whoever may add members may say so: it is the same right. Once it has started, its key is settled.
 */
import { dialAddress } from '../../transport/index.js';
import { type StoreClient, StoreError, type StoreMemberInfo } from './client.js';
import { wrongTitle } from './member-title.js';

export interface MemberClaim {
  readonly peerUrl: string;
  /** What people call it. */
  readonly title: string;
  readonly publicKey: string;
  readonly clientUrls: readonly string[];
}

export interface ClaimedMember {
  /** In the group. */
  readonly name: string;
  /** The others that have started. */
  readonly others: readonly { readonly name: string; readonly url: string; readonly publicKey: string }[];
  readonly members: readonly StoreMemberInfo[];
}

/**
 * Done twice it does no harm. Rejects with a StoreError `Refused` when nobody is expected there, another has come, or it must not
 * be called so.
 */
export async function claimMember(
  client: Pick<StoreClient, 'members' | 'memberUpdate'>,
  { peerUrl, title, publicKey, clientUrls }: MemberClaim,
  options: { readonly timeoutMs?: number } = {},
): Promise<ClaimedMember> {
  const wrong = wrongTitle(title);
  if (wrong !== undefined) throw new StoreError('Refused', wrong, true);
  const before = await client.members(options);
  const expected = before.find(({ url }) => url !== undefined && dialAddress(url) === dialAddress(peerUrl));
  if (!expected) {
    const why = `no member with the peer URL ${peerUrl} was added: add it first, with "kabuki store add" or "etcdctl member add"`;
    throw new StoreError('Refused', why, true);
  }
  const { name } = expected;
  const members = await client.memberUpdate(name, { publicKey, title, clientUrls }, options);
  const others = members.flatMap((member) =>
    member.name === name || member.url === undefined || member.publicKey === undefined
      ? []
      : [{ name: member.name, url: member.url, publicKey: member.publicKey }],
  );
  return { name, others, members };
}
