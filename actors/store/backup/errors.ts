/** What can be wrong with the file of a backup. Nothing is written when one of these is thrown. */
export type BackupErrorCode =
  | 'Truncated' // it ends before what it says it holds
  | 'Damaged' // bytes are not those that were written
  | 'Foreign' // it is no backup of a store, or one that this program cannot take over
  | 'Busy'; // too many at a time

export class BackupError extends Error {
  readonly code: BackupErrorCode;
  readonly definite = true;
  /** Byte in the file, where one is known. */
  readonly offset: number | undefined;

  constructor(code: BackupErrorCode, what: string, offset?: number, options?: ErrorOptions) {
    super(offset === undefined ? what : `at byte ${offset}: ${what}`, options);
    this.name = 'BackupError';
    this.code = code;
    this.offset = offset;
  }
}
