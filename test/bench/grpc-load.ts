/** What is done to a store behind etcd's API, and how long it takes: the same for every store. */
import { CompactionRequest, PutRequest, PutResponse } from '../../actors/store/etcd/kv-messages.js';
import { WatchRequest, WatchResponse } from '../../actors/store/etcd/rpc-messages.js';
import { waitFor } from '../../deploy/wait.js';
import { GrpcClient } from '../harness/grpc-client.js';
import { scrape } from '../harness/metrics.js';
import { EtcdClient } from './etcd-client.js';
import { type GrpcGroup, leaderOf } from './grpc-groups.js';
import { loadGets, loadPuts, type PutRound, type PutTarget, valueBytes } from './put-load.js';

const value = Buffer.alloc(valueBytes, 0x61);
const someKey = Buffer.from('some-key', 'latin1');

export interface SyncedRound extends PutRound {
  /** Of all members together, for one put. */
  readonly fsyncs: number;
}

/** Puts of so many clients at the leader, over one connection. */
export async function puts(group: GrpcGroup, clients: number, durationMs: number): Promise<SyncedRound> {
  return withLeader(group, async (client) => {
    const before = await fsyncsOf(group);
    const round = await loadPuts(targetOf(group, client), clients, durationMs);
    return { ...round, fsyncs: ((await fsyncsOf(group)) - before) / round.count };
  });
}

/** Since they started, as the members count them: of the log and, where there is one, of etcd's database. */
async function fsyncsOf({ endpoints }: GrpcGroup): Promise<number> {
  const all = await Promise.all(endpoints.map(scrape));
  const count = (of: ReadonlyMap<string, number>, what: string) =>
    of.get(`etcd_disk_${what}_duration_seconds_count`);
  return all.reduce((sum, metrics) => {
    const ofLog = count(metrics, 'wal_fsync');
    if (ofLog === undefined) throw new Error('a member does not count the fsyncs of its log');
    return sum + ofLog + (count(metrics, 'backend_commit') ?? 0);
  }, 0);
}

/** Linearizable reads of single keys at the leader. */
export async function reads(group: GrpcGroup, clients: number, durationMs: number): Promise<PutRound> {
  return withLeader(group, (client) => loadGets(targetOf(group, client), clients, durationMs));
}

/** Puts as above while the store is told, twice a second, to forget all history. */
export async function putsWhileCompacting(
  group: GrpcGroup,
  clients: number,
  durationMs: number,
): Promise<PutRound> {
  const grpc = new GrpcClient(await leaderOf(group));
  let isOver = false;
  const compacting = (async () => {
    while (!isOver) {
      await wait(500);
      const put = { key: 'compact', value };
      const { header } = await grpc.unary('/etcdserverpb.KV/Put', [PutRequest, PutResponse], put);
      await grpc.unary('/etcdserverpb.KV/Compact', [CompactionRequest, PutResponse], {
        revision: header?.revision ?? 0,
      });
    }
  })();
  try {
    return await puts(group, clients, durationMs);
  } finally {
    isOver = true;
    await compacting;
    grpc.close();
  }
}

/** From the call of a put to its event at a watcher, ms, sorted; one put each `everyMs`, as many as fit. */
export async function watchDelivery(
  group: GrpcGroup,
  durationMs: number,
  everyMs: number,
): Promise<readonly number[]> {
  const leader = await leaderOf(group);
  const watcher = new GrpcClient(leader);
  const writer = new EtcdClient(leader, group.client);
  const begun = new Map<string, number>();
  const delays: number[] = [];
  let isWatching = false;
  try {
    const stream = watcher.stream('/etcdserverpb.Watch/Watch', [WatchRequest, WatchResponse]);
    stream.onMessage = ({ created, events }) => {
      isWatching ||= created;
      for (const { kv } of events) {
        const at = begun.get(kv?.key ?? '');
        if (at !== undefined) delays.push(performance.now() - at);
      }
    };
    stream.send({ create: { key: 'w', rangeEnd: 'x' } });
    await waitFor('the watch to be created', 5_000, async () => isWatching);
    const pending: Promise<void>[] = [];
    for (let n = 0; n * everyMs < durationMs; n++) {
      const key = `w${n}`;
      begun.set(key, performance.now());
      pending.push(writer.put(Buffer.from(key, 'latin1'), value));
      await wait(everyMs);
    }
    await Promise.all(pending);
    await waitFor('all events to arrive', 10_000, async () => delays.length === begun.size);
    return delays.toSorted((a, b) => a - b);
  } finally {
    watcher.close();
    writer.close();
  }
}

/** SIGKILL of the leader to the first put that one of the others accepts, ms. The dead one is started again. */
export async function failover(group: GrpcGroup): Promise<number> {
  const leader = await leaderOf(group);
  const others = group.endpoints.filter((endpoint) => endpoint !== leader);
  const clients = others.map((endpoint) => new EtcdClient(endpoint));
  try {
    // Connections are open before.
    await Promise.all(clients.map((client) => client.put(someKey, value)));
    const begun = performance.now();
    await group.kill(leader);
    for (;;) {
      try {
        await Promise.any(clients.map((client) => client.put(someKey, value, 2_000)));
        return performance.now() - begun;
      } catch (error) {
        if (performance.now() - begun > 30_000) throw error;
        await wait(5);
      }
    }
  } finally {
    for (const client of clients) client.close();
    await group.start(leader);
  }
}

async function withLeader<T>(group: GrpcGroup, use: (client: EtcdClient) => Promise<T>): Promise<T> {
  const client = new EtcdClient(await leaderOf(group), group.client);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

function targetOf(group: GrpcGroup, client: EtcdClient): PutTarget {
  return {
    pids: group.pids(),
    put: (key, bytes) => client.put(Buffer.from(key, 'latin1'), bytes),
    get: (key) => client.get(Buffer.from(key, 'latin1')),
    stop: async () => client.close(),
  };
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
