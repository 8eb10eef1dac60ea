/** The boundary where letters come in: what the core may take for granted is checked here, once. */
import { RaftError } from './errors.js';
import { decodeConfiguration, isConfiguration } from './core/configuration.js';
import type { Entry, MemberId } from './core/types.js';
import type { Letter } from './snapshot-pieces.js';

type Kind = 'count' | 'boolean' | 'string' | 'bytes' | 'reason' | 'entries' | 'meta';

const FIELDS: { readonly [type in Letter['type']]: { readonly [field: string]: Kind } } = {
  vote: { lastIndex: 'count', lastTerm: 'count', reason: 'reason' },
  'pre-vote': { lastIndex: 'count', lastTerm: 'count', reason: 'reason' },
  'vote-reply': { granted: 'boolean' },
  'pre-vote-reply': { granted: 'boolean' },
  append: { prevIndex: 'count', prevTerm: 'count', commit: 'count', entries: 'entries' },
  'append-accepted': { index: 'count' },
  'append-rejected': { index: 'count', hintIndex: 'count', hintTerm: 'count' },
  heartbeat: { commit: 'count', readRound: 'count' },
  'heartbeat-reply': { readRound: 'count' },
  commit: { commit: 'count' },
  'snapshot-piece': {
    meta: 'meta',
    offset: 'count',
    total: 'count',
    checksum: 'count',
    data: 'bytes',
    dataChecksum: 'count',
  },
  'snapshot-piece-accepted': { index: 'count', checksum: 'count', received: 'count' },
  'read-index': { context: 'count' },
  'read-index-reply': { context: 'count', index: 'count' },
  'transfer-leadership': { target: 'string' },
  'timeout-now': {},
};

/**
 * Throws RaftError `BadMessage` unless `value` is a letter from `from` to `to`. Whether `from` belongs to the
 * group is not asked: who is new knows nobody, and who is behind does not know who is new (Raft §6).
 */
export function checkMessage(value: unknown, from: MemberId, to: MemberId): Letter {
  if (typeof value !== 'object' || value === null) throw bad(from, 'is not an object');
  const message = value as { readonly [field: string]: unknown };
  const type = message['type'];
  if (typeof type !== 'string' || !Object.hasOwn(FIELDS, type))
    throw bad(from, `has no known type: ${String(type)}`);
  if (message['from'] !== from) throw bad(from, `says that it is from ${String(message['from'])}`);
  if (message['to'] !== to) throw bad(from, `is for ${String(message['to'])}, not for ${to}`);
  if (!isCount(message['term'])) throw bad(from, 'has no term');
  const fields = FIELDS[type as Letter['type']];
  for (const field in fields) {
    if (!isKind(fields[field]!, message[field])) throw bad(from, `of type ${type} has a bad field ${field}`);
  }
  const letter = message as unknown as Letter;
  if (letter.type === 'append') checkOrder(letter.entries, letter.prevIndex, letter.term, from);
  if (letter.type === 'snapshot-piece' && letter.offset + letter.data.length > letter.total)
    throw bad(from, 'is a piece beyond the end of its snapshot');
  return letter;
}

function checkOrder(entries: readonly Entry[], prevIndex: number, term: number, from: MemberId): void {
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (entry.index !== prevIndex + 1 + i || entry.term > term) throw bad(from, 'has entries out of order');
  }
}

function isKind(kind: Kind, value: unknown): boolean {
  switch (kind) {
    case 'count':
      return isCount(value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'string':
      return typeof value === 'string';
    case 'bytes':
      return value instanceof Uint8Array;
    case 'reason':
      return value === 'timeout' || value === 'transfer';
    case 'entries':
      return Array.isArray(value) && value.every(isEntry);
    case 'meta':
      return isMeta(value);
    default:
      kind satisfies never;
      return false;
  }
}

function isEntry(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { term, index, type, data } = value as { readonly [field: string]: unknown };
  const known = type === 'normal' || type === 'noop' || type === 'config';
  if (!known || !isCount(term) || !isCount(index) || !(data instanceof Uint8Array)) return false;
  return type !== 'config' || decodeConfiguration(data) !== null;
}

function isMeta(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { term, index, configuration } = value as { readonly [field: string]: unknown };
  return isCount(term) && isCount(index) && isConfiguration(configuration);
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const bad = (from: MemberId, what: string): RaftError =>
  new RaftError('BadMessage', `a message from ${from} ${what}`, { definite: true });
