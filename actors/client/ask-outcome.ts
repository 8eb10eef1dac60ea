/** Whether a request that has no answer can have been handled. */
import { AskError } from '../runtime/index.js';

/**
 * True only when the runtime vouches for it: no such actor, a full mailbox, or a letter that could not leave.
 */
export function certainlyNotHandled(error: unknown): boolean {
  return error instanceof AskError && error.definite;
}
