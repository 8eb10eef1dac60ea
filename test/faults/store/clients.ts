/**
 * The clients of a group of processes: the simulator's writers and lease holders, some through the etcd API and some over
 * ZeroMQ, and watchers of both kinds. One process and one event loop, so one order of calls and returns.
 */
import { revision, type WatchRequest } from 'raft-consensus';
import { realClock } from '../../../actors/runtime/index.js';
import { type StoreClient, StoreError } from '../../../actors/store/index.js';
import { waitFor } from '../../../deploy/wait.js';
import { History } from '../../sim/raft/history.js';
import { LeaseHolder, type LeaseHolderOptions } from '../../sim/raft/lease-holder.js';
import { Writer, type WriterClient } from '../../sim/raft/writer.js';
import { Compactor } from './compactor.js';
import { EtcdStoreClient } from './etcd-store-client.js';
import type { ProcessGroup } from './process-group.js';
import { recordEtcdWatch, recordStoreWatch, type WatchRecord } from './watch-record.js';

export const keys = 8;
const thinkMs = 60;
const timeoutMs = 1_500;
/** Of a client that repeats itself. */
const impatientMs = 100;
const leaseTtlMs = 1_500;
/** How long a client may stay without an acknowledged write after the faults. */
const writableWithinMs = 15_000;

export interface ClientsOptions {
  readonly seed: number;
  /** A planted bug of the client: it repeats writes of unknown outcome. */
  readonly retriesWrites?: boolean;
  readonly fail: (message: string) => never;
  readonly isOver: () => boolean;
}

export class Clients {
  readonly history = new History();
  readonly writers: readonly Writer[];
  readonly leaseHolders: readonly LeaseHolder[];
  readonly watches: readonly WatchRecord[];
  /** Of everything, one near each member. */
  readonly observers: readonly WatchRecord[];
  readonly #compactor: Compactor;
  readonly #closing: { close(): void }[] = [];
  readonly #running: Promise<void>[] = [];

  constructor(group: ProcessGroup, options: ClientsOptions) {
    const { seed, fail, isOver } = options;
    const overEtcd = (nearest: number) => {
      const client = new EtcdStoreClient(group.endpoints(nearest));
      this.#closing.push(client);
      return client;
    };
    const overZmq = (nearest: number) =>
      options.retriesWrites ? retrying(group.client(nearest)) : group.client(nearest);
    const writer = (name: string, client: WriterClient) =>
      new Writer({ name, client, history: this.history, clock: realClock, seed, keys, thinkMs, timeoutMs });
    this.writers = [
      ...[0, 1, 2].map((nearest) => writer(`etcd-${nearest + 1}`, overEtcd(nearest))),
      ...[0, 1, 2].map((nearest) => writer(`zmq-${nearest + 1}`, overZmq(nearest))),
    ];
    const nowMs = () => realClock.monotonicMs();
    const common = { clock: realClock, nowMs, seed, leaseTtlMs, timeoutMs, isOver, fail };
    const holder = (name: string, client: LeaseHolderOptions['client']) =>
      new LeaseHolder({ ...common, name, client });
    this.leaseHolders = [
      holder('etcd', overEtcd(0)),
      holder('zmq-1', group.client(1)),
      holder('zmq-2', group.client(2)),
    ];
    this.#compactor = new Compactor(overEtcd(1), realClock);
    this.observers = [0, 1, 2].map((nearest) =>
      recordEtcdWatch(group.endpoints(nearest), setting(`observer-${nearest + 1}`, { ...everything })),
    );
    this.watches = [
      recordStoreWatch(group.client(0), setting('zmq-all', { ...everything, prevKv: false })),
      recordStoreWatch(group.client(1), setting('zmq-puts', { key: '/k', rangeEnd: '/l', noDelete: true })),
      recordStoreWatch(
        group.client(2),
        setting('zmq-one', { key: '/k0', startRevision: revision(1), prevKv: true }),
      ),
      recordEtcdWatch(
        group.endpoints(1),
        setting('etcd-deletes', { key: '/k', rangeEnd: '/l', noPut: true, prevKv: true }),
      ),
      recordEtcdWatch(group.endpoints(2), setting('etcd-one', { key: '/k1', startRevision: revision(1) })),
    ];
  }

  start(): void {
    for (const writer of this.writers) this.#running.push(writer.run());
    for (const holder of this.leaseHolders) holder.run();
    this.#running.push(this.#compactor.run());
  }

  /** Each has a write acknowledged, from now on. */
  async canWrite(): Promise<void> {
    await Promise.all(
      this.writers.map((writer) =>
        waitFor(`${writer.name} to write again`, writableWithinMs, () => writer.put('/k0')),
      ),
    );
  }

  /** No more requests; resolves when those under way have ended. */
  async stop(): Promise<void> {
    for (const writer of this.writers) writer.stop();
    for (const holder of this.leaseHolders) holder.stop();
    this.#compactor.stop();
    await Promise.all(this.#running);
    await waitFor('the lease holders to end', writableWithinMs, async () =>
      this.leaseHolders.every(({ isIdle }) => isIdle),
    );
  }

  close(): void {
    for (const one of [...this.#closing, ...this.watches, ...this.observers]) one.close();
  }
}

export const everything: WatchRequest = {
  key: '\0',
  rangeEnd: '\0',
  startRevision: revision(1),
  prevKv: true,
};

function setting(name: string, request: WatchRequest) {
  return { name, request, clock: realClock };
}

/**
 * With little patience, as clients that retry have, and again until an answer comes: a client that gave up after a second lost
 * reply would sit out the rest of the fault, and then some runs repeat no write at all.
 */
function retrying(client: StoreClient): StoreClient {
  const [txn, range] = [client.txn.bind(client), client.range.bind(client)];
  const again = async <T>(ask: (timeoutMs: number) => Promise<T>, attempts: number): Promise<T> => {
    try {
      return await ask(impatientMs);
    } catch (error) {
      if (error instanceof StoreError && !error.definite && attempts > 1) return again(ask, attempts - 1);
      throw error;
    }
  };
  const attemptsMax = timeoutMs / impatientMs;
  client.txn = (request, options) => again((ms) => txn(request, { ...options, timeoutMs: ms }), attemptsMax);
  client.range = (request, options) =>
    again((ms) => range(request, { ...options, timeoutMs: ms }), attemptsMax);
  return client;
}
