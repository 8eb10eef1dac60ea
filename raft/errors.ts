/** Every way in which a call on `Raft` can fail. */
import type { MemberId } from './core/types.js';

export type RaftErrorCode =
  /** Ask the member named in `leader`, if one is. */
  | 'NotLeader'
  /**
   * Refused before it was appended: too much is waiting, or leadership is being handed over. Try again later.
   */
  | 'Dropped'
  /** Appended, then this member stopped leading. Definite when the entry is known to be gone. */
  | 'LeadershipLost'
  /** Appended or asked, and no answer came in time. */
  | 'Timeout'
  /** The member was stopped, or ended after an error of its disk or state machine. */
  | 'Stopped'
  /** A change of the members that must not be; `reason` says why. */
  | 'Membership'
  /** Not built: the message says what. */
  | 'Unsupported'
  /** An argument is out of its limits. */
  | 'InvalidArgument'
  /** A message from a peer that no member of this version sends. */
  | 'BadMessage'
  /** Storage holds something that cannot be. The member must not run. */
  | 'Corrupt';

/** Why the members stay as they are. The texts are etcd's where etcd has one. */
export type MembershipRefusal =
  | 'member-exists'
  | 'member-not-found'
  | 'not-a-learner'
  | 'learner-not-ready'
  | 'too-many-members'
  | 'too-many-learners'
  /** The voters that live would be no quorum. */
  | 'quorum-at-risk'
  | 'no-voter-left'
  /** Another change is under way. */
  | 'pending'
  /** The configuration is not that of `prevIndex`. */
  | 'prev-index'
  | 'invalid';

export class RaftError extends Error {
  readonly code: RaftErrorCode;
  /** True: the call had and will have no effect. False: unknown, so never repeat a write blindly. */
  readonly definite: boolean;
  readonly leader: MemberId | null;
  /** With the code `Membership`. */
  readonly reason: MembershipRefusal | null;

  constructor(
    code: RaftErrorCode,
    message: string,
    details: {
      readonly definite: boolean;
      readonly leader?: MemberId | null;
      readonly reason?: MembershipRefusal;
      readonly cause?: unknown;
    },
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'RaftError';
    this.code = code;
    this.definite = details.definite;
    this.leader = details.leader ?? null;
    this.reason = details.reason ?? null;
  }
}
