/**
 * A journal as OTLP JSON (`TracesData`), for Jaeger, Tempo and any OpenTelemetry collector: a span a handled message,
 * its parent the message that caused it; resource = node, scope = actor. Format: opentelemetry-proto, JSON mapping
 * (ids in hex, 64-bit integers as strings).
 */
import { traceIdOf } from './filter.js';
import type { JournalEvent } from './journal.js';
import { messagesOf, type TracedMessage } from './messages.js';

interface Attribute {
  readonly key: string;
  readonly value:
    | { readonly stringValue: string }
    | { readonly intValue: string }
    | { readonly doubleValue: number }
    | { readonly boolValue: boolean };
}

const spanKindConsumer = 5;
const statusError = 2;

export function toOtlp(events: readonly JournalEvent[]): string {
  const messages = messagesOf(events);
  const handled = new Set(
    events.flatMap((e) => (e.type === 'handled' && e.id !== undefined ? [e.id as string] : [])),
  );
  const remarks = remarksByMessage(events);
  const nodes = new Map<string, Map<string, object[]>>();
  for (const event of events) {
    if (event.type !== 'handled' || event.id === undefined) continue;
    const message = messages.get(event.id);
    if (message?.trace === undefined) continue;
    const scopes = nodes.get(event.node) ?? new Map<string, object[]>();
    nodes.set(event.node, scopes);
    const scope = event.actor ?? '/';
    const spans = scopes.get(scope) ?? [];
    scopes.set(scope, spans);
    spans.push(spanOf(event, message, handled, remarks.get(event.id) ?? []));
  }
  const resourceSpans = [...nodes].map(([node, scopes]) => ({
    resource: { attributes: attributesOf({ 'service.name': 'kabuki', 'service.instance.id': node }) },
    scopeSpans: [...scopes].map(([name, spans]) => ({ scope: { name }, spans })),
  }));
  return `${JSON.stringify({ resourceSpans }, null, 1)}\n`;
}

function spanOf(
  event: JournalEvent,
  message: TracedMessage,
  handled: ReadonlySet<string>,
  remarks: readonly JournalEvent[],
): object {
  const { cause, crashed } = message;
  return {
    traceId: traceIdOf(message.trace ?? ''),
    spanId: spanIdOf(message.id),
    // A cause that is not in this journal would show as a missing parent.
    ...(cause !== undefined && handled.has(cause) ? { parentSpanId: spanIdOf(cause) } : {}),
    name: message.kind,
    kind: spanKindConsumer,
    startTimeUnixNano: nanoseconds(event.at - (event.ms ?? 0)),
    endTimeUnixNano: nanoseconds(event.at),
    attributes: attributesOf({
      'kabuki.message.id': message.id,
      ...(message.from === undefined ? {} : { 'kabuki.from': message.from }),
      ...(message.to === undefined ? {} : { 'kabuki.to': message.to }),
      'kabuki.lamport': event.lamport,
      ...event.detail,
    }),
    events: remarks.map((remark) => ({
      timeUnixNano: nanoseconds(remark.at),
      name: remark.type === 'note' ? (remark.kind ?? 'note') : remark.type,
      attributes: attributesOf(remark.detail ?? {}),
    })),
    status: crashed === undefined ? {} : { code: statusError, message: crashed },
  };
}

function remarksByMessage(events: readonly JournalEvent[]): Map<string, JournalEvent[]> {
  const remarks = new Map<string, JournalEvent[]>();
  for (const event of events) {
    if (event.id === undefined || !['note', 'crash', 'dead', 'drop'].includes(event.type)) continue;
    remarks.set(event.id, [...(remarks.get(event.id) ?? []), event]);
  }
  return remarks;
}

function attributesOf(fields: Readonly<Record<string, string | number | boolean>>): Attribute[] {
  return Object.entries(fields).map(([key, value]) => {
    if (typeof value === 'string') return { key, value: { stringValue: value } };
    if (typeof value === 'boolean') return { key, value: { boolValue: value } };
    return { key, value: Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value } };
  });
}

/** Eight bytes that follow from the message id alone, so that journals of several nodes fit together (FNV-1a). */
function spanIdOf(messageId: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(messageId, 'utf8')) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash.toString(16).padStart(16, '0');
}

function nanoseconds(ms: number): string {
  return (BigInt(Math.round(ms * 1000)) * 1000n).toString();
}
