/** What the core answers to whoever asks it for something. */
import type { LogIndex, Term } from './types.js';

export type ProposeResult =
  | { readonly type: 'accepted'; readonly firstIndex: LogIndex; readonly term: Term }
  | { readonly type: 'dropped'; readonly reason: 'not-leader' | 'transferring' | 'uncommitted-full' };

export type ChangeResult =
  | ProposeResult
  /** `pending`: another change, or the leader's first entry, is not applied yet. */
  | { readonly type: 'refused'; readonly reason: 'pending' | 'prev-index' | 'invalid'; readonly why: string };

export type TransferResult = 'started' | 'forwarded' | 'no-leader' | 'not-a-voter' | 'already-leader';
