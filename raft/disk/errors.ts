/**
 * What can be wrong with a member's disk. None of these is retried: the member ends, an operator or a peer
 * helps.
 */
export type StorageErrorCode =
  | 'WalCorrupt' // bytes that were acknowledged no longer read back
  | 'WalLost' // a member that has run before finds no log at all: an empty disk, or an emptied folder
  | 'SnapshotCorrupt'
  | 'ValueCorrupt' // of a value that is on disk alone
  | 'ForeignDirectory' // of another cluster, another member or another format
  | 'WalFailed' // an earlier write or fsync failed; nothing is accepted any more
  | 'DiskFailed'; // the disk refused an operation; `cause` says why

export class StorageError extends Error {
  readonly code: StorageErrorCode;
  /** False when the batch may have reached the disk all the same (a failed fsync). */
  readonly definite: boolean;
  readonly file: string;
  /** The message without the place. */
  readonly what: string;
  /** Byte offset in `file`, where one is known. */
  readonly offset: number | undefined;

  constructor(
    code: StorageErrorCode,
    what: string,
    at: { readonly file: string; readonly offset?: number; readonly definite?: boolean },
    options?: ErrorOptions,
  ) {
    super(`${at.file}${at.offset === undefined ? '' : ` at byte ${at.offset}`}: ${what}`, options);
    this.name = 'StorageError';
    this.code = code;
    this.file = at.file;
    this.what = what;
    this.offset = at.offset;
    this.definite = at.definite ?? true;
  }
}
