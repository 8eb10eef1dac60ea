/**
 * The boundary where letters come in: what the core may take for granted is checked here, once. First what a letter must be
 * whoever takes it, then what it cannot say to a member that knows better: such a letter is of no peer that works as it should.
 */
import { RaftError } from './errors.js';
import { decodeConfiguration, isConfiguration } from './core/configuration.js';
import * as limits from './limits.js';
import type { RaftCore } from './core/core.js';
import type { AppendRequest } from './core/messages.js';
import type { Configuration, MemberId } from './core/types.js';
import type { Letter, SnapshotPiece } from './snapshot-pieces.js';

type Kind = 'count' | 'context' | 'boolean' | 'string' | 'bytes' | 'reason' | 'entries' | 'meta';

const FIELDS: { readonly [type in Letter['type']]: { readonly [field: string]: Kind } } = {
  vote: { lastIndex: 'count', lastTerm: 'count', reason: 'reason' },
  'pre-vote': { lastIndex: 'count', lastTerm: 'count', reason: 'reason' },
  'vote-reply': { granted: 'boolean' },
  'pre-vote-reply': { granted: 'boolean' },
  append: { prevIndex: 'count', prevTerm: 'count', commit: 'count', entries: 'entries' },
  'append-accepted': { index: 'count' },
  'append-rejected': { index: 'count', hintIndex: 'count', hintTerm: 'count' },
  heartbeat: { commit: 'count', commitTerm: 'count', readRound: 'count' },
  'heartbeat-reply': { readRound: 'count' },
  commit: { commit: 'count', commitTerm: 'count' },
  'snapshot-piece': {
    meta: 'meta',
    offset: 'count',
    total: 'count',
    checksum: 'count',
    data: 'bytes',
    dataChecksum: 'count',
  },
  'snapshot-piece-accepted': { index: 'count', checksum: 'count', received: 'count' },
  'read-index': { context: 'context' },
  'read-index-reply': { context: 'context', index: 'count' },
  'transfer-leadership': { target: 'string' },
  'timeout-now': {},
};

/**
 * Throws RaftError `BadMessage` unless `value` is a letter from `from` to `to`. Whether `from` belongs to the
 * group is not asked: who is new knows nobody, and who is behind does not know who is new (Raft §6).
 */
export function checkMessage(value: unknown, from: unknown, to: MemberId): Letter {
  if (typeof value !== 'object' || value === null) throw bad(named(from), 'is not an object');
  const message = value as { readonly [field: string]: unknown };
  const type = message['type'];
  if (typeof from !== 'string' || from === '') throw bad(named(from), 'has no sender');
  if (typeof type !== 'string' || !Object.hasOwn(FIELDS, type))
    throw bad(from, `has no known type: ${named(type)}`);
  if (message['from'] !== from) throw bad(from, `says that it is from ${named(message['from'])}`);
  if (from === to) throw bad(from, 'says that it is from its receiver');
  if (message['to'] !== to) throw bad(from, `is for ${named(message['to'])}, not for ${to}`);
  if (!isCount(message['term'])) throw bad(from, 'has no term');
  const fields = FIELDS[type as Letter['type']];
  for (const field in fields) {
    if (!isKind(fields[field]!, message[field])) throw bad(from, `of type ${type} has a bad field ${field}`);
  }
  const letter = message as unknown as Letter;
  if (letter.type === 'append') checkOrder(letter, from);
  if (letter.type === 'snapshot-piece') checkPiece(letter, from);
  return letter;
}

/** Throws RaftError `BadMessage` when the letter, of the right shape, says what cannot be. */
export function checkPlausible(letter: Letter, { id, term, leader, log }: RaftCore): void {
  const { from, type } = letter;
  if (letter.term > term + limits.termsAheadMax) {
    throw bad(from, `of type ${type} is of term ${letter.term}, and this is ${term}`);
  }
  if (leader === null || letter.term !== term) return;
  switch (type) {
    case 'append':
    case 'heartbeat':
    case 'commit':
    case 'snapshot-piece':
      throw bad(from, `of type ${type} is of one who leads in term ${term}, which ${id} does`);
    case 'append-accepted':
      // Counted as a copy of what is to come, it would commit what nobody has.
      if (letter.index <= log.lastIndex) return;
      throw bad(from, `has accepted entry ${letter.index}, and the log ends at ${log.lastIndex}`);
    case 'heartbeat-reply':
      // Counted for reads that nobody has asked yet, it would make them old ones.
      if (letter.readRound <= leader.reads.rounds) return;
      throw bad(from, `confirms the read round ${letter.readRound}, and there were ${leader.reads.rounds}`);
    default:
  }
}

/** Behind each other, and of terms that only grow (Raft §5.3). */
function checkOrder({ entries, prevIndex, prevTerm, term }: AppendRequest, from: string): void {
  let last: number = prevTerm;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (entry.index !== prevIndex + 1 + i || entry.term < last) throw bad(from, 'has entries out of order');
    last = entry.term;
  }
  if (last > term) throw bad(from, `has an entry of term ${last}, and is of ${term}`);
}

function checkPiece({ offset, data, total, meta, term }: SnapshotPiece, from: string): void {
  if (offset + data.length > total) throw bad(from, 'is a piece beyond the end of its snapshot');
  if (meta.term > term) throw bad(from, `is of a snapshot of term ${meta.term}, and is of ${term}`);
}

function isKind(kind: Kind, value: unknown): boolean {
  switch (kind) {
    case 'count':
      return isCount(value);
    case 'context':
      return Number.isSafeInteger(value);
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
  if (type !== 'config') return true;
  const configuration = decodeConfiguration(data);
  return configuration !== null && hasVoter(configuration);
}

function isMeta(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { term, index, configuration } = value as { readonly [field: string]: unknown };
  return isCount(term) && isCount(index) && isConfiguration(configuration) && hasVoter(configuration);
}

const hasVoter = ({ voters }: Configuration): boolean => voters.length > 0;

const isCount = (value: unknown): boolean =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= limits.numberMax;

/** Of what may be anything, in a few words. */
const named = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 64) : typeof value);

const bad = (from: string, what: string): RaftError =>
  new RaftError('BadMessage', `a message from ${from} ${what}`, { definite: true });
