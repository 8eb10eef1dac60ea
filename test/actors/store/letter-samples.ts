/** One right message of every kind that a store member takes from another machine, and what can go wrong with each of its fields. */
import { type Letter, logIndex, type MemberId, memberId, revision, term } from 'raft-consensus';
import { type ActorRef } from '../../../actors/runtime/index.js';
import type { StoreMessage, StoreReply, StoreWatchReply } from '../../../actors/store/messages.js';
import type { SeededRandom } from '../../raft/seeded-random.js';

/** What a letter must say to be looked at by the member that gets it. */
export interface Moment {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly term: number;
  readonly lastIndex: number;
  readonly replyTo: ActorRef<StoreReply | StoreWatchReply>;
}

const bytes = new Uint8Array([1, 2, 3]);
const range = { type: 'range', key: 'a', rangeEnd: 'b' } as const;
const fullRange = {
  ...range,
  revision: revision(0),
  limit: 3,
  keysOnly: false,
  countOnly: false,
  sort: { target: 'mod', order: 'descend' },
  minModRevision: revision(0),
  maxModRevision: revision(0),
  minCreateRevision: revision(0),
  maxCreateRevision: revision(0),
} as const;
const put = {
  type: 'put',
  key: 'sample',
  value: bytes,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
} as const;
const txn = {
  type: 'txn',
  compare: [{ key: 'none', rangeEnd: 'nonf', target: 'version', result: '=', operand: 0 }],
  success: [put, { type: 'delete', key: 'x', rangeEnd: 'y', prevKv: true }],
  failure: [fullRange, { type: 'txn', compare: [], success: [], failure: [] }],
} as const;
const caller = { type: 'certificate', user: 'nobody' } as const;
const configuration = { voters: [memberId('m1'), memberId('m9')], learners: [], index: logIndex(1) };

type Unknown = Readonly<Record<string, unknown>> & { readonly type: string };

export function samples(moment: Moment): readonly Unknown[] {
  return [...requests(moment), ...others(moment), ...raftLetters(moment)] as unknown as Unknown[];
}

function requests({ replyTo }: Moment): readonly StoreMessage[] {
  const address = {
    node: 'm1',
    url: 'tcp://127.0.0.1:1',
    title: 't',
    clientUrls: ['http://a:1'],
    isToVote: false,
  };
  return [
    { type: 'StoreTxn', txn, context: 'c', caller, replyTo },
    { type: 'StoreRange', op: fullRange, serializable: true, inPieces: true, caller, replyTo },
    { type: 'StoreRange', op: range, serializable: false, replyTo },
    { type: 'StoreRangeRead', id: 'none', number: 1, replyTo },
    { type: 'StoreCurrentRevision', replyTo },
    { type: 'StoreCompact', revision: revision(1), replyTo },
    { type: 'StoreLeaseGrant', ttlMs: 60_000, id: 0 as never, replyTo },
    { type: 'StoreLeaseRevoke', id: 7 as never, replyTo },
    { type: 'StoreLeaseKeepAlive', id: 7 as never, replyTo },
    { type: 'StoreLeaseTimeToLive', id: 7 as never, keys: true, replyTo },
    { type: 'StoreLeases', replyTo },
    { type: 'StoreHashKv', revision: revision(0), replyTo },
    { type: 'StoreAlarms', replyTo },
    { type: 'StoreAlarm', action: 'disarm', alarm: { type: 'NoSpace', member: 'm9' }, replyTo },
    { type: 'StoreTransfer', to: 'm9', replyTo },
    { type: 'StoreStatus', replyTo },
    { type: 'StoreMemberList', serializable: true, replyTo },
    // The node is taken: refused, so that the group stays what it is.
    { type: 'StoreMemberAdd', name: 'm9', address, learner: true, replyTo },
    { type: 'StoreMemberUpdate', name: 'm9', change: { title: 't', clientUrls: ['http://a:1'] }, replyTo },
    { type: 'StoreMemberRemove', name: 'm9', replyTo },
    { type: 'StoreMemberPromote', name: 'm9', replyTo },
    { type: 'StoreBackupOpen', serializable: true, replyTo },
    { type: 'StoreBackupRead', id: 'none', number: 0, replyTo },
    { type: 'StoreAuthorize', need: { type: 'read', range: { key: 'a', rangeEnd: 'b' } }, replyTo },
    { type: 'StoreMeasures', replyTo },
    { type: 'StoreAuth', change: { type: 'user-delete', user: 'nobody' }, replyTo },
    {
      type: 'StoreAuth',
      change: { type: 'role-grant', role: 'none', permission: { key: 'a', access: 'read' } },
      replyTo,
    },
    { type: 'StoreAuthQuery', query: { type: 'role', role: 'none' }, replyTo },
    { type: 'StoreAuthSecrets', user: 'nobody', replyTo },
  ];
}

