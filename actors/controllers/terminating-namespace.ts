/** A namespace on its way out refuses new objects; to those who make objects that is no failure. */
import { ApiError } from '../client/index.js';

export function isTerminatingNamespace(error: unknown): boolean {
  return error instanceof ApiError && error.reason === 'Forbidden' && /being terminated/.test(error.message);
}
