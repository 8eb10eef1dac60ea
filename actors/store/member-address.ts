/**
 * What the configuration says of a member: the node that it lives on, how the others reach it and know it to be the one, and
 * what its clients are told. Raft keeps it as a text. A member that has a node and nothing else (in the simulator, and in
 * groups of earlier versions) is written as the node's name alone.
 */
import { RaftError } from 'raft-consensus';
import { nodeId } from '../../transport/index.js';

export interface MemberAddress {
  readonly node: string;
  /** Where its link listens: `tcp://host:port`, or what an operator called it for etcd's sake, `http://host:port`. */
  readonly url?: string;
  /** CURVE public key of its machine, Z85. Absent until it has started for the first time. */
  readonly publicKey?: string;
  /** For people, if it is called otherwise than in the group. */
  readonly title?: string;
  /** Where it serves etcd's API. */
  readonly clientUrls?: readonly string[];
  /** Of a learner: it is to vote as soon as it has caught up. */
  readonly isToVote?: boolean;
}

/** What may be said anew of a member. */
export type MemberChange = Omit<MemberAddress, 'node' | 'isToVote'>;

const textBytesMax = 4096;
const clientUrlsMax = 16;
const urlShape = /^(?:tcp|https?):\/\/(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*):(\d{1,5})$/;
const keyShape = /^[0-9a-zA-Z.:+=^!/*?&<>()[\]{}@%$#-]{40}$/;

export function writeAddress(address: MemberAddress): string {
  const { node, url, publicKey, title, clientUrls, isToVote } = address;
  const more = { url, publicKey, title, clientUrls, isToVote };
  const isPlain = Object.values(more).every((value) => value === undefined);
  return isPlain ? node : JSON.stringify({ node, ...more });
}

/** Undefined: no member of this version wrote it. */
export function readAddress(text: string): MemberAddress | undefined {
  try {
    const address = text.startsWith('{') ? (JSON.parse(text) as MemberAddress) : { node: text };
    return wrongWith(address) === undefined ? address : undefined;
  } catch {
    return undefined;
  }
}

/** What stands in the configuration is used by every member: no member may stumble over it. Throws RaftError `Membership`. */
export function checkAddress(address: MemberAddress): void {
  const why = wrongWith(address);
  if (why !== undefined) throw new RaftError('Membership', why, { definite: true, reason: 'invalid' });
}

function wrongWith({ node, url, publicKey, title, clientUrls, isToVote }: MemberAddress): string | undefined {
  if (!isNode(node)) return `a member's address is the name of its node, not ${JSON.stringify(node)}`;
  if (url !== undefined && !isUrl(url)) {
    return `a member's peer URL is tcp://host:port or http://host:port, not ${JSON.stringify(url)}`;
  }
  if (publicKey !== undefined && !(typeof publicKey === 'string' && keyShape.test(publicKey))) {
    return "a member's public key has 40 characters of Z85";
  }
  if (title !== undefined && !isShort(title)) return "a member's title is a text of at most 256 characters";
  if (clientUrls !== undefined && !isShortList(clientUrls)) {
    return `a member has at most ${clientUrlsMax} client URLs, texts of at most 256 characters`;
  }
  if (isToVote !== undefined && typeof isToVote !== 'boolean') return 'isToVote is true or false';
  const isLong = JSON.stringify({ node, url, publicKey, title, clientUrls }).length > textBytesMax;
  return isLong ? `what is said of a member has more than ${textBytesMax} bytes` : undefined;
}

export function isUrl(url: unknown): url is string {
  const port = typeof url === 'string' && url.length <= 256 ? Number(urlShape.exec(url)?.[1]) : 0;
  return port > 0 && port <= 65_535;
}

function isNode(name: unknown): boolean {
  try {
    return typeof name === 'string' && nodeId(name) === name;
  } catch {
    return false;
  }
}

const isShort = (text: unknown): boolean => typeof text === 'string' && text !== '' && text.length <= 256;

const isShortList = (list: unknown): boolean =>
  Array.isArray(list) && list.length <= clientUrlsMax && list.every((one) => isShort(one));
