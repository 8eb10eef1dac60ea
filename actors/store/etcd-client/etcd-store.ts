/**
 * A real etcd cluster as the store of an apiserver (the other driver is actor-store-client.ts). It asks nothing of the server
 * that a kube-apiserver does not: Range, Txn, Compact, Watch, LeaseGrant, Status. The cause of a write does not come back on
 * its events: etcd has no place for it.
 */
import {
  isReadOnly,
  type LeaseId,
  leaseId,
  type RangeOp,
  revision,
  type Revision,
  type TxnOp,
  type WatchRequest,
} from 'raft-consensus';
import type { Clock } from '../../../transport/index.js';
import type { ApiStore, StoreHealth, StoreWatch, WatchHandler } from '../client.js';
import { RangeRequest, RangeResponse, TxnRequest, TxnResponse } from '../etcd/kv-messages.js';
import { Empty, LeaseGrantRequest, LeaseGrantResponse, StatusResponse } from '../etcd/rpc-messages.js';
import { Calls } from './calls.js';
import { Compactor } from './compactor.js';
import type { Connect, Endpoint } from './connection.js';
import { Endpoints } from './endpoints.js';
import { type EtcdClientLimits, etcdClientLimits } from './limits.js';
import { type Credentials, Login } from './login.js';
import { Requests } from './requests.js';
import { checkRights } from './rights.js';
import { Watches } from './watches.js';

export interface EtcdStoreOptions {
  /** First the one to begin with. */
  readonly endpoints: readonly Endpoint[];
  readonly connect: Connect;
  readonly clock: Clock;
  /** Before every key; byte string, empty for none. */
  readonly prefix?: string;
  readonly limits?: Partial<EtcdClientLimits>;
  /** For an etcd with authentication; one without does not mind. */
  readonly credentials?: Credentials;
  /** For the journal. */
  note?(what: string, fields: Readonly<Record<string, string | number | boolean>>): void;
}

const kvPath = '/etcdserverpb.KV';
const range = { path: `${kvPath}/Range`, request: RangeRequest, response: RangeResponse };
const txn = { path: `${kvPath}/Txn`, request: TxnRequest, response: TxnResponse };
const grant = {
  path: '/etcdserverpb.Lease/LeaseGrant',
  request: LeaseGrantRequest,
  response: LeaseGrantResponse,
};
const status = { path: '/etcdserverpb.Maintenance/Status', request: Empty, response: StatusResponse };

interface Timeout {
  readonly timeoutMs?: number;
}

export class EtcdStore implements ApiStore {
  readonly #endpoints: Endpoints;
  readonly #calls: Calls;
  readonly #requests: Requests;
  readonly #watches: Watches;
  readonly #compactor: Compactor;

  constructor(options: EtcdStoreOptions) {
    const { endpoints, connect, clock, prefix = '', credentials, note = () => {} } = options;
    const limits = { ...etcdClientLimits, ...options.limits };
    const login = credentials && new Login({ credentials, clock, limits });
    this.#endpoints = new Endpoints({ endpoints, connect, clock, limits, note });
    this.#calls = new Calls({ endpoints: this.#endpoints, clock, limits, login });
    this.#requests = new Requests(prefix);
    this.#watches = new Watches({
      endpoints: this.#endpoints,
      requests: this.#requests,
      clock,
      limits,
      login,
      note,
    });
    this.#compactor = new Compactor({ calls: this.#calls, clock, limits, note });
  }

  /** History is cut as kube-apiserver does it: every 5 minutes to what is 5 to 10 minutes old, by one apiserver of all. */
  startCompacting(): void {
    this.#compactor.start();
  }

  close(): void {
    this.#compactor.stop();
    this.#watches.close();
    this.#endpoints.close();
  }

  async txn(op: TxnOp, options?: Timeout) {
    const kind = isReadOnly(op) ? 'read' : 'write';
    const { answer } = await this.#calls.make(txn, this.#requests.txn(op), kind, options?.timeoutMs);
    return { revision: revision(answer.header?.revision ?? 0), result: this.#requests.txnResult(answer) };
  }

  async range(op: RangeOp, options?: { readonly serializable?: boolean } & Timeout) {
    const request = { ...this.#requests.range(op), serializable: options?.serializable ?? false };
    const { answer } = await this.#calls.make(range, request, 'read', options?.timeoutMs);
    return { revision: revision(answer.header?.revision ?? 0), result: this.#requests.rangeResult(answer) };
  }

  async currentRevision(options?: Timeout): Promise<Revision> {
    // Any linearizable read says it; this one moves no data.
    const request = this.#requests.range({ type: 'range', key: '/', keysOnly: true });
    const { answer } = await this.#calls.make(range, request, 'read', options?.timeoutMs);
    const now = revision(answer.header?.revision ?? 0);
    this.#watches.reach(now);
    return now;
  }

  watch(request: WatchRequest, handler: WatchHandler): StoreWatch {
    return this.#watches.open(request, handler);
  }

  async leaseGrant(ttlMs: number, options?: Timeout): Promise<LeaseId> {
    const request = { ttl: Math.max(1, Math.ceil(ttlMs / 1000)) };
    const { answer } = await this.#calls.make(grant, request, 'write', options?.timeoutMs);
    return leaseId(answer.id);
  }

  /** Rejects with a StoreError Refused that says what the user may not do. */
  async checkRights(options?: Timeout): Promise<void> {
    const { timeoutMs = etcdClientLimits.requestTimeoutMs } = options ?? {};
    const { version } = await this.status({ timeoutMs });
    await checkRights({ calls: this.#calls, requests: this.#requests, version, timeoutMs });
  }

  /** Of the endpoint that serves. */
  async status(
    options?: Timeout,
  ): Promise<StoreHealth & { readonly version: string; readonly clusterId: number }> {
    const { answer, answeredBy } = await this.#calls.make(status, {}, 'read', options?.timeoutMs);
    return {
      member: answeredBy,
      leader: answer.leader === 0 ? null : answer.leader.toString(16),
      revision: revision(answer.header?.revision ?? 0),
      dbSizeBytes: answer.dbSize,
      errors: answer.errors,
      version: answer.version,
      clusterId: answer.header?.clusterId ?? 0,
    };
  }
}
