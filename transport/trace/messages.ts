/** The messages of a journal: what its events together say about each letter. Exporters start from this. */
import type { JournalEvent } from './journal.js';

export interface TracedMessage {
  readonly id: string;
  cause?: string;
  trace?: string;
  kind: string;
  /** `kabuki://node/path` */
  from?: string;
  to?: string;
  sentAt?: number;
  arrivedAt?: number;
  /** Arrivals, counted where the letter came in: two for a duplicate. */
  arrivals: number;
  /** Why it was dropped, or found no receiver, if it never arrived. */
  lost?: string;
  crashed?: string;
}

/** By id, in order of first appearance. */
export function messagesOf(events: readonly JournalEvent[]): Map<string, TracedMessage> {
  const messages = new Map<string, TracedMessage>();
  for (const event of events) {
    if (event.id === undefined) continue;
    let message = messages.get(event.id);
    if (message === undefined) {
      message = { id: event.id, kind: '', arrivals: 0 };
      messages.set(event.id, message);
    }
    learn(message, event);
  }
  return messages;
}

function learn(message: TracedMessage, event: JournalEvent): void {
  if (event.cause !== undefined) message.cause ??= event.cause;
  if (event.trace !== undefined) message.trace ??= event.trace;
  if (event.from !== undefined) message.from ??= event.from;
  if (event.to !== undefined) message.to ??= event.to;
  switch (event.type) {
    case 'send':
      message.sentAt ??= event.at;
      break;
    case 'recv':
      message.arrivals += 1;
      message.arrivedAt ??= event.at;
      break;
    case 'handle':
    case 'handled':
      message.arrivedAt ??= event.at - (event.ms ?? 0);
      break;
    case 'drop':
    case 'dead':
      message.lost =
        event.type === 'dead' ? `dead letter${event.reason ? `: ${event.reason}` : ''}` : `${event.reason}`;
      break;
    case 'crash':
      message.crashed = String(event.detail?.['error'] ?? event.reason ?? 'crash');
      return;
    case 'spawn':
    case 'stop':
    case 'restart':
    case 'fault':
    case 'note':
      return;
    default:
      event.type satisfies never;
  }
  if (event.kind !== undefined && message.kind === '') message.kind = event.kind;
}

/** `master-1/scheduler` for `kabuki://master-1/scheduler`; passing actors such as `/watch/1795-17` share one name. */
export function actorName(address: string): string {
  return address
    .replace(/^kabuki:\/\//, '')
    .replace(/(\/[0-9]+(-[0-9]+)?)+$/, '')
    .replace(/\/$/, '');
}

/** Who receives: a reply goes to whoever asked, not to the passing actor that waits for it. */
export function receiverName(message: TracedMessage, messages: ReadonlyMap<string, TracedMessage>): string {
  const to = message.to ?? 'unknown';
  const asked =
    /\/ask\/[^/]+$/.test(to) && message.cause !== undefined ? messages.get(message.cause) : undefined;
  return actorName(asked?.from ?? to);
}

export function actorOf(event: JournalEvent): string {
  const path = pathOf(event) ?? '';
  return actorName(`${event.node}${path === '' || path.startsWith('/') ? path : `/${path}`}`);
}

/** The actor of an event: the one it names, or the sender or receiver that lives on the event's node. */
export function pathOf(event: JournalEvent): string | undefined {
  if (event.actor !== undefined) return event.actor;
  const prefix = `kabuki://${event.node}`;
  const sides = event.type === 'send' ? [event.from, event.to] : [event.to, event.from];
  return sides.find((address) => address?.startsWith(`${prefix}/`))?.slice(prefix.length);
}
