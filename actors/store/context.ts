/** The cause of a write as it travels through the log: the store hands it back on the watch events that the write made. */
import type { EnvelopeId, TraceParent } from '../../transport/index.js';
import type { Cause } from '../runtime/index.js';

export function encodeCause(cause: Cause | undefined): string | undefined {
  return cause && `${cause.trace} ${cause.id ?? ''}`;
}

/** Undefined for what is not a cause: a trace is never worth a failure. */
export function decodeCause(context: string | undefined): Cause | undefined {
  const match =
    context === undefined ? null : /^(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}) (\S*)$/.exec(context);
  if (!match) return undefined;
  const trace = match[1] as TraceParent;
  return match[2] ? { trace, id: match[2] as EnvelopeId } : { trace };
}
