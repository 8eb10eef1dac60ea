/** Errors of the key-value state machine; texts are etcd's (store reference §6), clients match on them. */
export type KvErrorCode =
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
