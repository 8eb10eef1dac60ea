/** etcd's Maintenance service: of the member beside this front, but for alarms and leadership, which are the group's. */
import { type Alarm, type AlarmType, revision } from 'raft-consensus';
import type { CallerStore } from '../caller-store.js';
import type { StoreStatus } from '../client.js';
import type { ClusterView } from './cluster-view.js';
import type { BackupDesk } from '../backup/index.js';
import { type Call, service, streaming, unary } from './method.js';
import {
  AlarmRequest,
  AlarmResponse,
  Empty,
  HashKvRequest,
  HashKvResponse,
  HashResponse,
  HeaderOnly,
  MoveLeaderRequest,
  SnapshotResponse,
  StatusResponse,
} from './rpc-messages.js';
import { SnapshotStream } from './snapshot-stream.js';
import { code, errors, GrpcError } from './status.js';
import { etcdVersion, storageVersion } from './version.js';

const alarmTypes: readonly (AlarmType | undefined)[] = [undefined, 'NoSpace', 'Corrupt'];

export function maintenanceService(view: ClusterView, backups: BackupDesk, note: (text: string) => void) {
  return service('etcdserverpb.Maintenance', {
    Status: unary(Empty, StatusResponse, () => statusOf(view)),
    // Nothing is ever fragmented: space is used again as it becomes free.
    Defragment: unary(Empty, HeaderOnly, async () => {
      note('nothing to defragment: what is freed is used again, and never lies about');
      return { header: view.header() };
    }),
    Hash: unary(Empty, HashResponse, async (_request, call) => {
      const { local } = await call.stores();
      const { hash, hashRevision } = await local.hashKv(revision(0), { timeoutMs: call.timeoutMs() });
      return { header: view.header(hashRevision), hash };
    }),
    HashKV: unary(HashKvRequest, HashKvResponse, async (request, call) => {
      const wanted = revision(Math.max(0, request.revision));
      const { local } = await call.stores();
      const found = await local.hashKv(wanted, { timeoutMs: call.timeoutMs() });
      const { hash, compactRevision, hashRevision } = found;
      return { header: view.header(), hash, compactRevision, hashRevision };
    }),
    Alarm: unary(AlarmRequest, AlarmResponse, async (request, call) => {
      const { client } = await call.stores();
      const alarms = await alarmsAfter(client, view, request, call);
      return {
        header: view.header(),
        alarms: alarms.map(({ type, member }) => ({
          memberId: member === '' ? 0 : view.idOf(member),
          alarm: alarmTypes.indexOf(type),
        })),
      };
    }),
    MoveLeader: unary(MoveLeaderRequest, HeaderOnly, async ({ targetId }, call) => {
      const { leader, member } = await view.status();
      if (leader !== member) throw errors.notLeader();
      const target = view.named(targetId);
      if (!target || target.isLearner) throw errors.badTransferee();
      const { client } = await call.stores();
      await client.transfer(target.name, { timeoutMs: call.timeoutMs() });
      return { header: view.header() };
    }),
    Snapshot: streaming(Empty, SnapshotResponse, (call) => new SnapshotStream(call, backups, view)),
    // Not one of those that there are not: in etcd, too, it is nobody's but root's to ask.
    Downgrade: unary(Empty, Empty, async () => {
      throw noDowngrade();
    }),
  });
}

function noDowngrade(): GrpcError {
  const why = 'the format of this store is not that of a version of etcd';
  return new GrpcError(code.unimplemented, `etcdserver: a downgrade is not supported: ${why}`);
}

async function statusOf(view: ClusterView) {
  const status = await view.status();
  return {
    header: view.header(status.revision),
    version: etcdVersion,
    storageVersion,
    dbSize: status.dbSizeBytes,
    dbSizeInUse: status.dbSizeInUseBytes,
    dbSizeQuota: status.quotaBytes,
    leader: status.leader === null ? 0 : view.idOf(status.leader),
    raftIndex: status.commitIndex,
    raftTerm: status.term,
    raftAppliedIndex: status.appliedIndex,
    errors: [...(status.leader === null ? [errors.noLeader().message] : []), ...alarmTexts(view, status)],
    isLearner: status.members.some(({ name, voter }) => name === status.member && !voter),
  };
}

/** As Go prints the message. */
function alarmTexts(view: ClusterView, { alarms }: StoreStatus): readonly string[] {
  return alarms.map(({ type, member }) => {
    const of = member === '' ? '' : `memberID:${view.idOf(member)} `;
    return `${of}alarm:${type.toUpperCase()} `;
  });
}

/** What there is, or what changed by the request. */
async function alarmsAfter(
  client: CallerStore,
  view: ClusterView,
  { action, memberId, alarm }: { readonly action: number; readonly memberId: number; readonly alarm: number },
  call: Call,
): Promise<readonly Alarm[]> {
  const options = { timeoutMs: call.timeoutMs() };
  const member = memberId === 0 ? '' : view.named(memberId)?.name;
  if (member === undefined) throw errors.memberNotFound();
  const type = alarmTypes[alarm];
  if (action === 0) {
    const all = await client.alarms(options);
    return all.filter((one) => type === undefined || one.type === type);
  }
  if (type === undefined) throw new GrpcError(code.invalidArgument, `etcdserver: there is no alarm ${alarm}`);
  if (action === 1) return client.alarmActivate({ type, member }, options);
  if (action === 2) return client.alarmDisarm({ type, member }, options);
  throw new GrpcError(code.invalidArgument, `etcdserver: there is no alarm action ${action}`);
}
