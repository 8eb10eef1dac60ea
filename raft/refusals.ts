/** Calls that a member does not take up, and why: nothing was appended, so all of these are definite. */
import type { RaftCore } from './core/core.js';
import type { ProposeResult } from './core/outcomes.js';
import type { MemberId } from './core/types.js';
import { RaftError } from './errors.js';
import type { RaftLimits } from './options.js';

export function stopped(id: MemberId, cause?: unknown): RaftError {
  return new RaftError('Stopped', `the member ${id} has stopped`, { definite: true, cause });
}

export function notLeader({ id, leaderId: leader }: Pick<RaftCore, 'id' | 'leaderId'>): RaftError {
  const message = `${id} does not lead; ${leader ?? 'nobody it knows'} does`;
  return new RaftError('NotLeader', message, { definite: true, leader });
}

/** It may be taken up later. */
export function dropped(why: string, leader: MemberId | null): RaftError {
  return new RaftError('Dropped', why, { definite: true, leader });
}

/** The core took none of the entries. */
export function notProposed(
  core: RaftCore,
  { reason }: ProposeResult & { readonly type: 'dropped' },
  leader: MemberId | null,
): RaftError {
  if (reason === 'not-leader') return notLeader(core);
  const why = reason === 'transferring' ? 'leadership is being handed over' : 'too much is uncommitted';
  return dropped(why, leader);
}

export function invalid(why: string, leader: MemberId | null = null): RaftError {
  return new RaftError('InvalidArgument', why, { definite: true, leader });
}

/** Null: there is room for entries of these data beside the `pending` proposals. */
export function overLimit(
  data: readonly Uint8Array[],
  pending: number,
  { proposalBytesMax, pendingProposalsMax }: RaftLimits,
  leader: MemberId,
): RaftError | null {
  const large = data.find((one) => one.length > proposalBytesMax);
  if (large) return invalid(`an entry of ${large.length} bytes exceeds the limit of ${proposalBytesMax}`);
  return pending < pendingProposalsMax
    ? null
    : dropped(`${pendingProposalsMax} proposals are waiting`, leader);
}
