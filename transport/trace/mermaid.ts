/**
 * A journal as a Mermaid sequence diagram, which GitHub and many editors draw. One arrow a message; a lost one ends in
 * a cross with its reason; faults, crashes, restarts and remarks are notes where they happened.
 */
import type { JournalEvent } from './journal.js';
import { actorName, actorOf, messagesOf, receiverName, type TracedMessage } from './messages.js';

export interface MermaidOptions {
  /** Mermaid gives up on large diagrams; what is left out is said in a last note. Default 150. */
  readonly messagesMax?: number;
  /** Show `note` events too; default true. */
  readonly notes?: boolean;
}

export function toMermaid(events: readonly JournalEvent[], options: MermaidOptions = {}): string {
  const { messagesMax = 150, notes = true } = options;
  const messages = messagesOf(events);
  const participants = new Map<string, string>();
  const body: string[] = [];
  const drawn = new Set<string>();
  let leftOut = 0;

  const participant = (name: string): string => {
    let alias = participants.get(name);
    if (alias === undefined) {
      alias = `p${participants.size + 1}`;
      participants.set(name, alias);
    }
    return alias;
  };

  for (const event of events) {
    const message = event.id === undefined ? undefined : messages.get(event.id);
    if (message !== undefined && isMovement(event) && !drawn.has(message.id)) {
      drawn.add(message.id);
      if (drawn.size > messagesMax) leftOut += 1;
      else body.push(arrow(message, receiverName(message, messages), participant));
      continue;
    }
    if (leftOut > 0) continue;
    const remark = remarkOf(event, notes);
    if (remark !== undefined) body.push(`  Note over ${participant(actorOf(event))}: ${escape(remark)}`);
  }
  const names = [...participants].map(([name, alias]) => `  participant ${alias} as ${escape(name)}`);
  if (leftOut > 0) {
    body.push(`  Note over p1,p${participants.size}: ${leftOut} more messages are not drawn`);
  }
  return `${['sequenceDiagram', ...names, ...body].join('\n')}\n`;
}

function isMovement(event: JournalEvent): boolean {
  return ['send', 'recv', 'handle', 'handled', 'drop', 'dead'].includes(event.type);
}

function arrow(message: TracedMessage, receiver: string, participant: (name: string) => string): string {
  const from = participant(actorName(message.from ?? 'outside'));
  const to = participant(receiver);
  const lost = message.lost !== undefined && message.arrivals === 0;
  const twice = message.arrivals > 1 ? ` (arrived ${message.arrivals} times)` : '';
  const label = `${message.kind}${lost ? ` (${message.lost})` : twice}`;
  return `  ${from}${lost ? '--x' : '->>'}${to}: ${escape(label)}`;
}

function remarkOf(event: JournalEvent, notes: boolean): string | undefined {
  const fields = Object.entries(event.detail ?? {}).map(([key, value]) => `${key}=${value}`);
  const words = [event.kind, event.reason, ...fields].filter((word) => word !== undefined && word !== '');
  switch (event.type) {
    case 'fault':
    case 'crash':
    case 'restart':
      return [`${event.type}:`, ...words].join(' ');
    case 'note':
      return notes ? words.join(' ') : undefined;
    default:
      return undefined;
  }
}

/** `;` and line breaks end a statement and `#` begins an entity in Mermaid. */
function escape(text: string): string {
  const flat = text.replaceAll(/[\r\n]+/g, ' ').slice(0, 120);
  return flat.replaceAll(/[#;]/g, (sign) => (sign === '#' ? '#35;' : '#59;'));
}
