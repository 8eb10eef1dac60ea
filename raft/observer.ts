/**
 * What `Raft` tells those who watch it (hashicorp/raft: observers). Called at once, in order; must not throw.
 */
import type { RaftCore } from './core/core.js';
import type { Role } from './core/ready.js';
import type { Configuration, LogIndex, MemberId, Term } from './core/types.js';

export type Observation =
  | { readonly type: 'leader-changed'; readonly leader: MemberId | null; readonly term: Term }
  | { readonly type: 'role-changed'; readonly role: Role; readonly term: Term }
  /** A leader has not heard of this peer for one election timeout. */
  | { readonly type: 'peer-failing'; readonly peer: MemberId }
  | { readonly type: 'peer-recovered'; readonly peer: MemberId }
  | { readonly type: 'snapshot-taken'; readonly index: LogIndex; readonly bytes: number }
  | {
      readonly type: 'snapshot-sent';
      readonly peer: MemberId;
      readonly index: LogIndex;
      readonly bytes: number;
    }
  | { readonly type: 'snapshot-refused'; readonly peer: MemberId; readonly reason: string }
  /** Its file no longer reads back, or it arrived wrong; another is taken, or the same sent again. */
  | { readonly type: 'snapshot-damaged'; readonly reason: string }
  | { readonly type: 'snapshot-installed'; readonly index: LogIndex }
  /** The disk holds one batch for longer than an election timeout; a leader hands over, or steps down. */
  | { readonly type: 'disk-stalled'; readonly sinceMs: number }
  /** Applied here, or brought by a snapshot. `isMember`: whether this member is (still, already) in it. */
  | {
      readonly type: 'configuration-changed';
      readonly configuration: Configuration;
      readonly isMember: boolean;
    };

export type Observer = (observation: Observation) => void;

/** What the core of a member holds, for those who check the properties of a group. To be read only. */
export type CoreView = Pick<
  RaftCore,
  'id' | 'term' | 'role' | 'leaderId' | 'votedFor' | 'commit' | 'appliedIndex' | 'log' | 'configuration'
>;
