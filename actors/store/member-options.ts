/** What a store member is made with. */
import type { Applied, KvStore, Raft, RaftLimits, WatchHub } from 'raft-consensus';
import type { StoreMemberInfo } from './client.js';
import type { MemberStorage } from './disk-storage.js';
import type { StoreLimits } from './limits.js';
import type { StorePeer } from './membership.js';
import type { StoreSettings } from './settings.js';

export interface StoreMemberOptions {
  readonly name: string;
  /** All of the group that is made with them; of one that the member shall join, those to join, without itself. */
  readonly members: readonly StorePeer[];
  /** Opens the member's files; called at each start of the actor. */
  openStorage(): Promise<MemberStorage>;
  /** A disk that fails ends the member for good: whoever runs the process must end it (ARCHITECTURE rule 7). */
  onFatal(error: unknown): void;
  /**
   * Told of the members at each start and whenever they change, so that the host can reach them. One that misses itself among
   * them after it was there has been removed.
   */
  onMembers?(members: readonly StoreMemberInfo[]): void;
  /** Others than the defaults, for tests and for measuring. */
  readonly limits?: { readonly raft?: Partial<RaftLimits>; readonly store?: Partial<StoreLimits> };
  /** Told at each start of what the member is made of, so that a checker can look at it. */
  inspect?(parts: MemberParts): void;
}

export interface MemberParts {
  readonly raft: Raft<Applied | null>;
  readonly store: KvStore;
  readonly watches: WatchHub;
  /** Sets what an operator may set while it runs, all of it or nothing; returns what is in force. */
  tune(settings: StoreSettings): Required<StoreSettings>;
}
