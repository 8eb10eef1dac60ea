/**
 * A journal for ShiViz (bestchai.github.io/shiviz), which draws space-time diagrams and compares runs. Vector clocks
 * are computed here from who sent which message: on the wire a Lamport counter is enough. Events must come merged, so
 * that each arrival follows its send. Paste the log with ShiViz's parser expression `shivizParser`.
 */
import type { JournalEvent } from './journal.js';
import { actorOf } from './messages.js';

export const shivizParser = String.raw`(?<event>.*)\n(?<host>\S*) (?<clock>{.*})`;

type VectorClock = ReadonlyMap<string, number>;

/** One host a node, or one an actor. */
export function toShiviz(events: readonly JournalEvent[], hosts: 'node' | 'actor' = 'node'): string {
  const clocks = new Map<string, VectorClock>();
  const sent = new Map<string, VectorClock>();
  const lines: string[] = [];
  for (const event of events) {
    const host = hosts === 'node' ? event.node : actorOf(event);
    const arrives = (event.type === 'recv' || event.type === 'handle') && event.id !== undefined;
    const clock = advance(host, clocks.get(host), arrives ? sent.get(event.id ?? '') : undefined);
    clocks.set(host, clock);
    if (event.type === 'send' && event.id !== undefined) sent.set(event.id, clock);
    lines.push(describe(event), `${host} ${JSON.stringify(Object.fromEntries(clock))}`);
  }
  return `${lines.join('\n')}\n`;
}

function advance(host: string, own: VectorClock | undefined, other: VectorClock | undefined): VectorClock {
  const next = new Map(own);
  for (const [name, count] of other ?? []) next.set(name, Math.max(count, next.get(name) ?? 0));
  next.set(host, (own?.get(host) ?? 0) + 1);
  return next;
}

function describe(event: JournalEvent): string {
  const way = event.type === 'send' ? `to ${event.to}` : event.from === undefined ? '' : `from ${event.from}`;
  const words = [event.type, event.kind, way, event.reason].filter(
    (word) => word !== undefined && word !== '',
  );
  return words.join(' ').replaceAll(/[\r\n]+/g, ' ');
}
