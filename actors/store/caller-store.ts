/**
 * The store as somebody from outside of the group may use it: every request is made on a caller's behalf, and refused where he
 * has no right to it. A front gives its services nothing else, so that none of them can forget to ask. Watches are not part of
 * it: whoever opens one asks for the right to read first (`authorize`), as etcd does, and never again.
 */
import type {
  AuthAnswer,
  AuthChange,
  AuthQuery,
  AuthSecrets,
  Caller,
  KeyRange,
  Revision,
  WithRevision,
} from 'raft-consensus';
import type { StoreClient } from './client.js';
import type { MemberMeasures } from './measures.js';

/** `user`: to be somebody. `admin`: to have the role root. `read`: to read all keys of the range. */
export type Need = { readonly type: 'user' | 'admin' } | { readonly type: 'read'; readonly range: KeyRange };

interface Timeout {
  readonly timeoutMs?: number;
}

/** Whatever is refused for want of rights rejects as `Refused`, its `cause` a KvError with one of the auth codes. */
export interface CallerStore extends Omit<StoreClient, 'watch'>, AuthRequests {}

export interface AuthRequests {
  /** Rejects when the caller has no such right. Rights to keys are those after this call began, others those of the member. */
  authorize(need: Need, options?: Timeout): Promise<void>;
  /** Resolves with the store's revision then. */
  authChange(change: AuthChange, options?: Timeout): Promise<Revision>;
  /** Linearizable. */
  authQuery(query: AuthQuery, options?: Timeout): Promise<WithRevision<AuthAnswer>>;
}

/** Without a caller nobody is asked for rights: for the group's own machines. */
export interface GuardedStoreClient extends StoreClient, AuthRequests {
  /** This client on the behalf of a caller. */
  as(caller: Caller): CallerStore;
  /** Linearizable. For whoever checks passwords and tokens. */
  authSecrets(user: string | undefined, options?: Timeout): Promise<AuthSecrets>;
  /** Of the nearest member. */
  measures(options?: Timeout): Promise<MemberMeasures>;
}
