/** The kinds of letters that go to members of the store and from them, from machine to machine: faults may be aimed at one. */
import { memberMessages, watchReplies } from './letter-check.js';
import type { StoreMessage, StoreReply } from './messages.js';
import { memberReplies } from './reply-check.js';

/** What a member says to itself (letter-sender.ts), and an answer that only goes in a letter of many. */
const inside: ReadonlySet<string> = new Set<(StoreMessage | StoreReply)['type']>([
  'StoreTick',
  'StoreCompactStep',
  'StoreWatcherGone',
  'StoreAskAlone',
]);

export const storeLetterKinds: readonly string[] = [memberMessages, memberReplies, watchReplies]
  .flatMap((shapes) => Object.keys(shapes))
  .filter((kind) => !inside.has(kind));
