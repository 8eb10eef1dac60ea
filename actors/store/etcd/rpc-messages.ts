/** etcdserverpb, v3lockpb and v3electionpb: everything but key-value messages (etcd api/etcdserverpb/rpc.proto). */
import { header, KeyValue } from './kv-messages.js';
import {
  bool,
  bytes,
  embedded,
  enumeration,
  exactInt64,
  int64,
  key,
  message,
  type MessageOf,
  repeated,
  text,
  uint64,
} from './message.js';

/** Of requests without a field, and of answers that only carry a header. */
export const Empty = message('Empty', {});
export const HeaderOnly = message('HeaderOnly', { header: header() });

// Watch.
export const WatchCreateRequest = message('WatchCreateRequest', {
  key: key(1),
  rangeEnd: key(2),
  startRevision: int64(3),
  progressNotify: bool(4),
  filters: repeated(enumeration(5)),
  prevKv: bool(6),
  watchId: int64(7),
  fragment: bool(8),
});
export type WatchCreateRequest = MessageOf<typeof WatchCreateRequest>;
const WatchCancelRequest = message('WatchCancelRequest', { watchId: int64(1) });
export const WatchRequest = message('WatchRequest', {
  create: embedded(1, () => WatchCreateRequest),
  cancel: embedded(2, () => WatchCancelRequest),
  progress: embedded(3, () => Empty),
});
export type WatchRequest = MessageOf<typeof WatchRequest>;
const Event = message('Event', {
  type: enumeration(1),
  kv: embedded(2, () => KeyValue),
  prevKv: embedded(3, () => KeyValue),
});
export type Event = MessageOf<typeof Event>;
export const WatchResponse = message('WatchResponse', {
  header: header(),
  watchId: int64(2),
  created: bool(3),
  canceled: bool(4),
  compactRevision: int64(5),
  cancelReason: text(6),
  fragment: bool(7),
  events: repeated(embedded(11, () => Event)),
});
export type WatchResponse = MessageOf<typeof WatchResponse>;

// Lease.
export const LeaseGrantRequest = message('LeaseGrantRequest', { ttl: int64(1), id: exactInt64(2) });
export const LeaseGrantResponse = message('LeaseGrantResponse', {
  header: header(),
  id: exactInt64(2),
  ttl: int64(3),
});
export const LeaseRequest = message('LeaseRequest', { id: exactInt64(1) });
export const LeaseKeepAliveResponse = message('LeaseKeepAliveResponse', {
  header: header(),
  id: exactInt64(2),
  ttl: int64(3),
});
export const LeaseTimeToLiveRequest = message('LeaseTimeToLiveRequest', { id: exactInt64(1), keys: bool(2) });
export const LeaseTimeToLiveResponse = message('LeaseTimeToLiveResponse', {
  header: header(),
  id: exactInt64(2),
  ttl: int64(3),
  grantedTtl: int64(4),
  keys: repeated(key(5)),
});
export const LeaseLeasesResponse = message('LeaseLeasesResponse', {
  header: header(),
  leases: repeated(embedded(2, () => LeaseRequest)),
});

// Cluster.
export const Member = message('Member', {
  id: uint64(1),
  name: text(2),
  peerUrls: repeated(text(3)),
  clientUrls: repeated(text(4)),
  isLearner: bool(5),
});
export const MemberListRequest = message('MemberListRequest', { linearizable: bool(1) });
export const MemberListResponse = message('MemberListResponse', {
  header: header(),
  members: repeated(embedded(2, () => Member)),
});

// Maintenance.
export const StatusResponse = message('StatusResponse', {
  header: header(),
  version: text(2),
  dbSize: int64(3),
  leader: uint64(4),
  raftIndex: uint64(5),
  raftTerm: uint64(6),
  raftAppliedIndex: uint64(7),
  errors: repeated(text(8)),
  dbSizeInUse: int64(9),
  isLearner: bool(10),
  storageVersion: text(11),
  dbSizeQuota: int64(12),
});
export const AlarmRequest = message('AlarmRequest', {
  action: enumeration(1),
  memberId: uint64(2),
  alarm: enumeration(3),
});
const AlarmMember = message('AlarmMember', { memberId: uint64(1), alarm: enumeration(2) });
export const AlarmResponse = message('AlarmResponse', {
  header: header(),
  alarms: repeated(embedded(2, () => AlarmMember)),
});
export const HashResponse = message('HashResponse', { header: header(), hash: uint64(2) });
export const HashKvRequest = message('HashKVRequest', { revision: int64(1) });
export const HashKvResponse = message('HashKVResponse', {
  header: header(),
  hash: uint64(2),
  compactRevision: int64(3),
  hashRevision: int64(4),
});
export const MoveLeaderRequest = message('MoveLeaderRequest', { targetId: uint64(1) });

export const SnapshotResponse = message('SnapshotResponse', {
  header: header(),
  remainingBytes: uint64(2),
  blob: bytes(3),
});
export type SnapshotResponse = MessageOf<typeof SnapshotResponse>;

// Lock and Election.
export const LockRequest = message('LockRequest', { name: key(1), lease: exactInt64(2) });
export const LockResponse = message('LockResponse', { header: header(), key: key(2) });
export const UnlockRequest = message('UnlockRequest', { key: key(1) });
export const LeaderKey = message('LeaderKey', {
  name: key(1),
  key: key(2),
  rev: int64(3),
  lease: exactInt64(4),
});
export type LeaderKey = MessageOf<typeof LeaderKey>;
export const CampaignRequest = message('CampaignRequest', {
  name: key(1),
  lease: exactInt64(2),
  value: bytes(3),
});
export const CampaignResponse = message('CampaignResponse', {
  header: header(),
  leader: embedded(2, () => LeaderKey),
});
export const LeaderRequest = message('LeaderRequest', { name: key(1) });
export type LeaderRequest = MessageOf<typeof LeaderRequest>;
export const LeaderResponse = message('LeaderResponse', {
  header: header(),
  kv: embedded(2, () => KeyValue),
});
export type LeaderResponse = MessageOf<typeof LeaderResponse>;
export const ResignRequest = message('ResignRequest', { leader: embedded(1, () => LeaderKey) });
export const ProclaimRequest = message('ProclaimRequest', {
  leader: embedded(1, () => LeaderKey),
  value: bytes(2),
});
