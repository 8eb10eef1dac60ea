/** /health, /version and /metrics under etcd's names, for load balancers, kubeadm and Prometheus. */
import { clusterVersion, etcdVersion } from './version.js';
import type { ClusterView } from './cluster-view.js';
import type { Page } from './door.js';
import type { StoreClient } from '../client.js';

export interface PagesOptions {
  readonly view: ClusterView;
  readonly client: StoreClient;
  readonly local: StoreClient;
  /** Of the health check's read. */
  readonly timeoutMs: number;
}

export async function page(
  path: string,
  query: URLSearchParams,
  options: PagesOptions,
): Promise<Page | undefined> {
  switch (path) {
    case '/health':
      return health(options, query.get('serializable') === 'true');
    case '/version': {
      const body = JSON.stringify({ etcdserver: etcdVersion, etcdcluster: clusterVersion });
      return { status: 200, type: 'application/json', body };
    }
    case '/metrics':
      return metrics(options);
    default:
      return undefined;
  }
}

async function health({ client, local, timeoutMs }: PagesOptions, serializable: boolean): Promise<Page> {
  let reason = '';
  try {
    const near = serializable ? local : client;
    await near.range({ type: 'range', key: 'health', countOnly: true }, { timeoutMs, serializable });
  } catch (error) {
    reason = `RANGE ERROR:${error instanceof Error ? error.message : String(error)}`;
  }
  const body = JSON.stringify({ health: reason === '' ? 'true' : 'false', reason });
  return { status: reason === '' ? 200 : 503, type: 'application/json', body };
}

async function metrics({ view }: PagesOptions): Promise<Page> {
  const status = await view.status();
  const isLeader = status.leader === status.member;
  const lines = [
    ...series(
      'etcd_server_has_leader',
      'gauge',
      'Whether a leader is known.',
      status.leader === null ? 0 : 1,
    ),
    ...series('etcd_server_is_leader', 'gauge', 'Whether this member leads.', isLeader ? 1 : 0),
    ...series(
      'etcd_server_leader_changes_seen_total',
      'counter',
      'Changes of the leader that this front has seen.',
      view.leaderChanges,
    ),
    ...series(
      'etcd_server_proposals_committed_total',
      'gauge',
      'Index of the last committed entry.',
      status.commitIndex,
    ),
    ...series(
      'etcd_server_proposals_applied_total',
      'gauge',
      'Index of the last applied entry.',
      status.appliedIndex,
    ),
    ...series('etcd_debugging_mvcc_current_revision', 'gauge', 'Revision of the store.', status.revision),
    ...series(
      'etcd_debugging_mvcc_compact_revision',
      'gauge',
      'Revision of the last compaction.',
      status.compactRevision,
    ),
  ];
  return { status: 200, type: 'text/plain; version=0.0.4', body: `${lines.join('\n')}\n` };
}

function series(name: string, type: string, help: string, value: number): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, `${name} ${value}`];
}
