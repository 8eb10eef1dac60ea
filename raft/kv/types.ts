/**
 * The key-value state machine's vocabulary: etcd v3's data model (reference: etcd KV, Watch and Lease APIs).
 * Plain structured-cloneable data; everything that mutates travels through the Raft log as a `Command`.
 */

import type { AuthChange, Caller } from './auth-types.js';
import type { LeaseId } from './lease-id.js';

export { type LeaseId, leaseId } from './lease-id.js';

/**
 * A key as a byte string: one UTF-16 code unit (0-255) per byte, so that JavaScript's string order is etcd's byte
 * order and keys can be map keys. ASCII keys look as they are; others go through `Buffer.from(x).toString('latin1')`.
 */
export type Key = string;
export type Revision = number & { readonly __brand: 'Revision' };

export const revision = (n: number): Revision => n as Revision;

export interface KeyValue {
  readonly key: Key;
  readonly value: Uint8Array;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  /** Writes since creation; 1 for a fresh key. */
  readonly version: number;
  /** 0 when no lease is attached. */
  readonly lease: LeaseId;
}

/** `rangeEnd` absent: the single key. `rangeEnd` `'\0'`: every key >= `key`. Otherwise [key, rangeEnd). */
export interface KeyRange {
  readonly key: Key;
  readonly rangeEnd?: Key;
}

export interface RangeOp extends KeyRange {
  readonly type: 'range';
  /** 0 or absent: the newest. */
  readonly revision?: Revision;
  /** 0 or absent: no limit. `count` ignores it. */
  readonly limit?: number;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  readonly sort?: {
    readonly target: 'key' | 'version' | 'create' | 'mod' | 'value';
    readonly order: 'ascend' | 'descend';
  };
  readonly minModRevision?: Revision;
  readonly maxModRevision?: Revision;
  readonly minCreateRevision?: Revision;
  readonly maxCreateRevision?: Revision;
}

export interface PutOp {
  readonly type: 'put';
  readonly key: Key;
  readonly value: Uint8Array;
  readonly lease?: LeaseId;
  readonly prevKv?: boolean;
  readonly ignoreValue?: boolean;
  readonly ignoreLease?: boolean;
}

export interface DeleteOp extends KeyRange {
  readonly type: 'delete';
  readonly prevKv?: boolean;
}

export interface Compare extends KeyRange {
  readonly target: 'version' | 'create' | 'mod' | 'value' | 'lease';
  readonly result: '=' | '!=' | '<' | '>';
  /** Bytes for `value`, a lease's id for `lease`, else a number. A missing key compares as 0 (and never matches a `value`). */
  readonly operand: number | LeaseId | Uint8Array;
}

export interface TxnOp {
  readonly type: 'txn';
  readonly compare: readonly Compare[];
  readonly success: readonly Op[];
  readonly failure: readonly Op[];
}

export type Op = RangeOp | PutOp | DeleteOp | TxnOp;

export interface RangeResult {
  readonly type: 'range';
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: number;
}
export interface PutResult {
  readonly type: 'put';
  readonly prevKv?: KeyValue;
}
export interface DeleteResult {
  readonly type: 'delete';
  readonly deleted: number;
  readonly prevKvs?: readonly KeyValue[];
}
export interface TxnResult {
  readonly type: 'txn';
  readonly succeeded: boolean;
  readonly results: readonly OpResult[];
}
export type OpResult = RangeResult | PutResult | DeleteResult | TxnResult;

/** `revision` is the store's revision when the operation took effect (etcd's response header). */
export interface WithRevision<T> {
  readonly revision: Revision;
  readonly result: T;
}

/**
 * What the Raft log carries. `context` is opaque to the store and comes back on the live watch events that the
 * command caused (it carries the trace of the request). `atMs` is the clock of the group as the proposing leader
 * counts it (it has no relation to the time of day): lease deadlines are computed from it inside the replicated
 * state, never from a member's own clock. Of a `caller` rights are asked where the command takes effect; without one
 * it comes from the group itself.
 */
export type SingleCommand = { readonly context?: string; readonly atMs: number; readonly caller?: Caller } & (
  | { readonly type: 'txn'; readonly txn: TxnOp }
  | { readonly type: 'compact'; readonly revision: Revision }
  | { readonly type: 'lease-grant'; readonly id: LeaseId; readonly ttlMs: number }
  | { readonly type: 'lease-renew'; readonly id: LeaseId }
  | {
      readonly type: 'lease-revoke';
      readonly id: LeaseId;
      /** `expired`: has no effect when the lease was renewed before the command took its place in the log. */
      readonly reason?: 'expired';
    }
  | { readonly type: 'alarm'; readonly action: 'raise' | 'disarm'; readonly alarm: Alarm }
  | { readonly type: 'auth'; readonly change: AuthChange }
  /** Changes nothing but the clock of the group: how far it is must not be forgotten while nothing else happens. */
  | { readonly type: 'clock' }
);

/** Transactions that share an entry of the log. Each has its own revision and its own outcome, as if it had an entry. */
export interface CommandBatch {
  readonly type: 'batch';
  readonly commands: readonly Extract<SingleCommand, { type: 'txn' }>[];
}

export type Command = SingleCommand | CommandBatch;

export type AlarmType = 'NoSpace' | 'Corrupt';

export interface Alarm {
  readonly type: AlarmType;
  /** The name of the member that it is about; empty: the whole group. */
  readonly member: string;
}

export interface WatchRequest extends KeyRange {
  /** Inclusive; 0 or absent: from the next change on. */
  readonly startRevision?: Revision;
  readonly prevKv?: boolean;
  readonly noPut?: boolean;
  readonly noDelete?: boolean;
}

export interface WatchEvent {
  readonly type: 'put' | 'delete';
  /** Of a delete: only key and modRevision (the delete's revision) are set, value is empty, version 0. */
  readonly kv: KeyValue;
  readonly prevKv?: KeyValue;
  /** The command's context; absent when the event was replayed from history. */
  readonly context?: string;
}

/** Whole revisions only, in order. Everything <= `revision` that matches has been delivered with or before this batch. */
export interface WatchBatch {
  readonly revision: Revision;
  readonly events: readonly WatchEvent[];
}

export interface LeaseStatus {
  readonly id: LeaseId;
  readonly grantedTtlMs: number;
  readonly deadlineMs: number;
  readonly keys: readonly Key[];
}
