/**
 * A journal event as one line of JSON and back. Keys come in a fixed order and those of `detail` sorted, so that equal
 * journals are equal byte for byte.
 */
import { TransportError } from '../errors.js';
import type { JournalEvent, JournalEventType } from './journal.js';

const types: Readonly<Record<JournalEventType, true>> = {
  send: true,
  recv: true,
  handle: true,
  handled: true,
  drop: true,
  dead: true,
  spawn: true,
  stop: true,
  crash: true,
  restart: true,
  fault: true,
  note: true,
};

export function formatEvent(event: JournalEvent): string {
  const { type, at, lamport, node, actor, id, cause, trace, kind, from, to, reason, ms } = event;
  const detail = event.detail && sorted(event.detail);
  // One literal for all: its order is the order of the keys, and JSON leaves out what is undefined.
  const line = { type, at, lamport, node, actor, id, cause, trace, kind, from, to, reason, ms, detail };
  return JSON.stringify(line);
}

function sorted(detail: NonNullable<JournalEvent['detail']>): object {
  return Object.fromEntries(
    Object.keys(detail)
      .toSorted()
      .map((key) => [key, detail[key]]),
  );
}

/** Throws TransportError `journal` for what is no event. */
export function parseEvent(line: string): JournalEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new TransportError('journal', 'a journal line is no JSON', error);
  }
  if (!isEvent(value)) throw new TransportError('journal', 'a journal line is no event');
  return value;
}

function isEvent(value: unknown): value is JournalEvent {
  if (typeof value !== 'object' || value === null) return false;
  const event = value as Record<string, unknown>;
  if (typeof event['type'] !== 'string' || !Object.hasOwn(types, event['type'])) return false;
  if (typeof event['at'] !== 'number' || typeof event['lamport'] !== 'number') return false;
  if (typeof event['node'] !== 'string') return false;
  if (event['ms'] !== undefined && typeof event['ms'] !== 'number') return false;
  const { detail } = event;
  if (detail !== undefined && (typeof detail !== 'object' || detail === null)) return false;
  return optionalStrings.every((key) => isOptionalString(event[key]));
}

const optionalStrings = [
  'actor',
  'id',
  'cause',
  'trace',
  'kind',
  'from',
  'to',
  'reason',
] as const satisfies readonly (keyof JournalEvent)[];

function isOptionalString(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}
