/**
 * In whose name a letter speaks, and whose it is: the link vouches for the node that sent it, and each member lives on a node of
 * its own. Without this check any machine of the group could vote, acknowledge and lead in the name of another, or say of it that
 * its data differ. Whoever is not known yet may speak (Raft §6), as itself: the node that it names is the one that it wrote from.
 */
import { memberId } from 'raft-consensus';
import type { ActorSystem } from '../runtime/index.js';
import type { MemberBook } from './membership.js';
import type { StoreMessage } from './messages.js';

/** What is wrong with the sender of `message`, which is of the right shape and being handled; undefined: nothing. */
export function impostor(message: StoreMessage, system: ActorSystem, book: MemberBook): string | undefined {
  const claim = claimOf(message, book.self);
  const from = claim && system.sender()?.node;
  if (claim === undefined || from === undefined) return undefined;
  const { name, node } = claim;
  const home = name === book.self ? system.node : book.ref(memberId(name))?.node;
  const wrong = [home, node].find((one) => one !== undefined && one !== from);
  return wrong && `${message.type} says that it is from ${name} on ${wrong}, and came from ${from}`;
}

interface Claim {
  readonly name: string;
  /** Where it lives, as it says. */
  readonly node?: string | undefined;
}

/** Undefined: anybody may say it. */
function claimOf(message: StoreMessage, self: string): Claim | undefined {
  switch (message.type) {
    case 'StoreTick':
    case 'StoreCompactStep':
    case 'StoreWatcherGone':
      return { name: self };
    case 'StoreDigestAsk':
    case 'StoreDigests':
      return { name: message.from };
    case 'StoreMemberAsk':
      return message;
    default:
      return 'raft' in message ? { name: message.raft.from, node: message.node } : undefined;
  }
}