function others({ from, replyTo }: Moment): readonly StoreMessage[] {
  const shared = [
    { type: 'StoreTxn', txn, caller },
    { type: 'StoreRange', op: range, serializable: true },
  ] as const;
  const request = {
    key: 'a',
    rangeEnd: 'b',
    startRevision: revision(1),
    prevKv: true,
    noPut: false,
    noDelete: true,
  };
  return [
    { type: 'StoreMany', requests: shared, replyTo },
    { type: 'StoreWatch', watchId: 'w', request, replyTo, credit: 4 },
    { type: 'StoreWatchCredit', watchId: 'w', batches: 1 },
    { type: 'StoreWatchProgress', watchId: 'w' },
    { type: 'StoreWatchCancel', watchId: 'w' },
    { type: 'StoreDigestAsk', from },
    { type: 'StoreDigests', from, points: [{ index: 32, digest: 5 }] },
    { type: 'StoreMemberAsk', name: from, node: from },
    { type: 'StoreMemberGone', configuration },
    { type: 'StoreBackupClose', id: 'none' },
  ];
}

function raftLetters(moment: Moment): readonly StoreMessage[] {
  const { from, to, lastIndex } = moment;
  // Beyond the log: it fits nowhere, so that whatever is left of it does no harm to a log that is right.
  const far = lastIndex + 1_000;
  const entry = { term: term(moment.term), index: logIndex(far + 1), type: 'normal', data: bytes } as const;
  const config = Buffer.from(JSON.stringify({ voters: ['m1'], learners: [] }));
  const letters: Readonly<Record<Letter['type'], object>> = {
    vote: { lastIndex: logIndex(0), lastTerm: term(0), reason: 'timeout' },
    'pre-vote': { lastIndex: logIndex(0), lastTerm: term(0), reason: 'timeout' },
    'vote-reply': { granted: false },
    'pre-vote-reply': { granted: false },
    append: {
      prevIndex: logIndex(far),
      prevTerm: term(moment.term),
      entries: [entry, { ...entry, index: logIndex(far + 2), type: 'config', data: config }],
      commit: logIndex(1),
    },
    'append-accepted': { index: logIndex(1) },
    'append-rejected': { index: logIndex(1), hintIndex: logIndex(1), hintTerm: term(1) },
    heartbeat: { commit: logIndex(1), readRound: 0 },
    'heartbeat-reply': { readRound: 0 },
    commit: { commit: logIndex(1) },
    'snapshot-piece': {
      meta: { index: logIndex(far), term: term(moment.term), configuration },
      offset: 0,
      total: 1_000_000,
      checksum: 1,
      data: bytes,
      dataChecksum: 2,
    },
    'snapshot-piece-accepted': { index: logIndex(1), checksum: 1, received: 1 },
    'read-index': { context: 5 },
    'read-index-reply': { context: 5, index: logIndex(1) },
    'transfer-leadership': { target: memberId('m9') },
    'timeout-now': {},
  };
  return Object.entries(letters).map(([type, fields]) => {
    const raft = { type, from, to, term: moment.term, ...fields } as unknown as Letter;
    const name = type.replaceAll(/(?:^|-)([a-z])/g, (_, first: string) => first.toUpperCase());
    return { type: `Raft${name}`, raft, node: from };
  });
}

export type Path = readonly (string | number)[];

/** Every place in the message, the outermost first. */
export function pathsOf(value: unknown, path: Path = []): readonly Path[] {
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...path, key]))].filter(
    (one) => one.length > 0,
  );
}

/** Of each kind that a value can be; absurd ones among them. */
const catalog: readonly unknown[] = [
  undefined,
  null,
  true,
  '',
  'x',
  'StoreTxn',
  'constructor',
  '\u{1f600}',
  'y'.repeat(5_000),
  -1,
  0,
  0.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 31,
  2 ** 53,
  2n ** 63n,
  -(2n ** 70n),
  new Uint8Array(0),
  [],
  [null],
  {},
  { type: 'x' },
  { toString: 1 },
  { node: 'm1', path: '/store' },
];

export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (value instanceof Uint8Array) return 'bytes';
  if (Array.isArray(value)) return 'list';
  return typeof value === 'bigint' ? 'number' : typeof value;
}

export interface Mutation {
  readonly message: Unknown;
  readonly path: Path;
  readonly was: unknown;
  readonly is: unknown;
}

/** Some of what can go wrong at this place. */
export function mutations(
  message: Unknown,
  path: Path,
  count: number,
  random: SeededRandom,
): readonly Mutation[] {
  const was = path.reduce<unknown>((at, key) => (at as Unknown)[key], message);
  const absent = { message: changed(message, path, undefined), path, was, is: undefined };
  const some = Array.from({ length: count }, () => {
    const is = random.pick(catalog);
    return { message: changed(message, path, is), path, was, is };
  });
  return [absent, ...some];
}

function changed(value: unknown, path: Path, is: unknown): Unknown {
  const [key, ...rest] = path;
  if (key === undefined) return is as Unknown;
  const copy: unknown = Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) };
  const place = copy as Record<string | number, unknown>;
  // A list without one of its items is a list.
  if (rest.length === 0 && is === undefined && Array.isArray(copy)) place[key] = null;
  else if (rest.length === 0 && is === undefined) delete place[key];
  else place[key] = changed(place[key], rest, is);
  return copy as Unknown;
}
