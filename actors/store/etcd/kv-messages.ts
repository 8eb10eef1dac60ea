/** etcdserverpb and mvccpb: headers, key-value and transaction messages (etcd api/etcdserverpb/rpc.proto). */
import {
  bool,
  bytes,
  chosen,
  embedded,
  enumeration,
  exactInt64,
  int64,
  key,
  message,
  type MessageOf,
  repeated,
  type Schema,
  uint64,
} from './message.js';

export const ResponseHeader = message('ResponseHeader', {
  clusterId: uint64(1),
  memberId: uint64(2),
  revision: int64(3),
  raftTerm: uint64(4),
});
export type ResponseHeader = MessageOf<typeof ResponseHeader>;

export const header = () => embedded(1, () => ResponseHeader);

/** The names are those of the store's KeyValue, which is encoded as it is. */
export const KeyValue = message('KeyValue', {
  key: key(1),
  createRevision: int64(2),
  modRevision: int64(3),
  version: int64(4),
  value: bytes(5),
  lease: exactInt64(6),
});
export type KeyValue = MessageOf<typeof KeyValue>;

export const RangeRequest = message('RangeRequest', {
  key: key(1),
  rangeEnd: key(2),
  limit: int64(3),
  revision: int64(4),
  sortOrder: enumeration(5),
  sortTarget: enumeration(6),
  serializable: bool(7),
  keysOnly: bool(8),
  countOnly: bool(9),
  minModRevision: int64(10),
  maxModRevision: int64(11),
  minCreateRevision: int64(12),
  maxCreateRevision: int64(13),
});
export type RangeRequest = MessageOf<typeof RangeRequest>;

export const rangeResponseFields = {
  header: header(),
  kvs: repeated(embedded(2, () => KeyValue)),
  more: bool(3),
  count: int64(4),
};
export const RangeResponse = message('RangeResponse', rangeResponseFields);
export type RangeResponse = MessageOf<typeof RangeResponse>;

export const RangeStreamResponse = message('RangeStreamResponse', {
  rangeResponse: embedded(1, () => RangeResponse),
});
export type RangeStreamResponse = MessageOf<typeof RangeStreamResponse>;

export const PutRequest = message('PutRequest', {
  key: key(1),
  value: bytes(2),
  lease: exactInt64(3),
  prevKv: bool(4),
  ignoreValue: bool(5),
  ignoreLease: bool(6),
});
export type PutRequest = MessageOf<typeof PutRequest>;

export const PutResponse = message('PutResponse', { header: header(), prevKv: embedded(2, () => KeyValue) });
export type PutResponse = MessageOf<typeof PutResponse>;

export const DeleteRangeRequest = message('DeleteRangeRequest', {
  key: key(1),
  rangeEnd: key(2),
  prevKv: bool(3),
});
export type DeleteRangeRequest = MessageOf<typeof DeleteRangeRequest>;

export const DeleteRangeResponse = message('DeleteRangeResponse', {
  header: header(),
  deleted: int64(2),
  prevKvs: repeated(embedded(3, () => KeyValue)),
});
export type DeleteRangeResponse = MessageOf<typeof DeleteRangeResponse>;

export const Compare = message('Compare', {
  result: enumeration(1),
  target: enumeration(2),
  key: key(3),
  version: chosen(int64(4)),
  createRevision: chosen(int64(5)),
  modRevision: chosen(int64(6)),
  value: chosen(bytes(7)),
  lease: chosen(exactInt64(8)),
  rangeEnd: key(64),
});
export type Compare = MessageOf<typeof Compare>;

/** Transactions nest, so their types are written out. */
export interface RequestOp {
  readonly range?: RangeRequest;
  readonly put?: PutRequest;
  readonly deleteRange?: DeleteRangeRequest;
  readonly txn?: TxnRequest;
}
export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}
export interface ResponseOp {
  readonly range?: Partial<RangeResponse>;
  readonly put?: Partial<PutResponse>;
  readonly deleteRange?: Partial<DeleteRangeResponse>;
  readonly txn?: Partial<TxnResponse>;
}
export interface TxnResponse {
  readonly header?: Partial<ResponseHeader>;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

export const RequestOp: Schema<RequestOp> = message('RequestOp', {
  range: embedded(1, () => RangeRequest),
  put: embedded(2, () => PutRequest),
  deleteRange: embedded(3, () => DeleteRangeRequest),
  txn: embedded(4, () => TxnRequest),
}) as Schema<RequestOp>;

export const TxnRequest: Schema<TxnRequest> = message('TxnRequest', {
  compare: repeated(embedded(1, () => Compare)),
  success: repeated(embedded(2, () => RequestOp)),
  failure: repeated(embedded(3, () => RequestOp)),
}) as unknown as Schema<TxnRequest>;

export const ResponseOp: Schema<ResponseOp> = message('ResponseOp', {
  range: embedded(1, () => RangeResponse),
  put: embedded(2, () => PutResponse),
  deleteRange: embedded(3, () => DeleteRangeResponse),
  txn: embedded(4, () => TxnResponse),
}) as Schema<ResponseOp>;

export const TxnResponse: Schema<TxnResponse> = message('TxnResponse', {
  header: header(),
  succeeded: bool(2),
  responses: repeated(embedded(3, () => ResponseOp)),
}) as unknown as Schema<TxnResponse>;

export const CompactionRequest = message('CompactionRequest', { revision: int64(1), physical: bool(2) });
export type CompactionRequest = MessageOf<typeof CompactionRequest>;
export const CompactionResponse = message('CompactionResponse', { header: header() });
