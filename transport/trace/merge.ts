/** Brings the journals of several nodes into one order: by Lamport counter, then by time, then by node. */
import type { JournalEvent } from './journal.js';

export function mergeJournals(journals: readonly (readonly JournalEvent[])[]): JournalEvent[] {
  const keyed: { event: JournalEvent; lamport: number; journal: number; position: number }[] = [];
  for (const [journal, events] of journals.entries()) {
    let lamport = 0;
    for (const [position, event] of events.entries()) {
      // A node's own order stands, also where a restart set its counter back.
      lamport = Math.max(lamport, event.lamport);
      keyed.push({ event, lamport, journal, position });
    }
  }
  keyed.sort((a, b) => {
    if (a.journal === b.journal) return a.position - b.position;
    return a.lamport - b.lamport || a.event.at - b.event.at || a.journal - b.journal;
  });
  return keyed.map(({ event }) => event);
}
