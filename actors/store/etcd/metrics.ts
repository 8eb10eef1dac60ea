/**
 * /metrics: what is known of the member, the group and the calls of this front, under the names and with the meaning that etcd
 * 3.6 gives them, as text for Prometheus (exposition format 0.0.4). What has no counterpart here (bbolt's transactions, Go) is
 * left out and not made up.
 */
import type { DurationHistogram } from 'raft-consensus';
import type { MemberMeasures } from '../measures.js';
import type { StoreStatus } from '../client.js';
import type { ClusterView } from './cluster-view.js';
import type { HealthRecord } from './health.js';
import type { ProcessFigures } from './process-figures.js';
import type { RpcCounts, Sample } from './rpc-counts.js';
import { clusterVersion, etcdVersion } from './version.js';

export interface Measured {
  readonly view: ClusterView;
  readonly status: StoreStatus;
  readonly member: MemberMeasures;
  readonly health: HealthRecord;
  readonly calls: RpcCounts;
  readonly process: ProcessFigures;
}

const noLabels = {};
const plain = (value: number): readonly Sample[] => [{ labels: noLabels, value }];
const flag = (isSet: boolean) => plain(isSet ? 1 : 0);

export function metricsText(measured: Measured): string {
  const out = new Exposition();
  ofServer(out, measured);
  ofReplication(out, measured);
  ofData(out, measured);
  ofCalls(out, measured);
  ofProcess(out, measured.process);
  return out.text;
}

function ofServer(out: Exposition, { view, status, member, health }: Measured): void {
  const { leader, members, alarms } = status;
  const id = view.memberId.toString(16);
  const isLearner = members.some(({ name, voter }) => name === status.member && !voter);
  out.gauge('etcd_server_has_leader', 'Whether or not a leader exists.', flag(leader !== null));
  out.gauge(
    'etcd_server_is_leader',
    'Whether or not this member is a leader.',
    flag(leader === status.member),
  );
  out.gauge('etcd_server_is_learner', 'Whether or not this member is a learner.', flag(isLearner));
  const seen = 'The number of leader changes seen by this front.';
  out.counter('etcd_server_leader_changes_seen_total', seen, plain(view.leaderChanges));
  out.gauge(
    'etcd_server_proposals_committed_total',
    'Index of the last committed entry.',
    plain(status.commitIndex),
  );
  out.gauge(
    'etcd_server_proposals_applied_total',
    'Index of the last applied entry.',
    plain(status.appliedIndex),
  );
  const late = 'The total number of leader heartbeat send failures (sent more than an interval too late).';
  out.counter('etcd_server_heartbeat_send_failures_total', late, plain(member.heartbeats.lateSends));
  const silence = 'Of a follower: how long it heard nothing of its leader, between any two words of it.';
  out.histogram('kabuki_store_leader_silence_seconds', silence, member.heartbeats.silences);
  const pending = 'The current number of pending proposals to commit.';
  out.gauge('etcd_server_proposals_pending', pending, plain(member.proposalsPending));
  const failed = 'The total number of failed proposals seen.';
  out.counter('etcd_server_proposals_failed_total', failed, plain(member.proposalsFailed));
  out.gauge('etcd_server_quota_backend_bytes', 'Current storage quota in bytes.', plain(status.quotaBytes));
  out.gauge('etcd_server_id', 'Member ID in hexadecimal format.', [{ labels: { server_id: id }, value: 1 }]);
  const version = { server_version: etcdVersion };
  out.gauge('etcd_server_version', 'Which version of the API is served.', [{ labels: version, value: 1 }]);
  const cluster = { cluster_version: clusterVersion.split('.').slice(0, 2).join('.') };
  out.gauge('etcd_cluster_version', 'Which version is running.', [{ labels: cluster, value: 1 }]);
  out.gauge(
    'etcd_debugging_server_alarms',
    'Alarms, by member and type.',
    alarms.map(({ type, member: name }) => ({
      labels: { server_id: name === '' ? '0' : view.idOf(name).toString(16), alarm_type: type.toUpperCase() },
      value: 1,
    })),
  );
  out.gauge('etcd_debugging_auth_revision', 'The revision of users and roles.', plain(member.authRevision));
  const succeeded = 'The total number of successful health checks.';
  out.counter('etcd_server_health_success', succeeded, plain(health.healthy));
  out.counter(
    'etcd_server_health_failures',
    'The total number of failed health checks.',
    plain(health.unhealthy),
  );
  const each = 'The total number of each kind of healthcheck.';
  out.counter('etcd_server_healthchecks_total', each, health.samples());
}

function ofReplication(out: Exposition, { view, member }: Measured): void {
  const slowApplies =
    'The total number of slow apply requests: batches of entries that took longer than 100 ms.';
  out.counter('etcd_server_slow_apply_total', slowApplies, plain(member.slowApplies));
  const slowReads = 'The total number of pending read indexes that timed out.';
  out.counter('etcd_server_slow_read_indexes_total', slowReads, plain(member.reads.timedOut));
  const failedReads = 'The total number of failed read indexes seen: no leader took them up.';
  out.counter('etcd_server_read_indexes_failed_total', failedReads, plain(member.reads.refused));
  const trips = 'Round-Trip-Time histogram between peers: of a leader, from its heartbeats to their answers.';
  out.histograms(
    'etcd_network_peer_round_trip_time_seconds',
    trips,
    Object.entries(member.heartbeats.roundTrips).map(([name, histogram]) => ({
      labels: { To: view.idOf(name).toString(16) },
      histogram,
    })),
  );
}

