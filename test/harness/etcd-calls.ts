/**
 * What clients call at etcd's API, at ours and at Debian's etcd: the path, and the tables of what goes there and what comes back.
 * `client.unary(...rpc.put, { key })`.
 */
import * as kv from '../../actors/store/etcd/kv-messages.js';
import type { Schema } from '../../actors/store/etcd/message.js';
import * as messages from '../../actors/store/etcd/rpc-messages.js';

export type EtcdCall<Q extends object, R extends object> = readonly [
  path: string,
  messages: readonly [Schema<Q>, Schema<R>],
];

export const rpc = {
  range: call('etcdserverpb.KV/Range', kv.RangeRequest, kv.RangeResponse),
  put: call('etcdserverpb.KV/Put', kv.PutRequest, kv.PutResponse),
  deleteRange: call('etcdserverpb.KV/DeleteRange', kv.DeleteRangeRequest, kv.DeleteRangeResponse),
  txn: call('etcdserverpb.KV/Txn', kv.TxnRequest, kv.TxnResponse),
  compact: call('etcdserverpb.KV/Compact', kv.CompactionRequest, kv.CompactionResponse),
  watch: call('etcdserverpb.Watch/Watch', messages.WatchRequest, messages.WatchResponse),
  leaseGrant: call('etcdserverpb.Lease/LeaseGrant', messages.LeaseGrantRequest, messages.LeaseGrantResponse),
  leaseRevoke: call('etcdserverpb.Lease/LeaseRevoke', messages.LeaseRequest, messages.HeaderOnly),
  leaseTimeToLive: call(
    'etcdserverpb.Lease/LeaseTimeToLive',
    messages.LeaseTimeToLiveRequest,
    messages.LeaseTimeToLiveResponse,
  ),
  leases: call('etcdserverpb.Lease/LeaseLeases', messages.Empty, messages.LeaseLeasesResponse),
  leaseKeepAlive: call(
    'etcdserverpb.Lease/LeaseKeepAlive',
    messages.LeaseRequest,
    messages.LeaseKeepAliveResponse,
  ),
  status: call('etcdserverpb.Maintenance/Status', messages.Empty, messages.StatusResponse),
  alarm: call('etcdserverpb.Maintenance/Alarm', messages.AlarmRequest, messages.AlarmResponse),
  snapshot: call('etcdserverpb.Maintenance/Snapshot', messages.Empty, messages.SnapshotResponse),
  lock: call('v3lockpb.Lock/Lock', messages.LockRequest, messages.LockResponse),
  unlock: call('v3lockpb.Lock/Unlock', messages.UnlockRequest, messages.HeaderOnly),
  campaign: call('v3electionpb.Election/Campaign', messages.CampaignRequest, messages.CampaignResponse),
  proclaim: call('v3electionpb.Election/Proclaim', messages.ProclaimRequest, messages.HeaderOnly),
  electionLeader: call('v3electionpb.Election/Leader', messages.LeaderRequest, messages.LeaderResponse),
  observe: call('v3electionpb.Election/Observe', messages.LeaderRequest, messages.LeaderResponse),
  resign: call('v3electionpb.Election/Resign', messages.ResignRequest, messages.HeaderOnly),
};

function call<Q extends object, R extends object>(
  path: string,
  request: Schema<Q>,
  response: Schema<R>,
): EtcdCall<Q, R> {
  return [`/${path}`, [request, response]];
}
