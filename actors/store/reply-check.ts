/**
 * The boundary of a client of the store: what members answer is of the right shape behind it. The other direction of
 * letter-check.ts.
 */
import {
  alarmShape,
  authAnswerShape,
  authSecretsShape,
  bytes,
  count,
  finite,
  flag,
  keyValuesShape,
  leaseIdShape,
  listOf,
  oneOf,
  optional,
  rangeResultShape,
  record,
  type ShapeOf,
  type ShapesOf,
  text,
  txnResultShape,
  union,
} from 'raft-consensus';
import { misshapen } from '../runtime/index.js';
import type { BackupOpened, BackupPiece } from './backup/messages.js';
import type { HashOfMember, LeaseKeptAlive, LeaseTimeToLive, StoreErrorCode, StoreStatus } from './client.js';
import { memberInfo } from './letter-check.js';
import type { RangeRest, StoreReply } from './messages.js';

/** What is wrong with an answer; undefined: it is what its type says. */
export function malformedReply(reply: unknown): string | undefined {
  return misshapen(reply, memberReplies);
}

const rest: ShapeOf<RangeRest> = { id: text, member: text, pieces: count };
const kept: ShapeOf<LeaseKeptAlive> = { revision: count, ttlMs: finite };
const time: ShapeOf<LeaseTimeToLive> = {
  revision: count,
  grantedTtlMs: finite,
  ttlMs: finite,
  keys: listOf(text),
};
const hash: ShapeOf<HashOfMember> = { hash: finite, hashRevision: count, compactRevision: count };
const alarms = listOf(alarmShape);
const members = listOf(record(memberInfo));
const status: ShapeOf<StoreStatus> = {
  member: text,
  leader: (value) => (value === null ? undefined : text(value)),
  revision: count,
  dbSizeBytes: count,
  errors: listOf(text),
  role: text,
  leaderForMs: finite,
  connectedForMs: finite,
  term: count,
  commitIndex: count,
  appliedIndex: count,
  compactRevision: count,
  isFreeing: flag,
  members,
  dbSizeInUseBytes: count,
  quotaBytes: count,
  alarms,
  authEnabled: flag,
};
const opened: ShapeOf<BackupOpened> = {
  id: text,
  revision: count,
  compactRevision: count,
  appliedIndex: count,
  keys: count,
  sizeBytes: count,
};
const piece: ShapeOf<BackupPiece> = { bytes, isLast: flag };
/** Figures for a page that people and their collectors read: nothing is decided by them. */
const figures = record({});

const codes = {
  NoLeader: true,
  Timeout: true,
  LeaderChanged: true,
  Overloaded: true,
  Refused: true,
} satisfies Record<StoreErrorCode, true>;

type Shapes = ShapesOf<StoreReply>;

const shapes: Omit<Shapes, 'StoreManyAre'> = {
  StoreTxnDone: { revision: count, result: txnResultShape },
  StoreRangeDone: { revision: count, result: rangeResultShape, rest: optional(record(rest)) },
  StoreRangePiece: { kvs: keyValuesShape },
  StoreRevision: { revision: count },
  StoreLeaseGranted: { id: leaseIdShape },
  StoreLeaseKept: { kept: record(kept) },
  StoreLeaseTime: { time: record(time) },
  StoreLeaseIds: { revision: count, ids: listOf(leaseIdShape) },
  StoreHash: { hash: record(hash) },
  StoreAlarmList: { alarms },
  StoreDone: { revision: count },
  StoreStatusIs: { status: record(status) },
  StoreMembersAre: { members },
  StoreBackupIs: { opened: record(opened) },
  StoreBackupPiece: { piece: record(piece) },
  StoreMeasuresAre: { measures: figures },
  StoreAuthAnswer: { revision: count, answer: authAnswerShape },
  StoreAuthSecretsAre: { secrets: authSecretsShape },
  StoreAskAlone: {},
  StoreFailed: {
    code: oneOf(...Object.keys(codes)),
    kvCode: optional(text),
    membership: optional(text),
    message: text,
    definite: flag,
    leader: optional(text),
    leaderNode: optional(text),
    members: optional(members),
  },
};

const ofMany: Pick<Shapes, 'StoreManyAre'> = {
  StoreManyAre: {
    replies: listOf(
      union(Object.fromEntries(Object.entries(shapes).map(([type, shape]) => [type, record(shape)]))),
    ),
  },
};

export const memberReplies: Shapes = { ...shapes, ...ofMany };
