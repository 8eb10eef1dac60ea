/**
 * Turns an answer that is not 2xx into an ApiError, from the Status in its body (API conventions: response
 * status).
 */
import type { Status } from '../objects/types/meta.js';
import { ApiError } from './api-client.js';

const decoder = new TextDecoder();

/** Statuses after which a write may have happened all the same. */
const indefinite = new Set([500, 502, 504]);

export function decodeBody(body: Uint8Array | undefined): unknown {
  if (body === undefined || body.length === 0) return undefined;
  return JSON.parse(decoder.decode(body));
}

export function isStatus(value: unknown): value is Status {
  return typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === 'Status';
}

export function errorOf(status: number, body: Uint8Array | undefined, what: string): ApiError {
  const text = body === undefined ? '' : decoder.decode(body);
  const parsed = parse(text);
  const reason = parsed?.reason ?? (status === 410 ? 'Expired' : 'Unknown');
  const message = parsed?.message ?? (text.trim() || `the server answered ${status}`);
  return new ApiError(status, reason, `${what}: ${message}`, !indefinite.has(status), {
    cause: parsed ?? text,
  });
}

/** The error inside a watch stream (event type ERROR). */
export function errorOfStatus(status: Status, what: string): ApiError {
  const code = status.code ?? 500;
  return new ApiError(code, status.reason ?? 'Unknown', `${what}: ${status.message ?? code}`, true, {
    cause: status,
  });
}

function parse(text: string): Status | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isStatus(value) ? value : undefined;
  } catch (error) {
    // A proxy or a crash may answer with plain text; the text itself is then the message.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
