/**
 * Why an ask has no reply. `definite` is true when the request was certainly not handled, so that the asker may
 * try again without doing a thing twice (ARCHITECTURE rule 7).
 */
export type AskErrorCode =
  | 'Timeout' // no reply in time; the request may have been handled
  | 'Dead' // no such actor (definite), or it ended before it replied
  | 'Unreachable' // the node is lost, or the request could not leave
  | 'Refused'; // mailbox full: certainly not handled

export class AskError extends Error {
  readonly code: AskErrorCode;
  readonly definite: boolean;

  constructor(code: AskErrorCode, message: string, definite: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AskError';
    this.code = code;
    this.definite = definite;
  }
}
