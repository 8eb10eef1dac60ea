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
  text,
  txnShape,
  union,
  watchRequestShape,
  whole,
  wrongField,
} from 'raft-consensus';
import { isNodeId } from '../../transport/index.js';
import type { ActorRef } from '../runtime/index.js';
import { storeLimits } from './limits.js';
import type { MemberAddress, MemberChange } from './member-address.js';
import type { RaftLetter, SharedRequest, StoreMessage, StoreReply, StoreRequest } from './messages.js';
import { letterTypes } from './raft-letters.js';

/** What is wrong with a message, and whom to tell, if it is a request that says so. */
export interface Malformed {
  readonly why: string;
  readonly replyTo: ActorRef<StoreReply> | undefined;
}

/** Undefined: `message` is what its type says. */
export function malformed(message: unknown): Malformed | undefined {
  if (!isRecord(message)) return { why: 'it is no message', replyTo: undefined };
  const { type } = message;
  if (typeof type !== 'string' || !Object.hasOwn(shapes, type)) {
    const name = typeof type === 'string' ? type.slice(0, 64) : typeof type;
    return { why: `a store member takes no message of type ${name}`, replyTo: replyToOf(message) };
  }
  const path = wrongField(message, shapes[type]!);
  if (path === undefined) return undefined;
  return { why: `${type}${path} is absent or not what it should be`, replyTo: replyToOf(message) };
}

function replyToOf(message: Readonly<Record<string, unknown>>): ActorRef<StoreReply> | undefined {
  const { type, replyTo } = message;
  // What hears of watches takes no answers to requests; who hears nothing of its watch tries elsewhere.
  if (type === 'StoreWatch') return undefined;
  return address(replyTo) === undefined ? (replyTo as ActorRef<StoreReply>) : undefined;
}

const pathLengthMax = 512;

/** Of an actor, to be answered and to be watched. */
const address: Check = (value) => {
  if (!isRecord(value)) return '';
  const { node, path } = value;
  if (typeof node !== 'string' || !isNodeId(node)) return '.node';
  return typeof path === 'string' && path.startsWith('/') && path.length <= pathLengthMax
    ? undefined
    : '.path';
};

const asked = { replyTo: address, caller: optional(callerShape) };

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
const memberAddress: ShapeOf<MemberAddress> = { node: text, ...memberChange, isToVote: optional(flag) };

const nothing = record({});
const need = union({ user: nothing, admin: nothing, read: record({ range: keyRangeShape }) });
const digests = listOf(record({ index: count, digest: finite }), 1024);

const requests: { readonly [Type in StoreRequest['type']]: ShapeOf<Extract<StoreRequest, { type: Type }>> } =
  {
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

const others: { readonly [Type in OtherType]: ShapeOf<Extract<StoreMessage, { type: Type }>> } = {
  StoreMany: {
    requests: listOf(
      union({ StoreTxn: record(txn), StoreRange: record(range) }),
      storeLimits.requestsInFlightMax,
    ),
    replyTo: address,
  },
  StoreWatch: { watchId: text, request: watchRequestShape, replyTo: address, credit: count },
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

const shapes: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  ...requests,
  ...raftLetters,
  ...others,
};
