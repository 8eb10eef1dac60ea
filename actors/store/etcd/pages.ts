/** What there is over plain HTTP under etcd's names, for load balancers, kubeadm and Prometheus. */
import type { Page } from './door.js';
import { type HealthOptions, healthPage, HealthRecord } from './health.js';
import { clusterVersion, etcdVersion, storageVersion } from './version.js';

export class Pages {
  readonly #options: HealthOptions;
  readonly #record = new HealthRecord();

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** Undefined for a path that there is not. */
  async page(path: string, query: URLSearchParams): Promise<Page | undefined> {
    switch (path) {
      case '/version': {
        const versions = { etcdserver: etcdVersion, etcdcluster: clusterVersion, storage: storageVersion };
        return { status: 200, type: 'application/json', body: JSON.stringify(versions) };
      }
      case '/metrics':
        return metrics(this.#options);
      default:
        return healthPage(path, query, this.#options, this.#record);
    }
  }
}

async function metrics({ view }: HealthOptions): Promise<Page> {
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
