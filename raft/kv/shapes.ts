/**
 * The shapes of what is asked of a key-value store, and of what it answers (types.ts, auth-types.ts), for whoever takes it from
 * another machine. Only shapes: what is of the right kind and must not be, such as an empty key, is refused where it takes effect, with etcd's texts.
 */
import {
  bytes,
  type Check,
  count,
  flag,
  listOf,
  oneOf,
  optional,
  record,
  type ShapeOf,
  type ShapesOf,
  text,
  union,
  whole,
} from '../shape.js';
import type { AuthAnswer, AuthChange, AuthQuery, AuthSecrets, Caller, Permission } from './auth-types.js';
import { isLeaseId } from './lease-id.js';
import { KV_LIMITS } from './limits.js';
import type {
  Alarm,
  Compare,
  DeleteOp,
  DeleteResult,
  KeyRange,
  KeyValue,
  PutOp,
  PutResult,
  RangeOp,
  RangeResult,
  TxnOp,
  TxnResult,
  WatchBatch,
  WatchEvent,
  WatchRequest,
} from './types.js';

/** Nested deeper than this nothing is looked at; what is deeper than `txnDepthMax` is refused by name. */
const depthMax = 2 * KV_LIMITS.txnDepthMax;

export const leaseIdShape: Check = (value) =>
  (typeof value === 'number' || typeof value === 'bigint') && isLeaseId(value) ? undefined : '';

const keyRange: ShapeOf<KeyRange> = { key: text, rangeEnd: optional(text) };

const keyValue: ShapeOf<KeyValue> = {
  key: text,
  value: bytes,
  createRevision: count,
  modRevision: count,
  version: count,
  lease: leaseIdShape,
};

const watchEvent: ShapeOf<WatchEvent> = {
  kv: record(keyValue),
  prevKv: optional(record(keyValue)),
  context: optional(text),
};

const watchBatch: ShapeOf<WatchBatch> = {
  revision: count,
  events: listOf(union({ put: record(watchEvent), delete: record(watchEvent) })),
};

export const watchBatchShape: Check = record(watchBatch);

export const keyRangeShape: Check = record(keyRange);

const sort: ShapeOf<NonNullable<RangeOp['sort']>> = {
  target: oneOf('key', 'version', 'create', 'mod', 'value'),
  order: oneOf('ascend', 'descend'),
};

const range: ShapeOf<RangeOp> = {
  ...keyRange,
  revision: optional(whole),
  limit: optional(whole),
  keysOnly: optional(flag),
  countOnly: optional(flag),
  sort: optional(record(sort)),
  minModRevision: optional(whole),
  maxModRevision: optional(whole),
  minCreateRevision: optional(whole),
  maxCreateRevision: optional(whole),
};

export const rangeShape: Check = union({ range: record(range) });

const put: ShapeOf<PutOp> = {
  key: text,
  value: bytes,
  lease: optional(leaseIdShape),
  prevKv: optional(flag),
  ignoreValue: optional(flag),
  ignoreLease: optional(flag),
};

const remove: ShapeOf<DeleteOp> = { ...keyRange, prevKv: optional(flag) };

const compare: ShapeOf<Compare> = {
  ...keyRange,
  target: oneOf('version', 'create', 'mod', 'value', 'lease'),
  result: oneOf('=', '!=', '<', '>'),
  operand: (value) =>
    typeof value === 'number' || value instanceof Uint8Array ? undefined : leaseIdShape(value),
};

const compares = listOf(record(compare));

function txnAt(depth: number): Check {
  const inner: Check = depth < depthMax ? txnAt(depth + 1) : () => '';
  const ops = listOf(union({ range: record(range), put: record(put), delete: record(remove), txn: inner }));
  const txn: ShapeOf<TxnOp> = { compare: compares, success: ops, failure: ops };
  return record(txn);
}

export const txnShape: Check = union({ txn: txnAt(0) });

export const keyValuesShape: Check = listOf(record(keyValue));

const rangeResult: ShapeOf<RangeResult> = { kvs: keyValuesShape, more: flag, count };
const putResult: ShapeOf<PutResult> = { prevKv: optional(record(keyValue)) };
const deleteResult: ShapeOf<DeleteResult> = { deleted: count, prevKvs: optional(keyValuesShape) };

function txnResultAt(depth: number): Check {
  const inner: Check = depth < depthMax ? txnResultAt(depth + 1) : () => '';
  const results = listOf(
    union({ range: record(rangeResult), put: record(putResult), delete: record(deleteResult), txn: inner }),
  );
  const txn: ShapeOf<TxnResult> = { succeeded: flag, results };
  return record(txn);
}

export const rangeResultShape: Check = union({ range: record(rangeResult) });
export const txnResultShape: Check = union({ txn: txnResultAt(0) });

const watchRequest: ShapeOf<WatchRequest> = {
  ...keyRange,
  startRevision: optional(whole),
  prevKv: optional(flag),
  noPut: optional(flag),
  noDelete: optional(flag),
};

export const watchRequestShape: Check = record(watchRequest);

const alarm: ShapeOf<Alarm> = { member: text };
const alarmTypes = oneOf('NoSpace', 'Corrupt');

export const alarmShape: Check = record({ type: alarmTypes, ...alarm });

function unionOf<T extends { readonly type: string }>(shapes: ShapesOf<T>): Check {
  return union(
    Object.fromEntries(
      Object.entries<Readonly<Record<string, Check>>>(shapes).map(([type, shape]) => [type, record(shape)]),
    ),
  );
}

export const callerShape: Check = unionOf<Caller>({
  anonymous: {},
  token: { user: text, authRevision: count },
  certificate: { user: text },
});

const permission: ShapeOf<Permission> = { ...keyRange, access: oneOf('read', 'write', 'readwrite') };

export const authChangeShape: Check = unionOf<AuthChange>({
  enable: { tokenKey: bytes },
  disable: {},
  'user-add': { user: text, passwordHash: optional(text) },
  'user-delete': { user: text },
  'user-password': { user: text, passwordHash: text },
  'user-grant': { user: text, role: text },
  'user-revoke': { user: text, role: text },
  'role-add': { role: text },
  'role-delete': { role: text },
  'role-grant': { role: text, permission: record(permission) },
  'role-revoke': { role: text, ...keyRange },
});

export const authQueryShape: Check = union({
  status: record({}),
  users: record({}),
  roles: record({}),
  user: record({ user: text }),
  role: record({ role: text }),
} satisfies Record<AuthQuery['type'], Check>);

export const authAnswerShape: Check = unionOf<AuthAnswer>({
  status: { enabled: flag, authRevision: count },
  names: { names: listOf(text) },
  permissions: { permissions: listOf(record(permission)) },
});

const authSecrets: ShapeOf<AuthSecrets> = {
  enabled: flag,
  authRevision: count,
  tokenKey: bytes,
  user: optional(record({ passwordHash: optional(text) })),
};

export const authSecretsShape: Check = record(authSecrets);
