/**
 * The boundary of a store member: what comes from other machines is of the right shape behind it, or goes no further. Whoever
 * sends is one of the group's machines (its key is known), and may be of any version, or out of its mind. What Raft says is
 * looked at by Raft itself (raft-consensus: message-check.ts), of its letters only the cover is looked at here.
 */
import {
  alarmShape,
  authChangeShape,
  authQueryShape,
  type Check,
  callerShape,
  count,
  finite,
  flag,
  isConfiguration,
  isRecord,
  keyRangeShape,
  leaseIdShape,
  listOf,
  oneOf,
  optional,
  rangeShape,
  record,
  type ShapeOf,
  type ShapesOf,
  text,
  txnShape,
  union,
  watchBatchShape,
  watchRequestShape,
  whole,
} from 'raft-consensus';
import { type ActorRef, type MessageShapes, misshapen, refShape } from '../runtime/index.js';
import type { StoreMemberInfo } from './client.js';
import { storeLimits } from './limits.js';
import type { MemberAddress, MemberChange } from './member-address.js';
import type {
  RaftLetter,
  SharedRequest,
  StoreMessage,
  StoreReply,
  StoreRequest,
  StoreWatchReply,
} from './messages.js';
import { letterTypes } from './raft-letters.js';

/** What is wrong with a message, and whom to tell, if it says so. */
export interface Malformed {
  readonly why: string;
  readonly tell?:
    | { readonly type: 'request'; readonly replyTo: ActorRef<StoreReply> }
    | { readonly type: 'watch'; readonly watchId: string; readonly replyTo: ActorRef<StoreWatchReply> };
}

/** Undefined: `message` is what its type says. */
export function malformed(message: unknown): Malformed | undefined {
  const why = misshapen(message, memberMessages);
  if (why === undefined) return undefined;
  if (!isRecord(message) || refShape(message['replyTo']) !== undefined) return { why };
  const { type, watchId } = message;
  if (type !== 'StoreWatch') {
    return { why, tell: { type: 'request', replyTo: message['replyTo'] as ActorRef<StoreReply> } };
  }
  if (typeof watchId !== 'string') return { why };
  return { why, tell: { type: 'watch', watchId, replyTo: message['replyTo'] as ActorRef<StoreWatchReply> } };
}

const asked = { replyTo: refShape, caller: optional(callerShape) };

const txn: ShapeOf<SharedRequest & { readonly type: 'StoreTxn' }> = {
  txn: txnShape,
  context: optional(text),
  caller: asked.caller,
};
const range: ShapeOf<SharedRequest & { readonly type: 'StoreRange' }> = {
  op: rangeShape,
  serializable: flag,
  inPieces: optional(flag),
  caller: asked.caller,
};

const memberChange: ShapeOf<MemberChange> = {
  url: optional(text),
  publicKey: optional(text),
  title: optional(text),
  clientUrls: optional(listOf(text)),
};
const memberRecord = { ...memberChange, isToVote: optional(flag) };
const memberAddress: ShapeOf<MemberAddress> = { node: text, ...memberRecord };

const nothing = record({});
const need = union({ user: nothing, admin: nothing, read: record({ range: keyRangeShape }) });
const digests = listOf(record({ index: count, digest: finite }), 1024);

const requests: ShapesOf<StoreRequest> = {
  StoreTxn: { ...txn, ...asked },
  StoreRange: { ...range, ...asked },
  StoreRangeRead: { id: text, number: count, ...asked },
  StoreCurrentRevision: asked,
  StoreCompact: { revision: whole, ...asked },
  StoreLeaseGrant: { ttlMs: finite, id: leaseIdShape, ...asked },
  StoreLeaseRevoke: { id: leaseIdShape, ...asked },
  StoreLeaseKeepAlive: { id: leaseIdShape, ...asked },
  StoreLeaseTimeToLive: { id: leaseIdShape, keys: flag, ...asked },
  StoreLeases: asked,
  StoreHashKv: { revision: whole, ...asked },
  StoreAlarms: asked,
  StoreAlarm: { action: oneOf('raise', 'disarm'), alarm: alarmShape, ...asked },
  StoreTransfer: { to: optional(text), ...asked },
  StoreStatus: asked,
  StoreMemberList: { serializable: flag, ...asked },
  StoreMemberAdd: { name: text, address: record(memberAddress), learner: flag, ...asked },
  StoreMemberUpdate: { name: text, change: record(memberChange), ...asked },
  StoreMemberRemove: { name: text, ...asked },
  StoreMemberPromote: { name: text, ...asked },
  StoreBackupOpen: { serializable: flag, ...asked },
  StoreBackupRead: { id: text, number: count, ...asked },
  StoreMeasures: asked,
  StoreAuthorize: { need, ...asked },
  StoreAuth: { change: authChangeShape, ...asked },
  StoreAuthQuery: { query: authQueryShape, ...asked },
  StoreAuthSecrets: { user: optional(text), ...asked },
};

const raftLetter: ShapeOf<RaftLetter> = { raft: record({ from: text, type: text }), node: optional(text) };

const raftLetters = Object.fromEntries(
  Object.entries(letterTypes).map(([kind, type]) => [
    type,
    { ...raftLetter, raft: record({ from: text, type: oneOf(kind) }) },
  ]),
);

type OtherType = Exclude<StoreMessage['type'], StoreRequest['type'] | RaftLetter['type']>;

const others: Pick<ShapesOf<StoreMessage>, OtherType> = {
  StoreMany: {
    requests: listOf(
      union({ StoreTxn: record(txn), StoreRange: record(range) }),
      storeLimits.requestsInFlightMax,
    ),
    replyTo: refShape,
  },
  StoreWatch: { watchId: text, request: watchRequestShape, replyTo: refShape, credit: count },
  StoreWatchCredit: { watchId: text, batches: count },
  StoreWatchProgress: { watchId: text },
  StoreWatchCancel: { watchId: text },
  StoreDigestAsk: { from: text },
  StoreDigests: { from: text, points: digests },
  StoreMemberAsk: { name: text, node: text },
  StoreMemberGone: { configuration: (value) => (isConfiguration(value) ? undefined : '') },
  StoreBackupClose: { id: text },
  StoreTick: {},
  StoreCompactStep: {},
  StoreWatcherGone: { client: text },
};

export const memberMessages: MessageShapes = {
  ...requests,
  ...raftLetters,
  ...others,
};

export const memberInfo: ShapeOf<StoreMemberInfo> = {
  name: text,
  voter: flag,
  address: optional(text),
  ...memberRecord,
};
const watchSeq: Check = (value) => (Array.isArray(value) ? (text(value[0]) ?? count(value[1])) : '');
const watchAlive: Check = (value) =>
  watchSeq(value) ?? count((value as unknown[])[2]) ?? flag((value as unknown[])[3]);

/** What a client hears of its watches. */
export const watchReplies: ShapesOf<StoreWatchReply> = {
  StoreWatchBatch: { watches: listOf(watchSeq), batch: watchBatchShape },
  StoreWatchAlive: { watches: listOf(watchAlive) },
  StoreWatchCompacted: { watchId: text, compactRevision: count },
  StoreWatchRefused: { watchId: text, message: text },
  StoreWatchLost: { watchId: text, members: optional(listOf(record(memberInfo))) },
};