function ofData(out: Exposition, { status, member, calls }: Measured): void {
  const size = 'Bytes that all versions take, history included.';
  out.gauge('etcd_mvcc_db_total_size_in_bytes', size, plain(status.dbSizeBytes));
  out.gauge('etcd_mvcc_db_total_size_in_use_in_bytes', size, plain(status.dbSizeInUseBytes));
  out.counter('etcd_mvcc_put_total', 'Total number of puts seen by this member.', plain(member.puts));
  out.counter(
    'etcd_mvcc_delete_total',
    'Total number of keys deleted at this member.',
    plain(member.deletes),
  );
  out.counter('etcd_mvcc_range_total', 'Total number of ranges served by this member.', plain(member.ranges));
  const txns = 'Total number of transactions of several changes seen by this member.';
  out.counter('etcd_mvcc_txn_total', txns, plain(member.txns));
  out.gauge('etcd_debugging_mvcc_keys_total', 'Total number of keys.', plain(member.keys));
  const current = 'The current revision of store.';
  out.gauge('etcd_debugging_mvcc_current_revision', current, plain(status.revision));
  const compacted = 'The revision of the last compaction in store.';
  out.gauge('etcd_debugging_mvcc_compact_revision', compacted, plain(status.compactRevision));
  const streams = calls.open('/etcdserverpb.Watch/Watch');
  out.gauge('etcd_debugging_mvcc_watch_stream_total', 'Total number of watch streams.', plain(streams));
  out.gauge('etcd_debugging_mvcc_watcher_total', 'Total number of watchers.', plain(member.watchers));
  const slow = 'Total number of watchers that have not taken what was sent to them.';
  out.gauge('etcd_debugging_mvcc_slow_watcher_total', slow, plain(member.slowWatchers));
  const queued = 'Total number of pending events to be sent, but for watchers that read from history.';
  out.gauge('etcd_debugging_mvcc_pending_events_total', queued, plain(member.pendingEvents));
  out.gauge('etcd_debugging_lease_total', 'Leases that there are.', plain(member.leases));
  const received = 'The total number of snapshots received from a leader, and restored.';
  out.counter('etcd_network_snapshot_receive_success', received, plain(member.snapshotsReceived));
  const saves = 'The latency distributions of a write of the log with its fsync.';
  out.histogram('etcd_disk_wal_fsync_duration_seconds', saves, member.logSaves);
}

function ofCalls(out: Exposition, { calls }: Measured): void {
  const { started, handled } = calls.samples();
  out.counter('grpc_server_started_total', 'Total number of RPCs started on the server.', started);
  const done = 'Total number of RPCs completed on the server, regardless of success or failure.';
  out.counter('grpc_server_handled_total', done, handled);
}

function ofProcess(out: Exposition, { cpuSeconds, residentBytes, startedAtSeconds }: ProcessFigures): void {
  out.counter(
    'process_cpu_seconds_total',
    'Total user and system CPU time spent in seconds.',
    plain(cpuSeconds),
  );
  out.gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', plain(residentBytes));
  const start = 'Start time of the process since unix epoch in seconds.';
  out.gauge('process_start_time_seconds', start, plain(startedAtSeconds));
}

interface LabelledHistogram {
  readonly labels: Readonly<Record<string, string>>;
  readonly histogram: DurationHistogram;
}

class Exposition {
  text = '';

  gauge(name: string, help: string, samples: readonly Sample[]): void {
    this.#family(name, 'gauge', help, samples);
  }

  counter(name: string, help: string, samples: readonly Sample[]): void {
    this.#family(name, 'counter', help, samples);
  }

  histogram(name: string, help: string, histogram: DurationHistogram): void {
    this.histograms(name, help, [{ labels: noLabels, histogram }]);
  }

  histograms(name: string, help: string, all: readonly LabelledHistogram[]): void {
    if (all.length > 0) this.#head(name, 'histogram', help);
    for (const { labels, histogram } of all) {
      const { boundsMs, counts, count, sumMs } = histogram;
      boundsMs.forEach((bound, i) =>
        this.#sample(`${name}_bucket`, { ...labels, le: String(bound / 1000) }, counts[i] ?? 0),
      );
      this.#sample(`${name}_bucket`, { ...labels, le: '+Inf' }, count);
      this.#sample(`${name}_sum`, labels, sumMs / 1000);
      this.#sample(`${name}_count`, labels, count);
    }
  }

  #family(name: string, type: string, help: string, samples: readonly Sample[]): void {
    if (samples.length === 0) return;
    this.#head(name, type, help);
    for (const { labels, value } of samples) this.#sample(name, labels, value);
  }

  #head(name: string, type: string, help: string): void {
    this.text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  #sample(name: string, labels: Readonly<Record<string, string>>, value: number): void {
    const list = Object.entries(labels).map(([label, text]) => `${label}=${JSON.stringify(text)}`);
    this.text += `${name}${list.length === 0 ? '' : `{${list.join(',')}}`} ${value}\n`;
  }
}
