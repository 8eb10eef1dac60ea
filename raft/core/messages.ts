/**
 * The letters that members of a group write to each other: plain data, so that any codec can carry them.
 * Shapes follow figure 2 of the Raft paper, plus PreVote (dissertation §9.6), ReadIndex (§6.4) and
 * leadership transfer (§3.10). Each may be lost, doubled, reordered or arrive long after it was sent:
 * handling it twice or late does no harm.
 */
import type { Entry, LogIndex, MemberId, SnapshotMeta, Term } from './types.js';

interface Letter {
  readonly from: MemberId;
  readonly to: MemberId;
  /**
   * The sender's term; of a pre-vote and its granted reply: the term that the candidate would campaign in.
   */
  readonly term: Term;
}

export interface VoteRequest extends Letter {
  readonly type: 'vote' | 'pre-vote';
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** `transfer`: the leader itself asked for this election, so voters do not protect its lease. */
  readonly reason: 'timeout' | 'transfer';
}

export interface VoteReply extends Letter {
  readonly type: 'vote-reply' | 'pre-vote-reply';
  readonly granted: boolean;
}

export interface AppendRequest extends Letter {
  readonly type: 'append';
  readonly prevIndex: LogIndex;
  readonly prevTerm: Term;
  readonly entries: readonly Entry[];
  readonly commit: LogIndex;
}

/** Everything up to `index` is durable in the sender's log and equal to the leader's. */
export interface AppendAccepted extends Letter {
  readonly type: 'append-accepted';
  readonly index: LogIndex;
}

/**
 * The log does not contain (`index`, its term). The follower's log can agree with the leader's at
 * `hintIndex` at most, where it has `hintTerm`: the leader skips a whole term per round trip.
 */
export interface AppendRejected extends Letter {
  readonly type: 'append-rejected';
  readonly index: LogIndex;
  readonly hintIndex: LogIndex;
  readonly hintTerm: Term;
}

export interface Heartbeat extends Letter {
  readonly type: 'heartbeat';
  /** Never beyond what the receiver is known to have. */
  readonly commit: LogIndex;
  /** Of the entry at `commit`; 0: the leader does not know it any more. */
  readonly commitTerm: Term;
  /** The read round that a reply confirms; rounds of one term count up from 1. 0: none. */
  readonly readRound: number;
}

export interface HeartbeatReply extends Letter {
  readonly type: 'heartbeat-reply';
  readonly readRound: number;
}

/**
 * To a peer that has everything, when there is no more to tell it than how far commits have come. Nobody answers:
 * if it gets lost, the next heartbeat says the same.
 */
export interface CommitNotice extends Letter {
  readonly type: 'commit';
  /** As in a heartbeat. */
  readonly commit: LogIndex;
  readonly commitTerm: Term;
}

/**
 * From a core: a snapshot is to be sent. To a core: one has arrived. `data` is the host's; `Raft` leaves it empty
 * and moves the content beside the core, in pieces (snapshot-pieces.ts).
 */
export interface SnapshotMessage extends Letter {
  readonly type: 'snapshot';
  readonly meta: SnapshotMeta;
  readonly data: Uint8Array;
}

export interface ReadIndexRequest extends Letter {
  readonly type: 'read-index';
  /** Chosen by the asker, unique over its restarts. */
  readonly context: number;
}

export interface ReadIndexReply extends Letter {
  readonly type: 'read-index-reply';
  readonly context: number;
  readonly index: LogIndex;
}

export interface TransferRequest extends Letter {
  readonly type: 'transfer-leadership';
  readonly target: MemberId;
}

/** From a leader to the member that shall follow it: campaign now. */
export interface TimeoutNow extends Letter {
  readonly type: 'timeout-now';
}

export type Message =
  | VoteRequest
  | VoteReply
  | AppendRequest
  | AppendAccepted
  | AppendRejected
  | Heartbeat
  | HeartbeatReply
  | CommitNotice
  | SnapshotMessage
  | ReadIndexRequest
  | ReadIndexReply
  | TransferRequest
  | TimeoutNow;

export type MessageType = Message['type'];
