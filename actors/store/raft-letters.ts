/** Raft's letters as messages between actors: each has a type of its own, so that faults can be aimed at one kind. */
import type { Letter, MemberId } from 'raft-consensus';
import type { ActorContext } from '../runtime/index.js';
import type { MemberBook } from './membership.js';
import type { RaftLetter, StoreMessage } from './messages.js';

export function sendLetter(
  ctx: ActorContext<StoreMessage>,
  book: MemberBook,
  to: MemberId,
  raft: Letter,
): void {
  const peer = book.ref(to);
  // A letter to whom nobody knows is a letter lost, as Raft expects of a network.
  if (!peer) return;
  const node = openings.has(raft.type) ? { node: ctx.system.node } : {};
  ctx.tell<StoreMessage>(peer, { type: letterTypes[raft.type], raft, ...node });
}

/** Letters that are answered by whoever gets them, known or not. */
const openings: ReadonlySet<Letter['type']> = new Set(['vote', 'pre-vote', 'heartbeat', 'snapshot-piece']);

export const letterTypes: Readonly<Record<Letter['type'], RaftLetter['type']>> = {
  vote: 'RaftVote',
  'pre-vote': 'RaftPreVote',
  'vote-reply': 'RaftVoteReply',
  'pre-vote-reply': 'RaftPreVoteReply',
  append: 'RaftAppend',
  'append-accepted': 'RaftAppendAccepted',
  'append-rejected': 'RaftAppendRejected',
  heartbeat: 'RaftHeartbeat',
  'heartbeat-reply': 'RaftHeartbeatReply',
  commit: 'RaftCommit',
  'snapshot-piece': 'RaftSnapshotPiece',
  'snapshot-piece-accepted': 'RaftSnapshotPieceAccepted',
  'read-index': 'RaftReadIndex',
  'read-index-reply': 'RaftReadIndexReply',
  'transfer-leadership': 'RaftTransferLeadership',
  'timeout-now': 'RaftTimeoutNow',
};
