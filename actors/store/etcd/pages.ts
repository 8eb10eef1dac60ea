/** What there is over plain HTTP under etcd's names, for load balancers, kubeadm and Prometheus. */
import type { GuardedStoreClient } from '../caller-store.js';
import type { Page } from './door.js';
import { type HealthOptions, healthPage, HealthRecord } from './health.js';
import { metricsText } from './metrics.js';
import { processFigures } from './process-figures.js';
import type { RpcCounts } from './rpc-counts.js';
import { clusterVersion, etcdVersion, storageVersion } from './version.js';

export interface PagesOptions extends HealthOptions {
  readonly local: GuardedStoreClient;
  readonly calls: RpcCounts;
}

export class Pages {
  readonly #options: PagesOptions;
  readonly #record = new HealthRecord();

  constructor(options: PagesOptions) {
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
        return this.#metrics();
      default:
        return healthPage(path, query, this.#options, this.#record);
    }
  }

  async #metrics(): Promise<Page> {
    const { view, local, calls, timeoutMs } = this.#options;
    const [status, member] = await Promise.all([view.status(), local.measures({ timeoutMs })]);
    const process = processFigures();
    const body = metricsText({ view, status, member, health: this.#record, calls, process });
    return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body };
  }
}
