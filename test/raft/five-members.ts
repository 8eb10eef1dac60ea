/** Ids for tests that name members one by one: the compiler knows that there are five. */
import { memberId } from 'raft-consensus';

export const fiveMembers = [
  memberId('a'),
  memberId('b'),
  memberId('c'),
  memberId('d'),
  memberId('e'),
] as const;
