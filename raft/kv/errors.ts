/** Errors of the key-value state machine; texts are etcd's (store reference §6), clients match on them. */
import type { AuthErrorCode } from './auth-errors.js';

export type KvErrorCode =
  | AuthErrorCode
  | 'Compacted'
  | 'FutureRevision'
  | 'LeaseNotFound'
  | 'LeaseExists'
  | 'LeaseTtlTooLarge'
  | 'KeyNotFound'
  | 'EmptyKey'
  | 'DuplicateKey'
  | 'TooManyOps'
  | 'RequestTooLarge'
  | 'TooLarge'
  | 'NoSpace'
  | 'Corrupt'
  | 'InvalidArgument';

export class KvError extends Error {
  readonly code: KvErrorCode;
  /** The state machine refused: nothing was written. */
  readonly definite = true;

  constructor(code: KvErrorCode, message: string) {
    super(message);
    this.name = 'KvError';
    this.code = code;
  }
}
