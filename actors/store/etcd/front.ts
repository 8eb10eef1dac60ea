/**
 * etcd's API beside one member of the store: services over the store client, behind a door. Any number of fronts serve the
 * same store; each prefers the member that it stands beside.
 */
import type { ActorSystem } from '../../runtime/index.js';
import type { BackupDesk } from '../backup/index.js';
import type { GuardedStoreClient } from '../caller-store.js';
import { authService } from './auth-service.js';
import { Callers } from './callers.js';
import { clusterService } from './cluster-service.js';
import { ClusterView } from './cluster-view.js';
import { type EtcdDoor, type EtcdTls, openEtcdDoor } from './door.js';
import { electionService } from './election-service.js';
import { guarded } from './guard.js';
import { healthService } from './health-service.js';
import type { CallHost } from './http2-call.js';
import { joinService } from './join-service.js';
import { kvService } from './kv-service.js';
import { type EtcdLimits, etcdLimits } from './limits.js';
import { leaseService } from './lease-service.js';
import { lockService } from './lock-service.js';
import { maintenanceService } from './maintenance-service.js';
import type { StreamCall } from './method.js';
import { Pages } from './pages.js';
import { rangeStreamService } from './range-stream.js';
import { RpcCounts } from './rpc-counts.js';
import { code, errors } from './status.js';
import type { TokenKeys } from './tokens.js';
import { watchService } from './watch-service.js';
import { withWriteTimeouts } from './write-timeouts.js';

export interface EtcdFrontOptions {
  readonly system: ActorSystem;
  /** Nearest member first. */
  readonly client: GuardedStoreClient;
  /** Of the member beside this front only. */
  readonly local: GuardedStoreClient;
  /** Of that member. */
  readonly backups: BackupDesk;
  /** Name of that member. */
  readonly name: string;
  readonly clusterId: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tls?: EtcdTls;
  readonly limits?: Partial<EtcdLimits>;
  /** Of users' tokens, if not the group's. */
  readonly tokenKeys?: TokenKeys | undefined;
}

export interface EtcdFront {
  readonly port: number;
  /** Other certificates, for connections from now on. Throws when they cannot be used, and leaves it as it was. */
  renewTls(tls: EtcdTls): void;
  close(): Promise<void>;
}

export async function openEtcdFront(options: EtcdFrontOptions): Promise<EtcdFront> {
  const { system, client, local, tokenKeys } = options;
  const { clock } = system.env;
  const limits = { ...etcdLimits, ...options.limits };
  const { name, clusterId } = options;
  const view = new ClusterView({ name, clusterId, local, clock, limits });
  // Or the first answers would name a revision that is not the store's.
  await view.asked;
  const methods = new Map([
    ...kvService(view),
    ...rangeStreamService(view),
    ...watchService({ client, view, clock, limits }),
    ...clusterService(view, () => `member-${system.env.uuid().slice(0, 8)}`),
    ...joinService(view),
    ...maintenanceService(view, options.backups, (text) => system.note('etcd', text, {})),
    ...leaseService(view),
    ...lockService(client, view),
    ...electionService(client, view),
    ...healthService(),
    ...authService({ client, view, clock, limits, tokenKeys }),
  ]);
  const callers = new Callers({ client, local, clock, limits, tokenKeys });
  const leaderStreams = new Set<StreamCall<never>>();
  const longCalls = new Set<StreamCall<never>>();
  const calls: CallHost = {
    clock,
    requestBytesMax: limits.requestBytesMax - limits.requestHeadBytes,
    messageBytesMax: limits.requestBytesMax + limits.requestOverheadBytes,
    requestTimeoutMs: limits.requestTimeoutMs,
    hasLeader: () => view.leaderlessForMs() < limits.leaderlessMaxMs,
    leaderStreams,
    longCalls,
    counts: new RpcCounts(),
    storesOf: (credentials) => callers.of(credentials),
    onError: (error, path) => {
      if (error.code === code.internal) system.note('etcd', 'call failed', { path, error: error.message });
    },
  };
  const pages = new Pages({
    view,
    client,
    local,
    calls: calls.counts,
    timeoutMs: limits.requestTimeoutMs,
  });
  const door = await openEtcdDoor({
    host: options.host,
    port: options.port,
    ...(options.tls && { tls: options.tls }),
    methods: guarded(withWriteTimeouts(methods, view, clock)),
    calls,
    page: (path, query) => pages.page(path, query),
    limits,
  }).catch((error: unknown) => {
    view.close();
    throw error;
  });
  let isClosed = false;
  const cutLeaderless = () => {
    if (isClosed) return;
    if (!calls.hasLeader()) for (const stream of leaderStreams) stream.end(errors.noLeader());
    clock.setTimer(limits.statusIntervalMs, cutLeaderless);
  };
  cutLeaderless();
  return new Front(door, view, () => {
    isClosed = true;
    // Or they would be cut off, later and without a word.
    for (const call of longCalls) call.end(errors.stopped());
  });
}

class Front implements EtcdFront {
  readonly #door: EtcdDoor;
  readonly #view: ClusterView;
  readonly #stop: () => void;

  constructor(door: EtcdDoor, view: ClusterView, stop: () => void) {
    this.#door = door;
    this.#view = view;
    this.#stop = stop;
  }

  get port(): number {
    return this.#door.port;
  }

  renewTls(tls: EtcdTls): void {
    this.#door.renewTls(tls);
  }

  async close(): Promise<void> {
    this.#stop();
    this.#view.close();
    await this.#door.close();
  }
}
