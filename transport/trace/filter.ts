/** Parts of a journal: one trace, what concerns one object and what led there, a window of time. Pure functions. */
import type { JournalEvent } from './journal.js';

/** By trace id (32 hex digits) or whole traceparent. */
export function ofTrace(events: readonly JournalEvent[], trace: string): JournalEvent[] {
  const id = traceIdOf(trace);
  return events.filter((event) => event.trace !== undefined && traceIdOf(event.trace) === id);
}

export function traceIdOf(trace: string): string {
  return trace.includes('-') ? (trace.split('-')[1] ?? trace) : trace;
}

export function within(events: readonly JournalEvent[], fromMs: number, toMs: number): JournalEvent[] {
  return events.filter((event) => event.at >= fromMs && event.at <= toMs);
}

/**
 * Events that mention an object (`pod/web-1`, `pods/default/web-1`) in `detail`, everything about the messages in which
 * they happened, and the messages that caused those, up to the first.
 */
export function ofObject(events: readonly JournalEvent[], object: string): JournalEvent[] {
  const wanted = new Set<string>();
  const mentioning = new Set<JournalEvent>();
  const causes = new Map<string, string>();
  for (const event of events) {
    if (event.id !== undefined && event.cause !== undefined) causes.set(event.id, event.cause);
    if (!mentions(event, object)) continue;
    mentioning.add(event);
    const id = event.id ?? event.cause;
    if (id !== undefined) wanted.add(id);
  }
  for (const id of wanted) {
    // A set may grow while it is walked: the walk ends at letters without a cause.
    const cause = causes.get(id);
    if (cause !== undefined) wanted.add(cause);
  }
  return events.filter((event) => mentioning.has(event) || (event.id !== undefined && wanted.has(event.id)));
}

/** Whether a field of `detail` names the object: `pod/web-1` is named by `/registry/pods/default/web-1`. */
export function mentions(event: JournalEvent, object: string): boolean {
  if (event.detail === undefined) return false;
  const asked = segmentsOf(object);
  const [kind, name] = [asked[0], asked.at(-1)];
  if (kind === undefined || name === undefined) return false;
  const namespace = asked.length === 3 ? asked[1] : undefined;
  return Object.values(event.detail).some((value) => {
    if (typeof value !== 'string') return false;
    const given = segmentsOf(value);
    const at = given.lastIndexOf(name);
    if (at === -1) return false;
    if (asked.length === 1) return at === given.length - 1;
    const before = given.slice(0, at).map(singular);
    return (
      before.includes(singular(kind)) && (namespace === undefined || given.slice(0, at).includes(namespace))
    );
  });
}

function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '');
}

/** `pods` and `pod`, `ingresses` and `ingress`, `networkpolicies` and `networkpolicy` mean the same here. */
function singular(word: string): string {
  const lower = word.toLowerCase();
  if (lower.endsWith('ies')) return `${lower.slice(0, -3)}y`;
  if (/(ss|x|ch|sh)es$/.test(lower)) return lower.slice(0, -2);
  return lower.endsWith('s') && !lower.endsWith('ss') ? lower.slice(0, -1) : lower;
}
