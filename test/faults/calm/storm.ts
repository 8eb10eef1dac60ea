/**
 * Everything that is heavy, at once: lists of all keys, a snapshot for a member that was down, a compaction, hashes and a crowd
 * of watchers with writes that each of them sees. Returns what the members say of their heartbeats meanwhile: nobody may have
 * missed his leader for an election timeout, and the leader must be the same.
 */
import { fail } from 'node:assert/strict';
import type { Op } from 'raft-consensus';
import { revision } from 'raft-consensus';
import type { StoreClient } from '../../../actors/store/index.js';
import { RangeRequest, RangeResponse } from '../../../actors/store/etcd/kv-messages.js';
import { waitFor } from '../../../deploy/wait.js';
import { EtcdClient } from '../../bench/etcd-client.js';
import type { CalmGroup } from './calm-group.js';
import { type HeartbeatsSeen, heartbeatsSeen, silencesSince } from './heartbeats-seen.js';
import { WatchCrowd } from './watch-crowd.js';

export interface StormSize {
  readonly keys: number;
  readonly watchers: number;
  /** Each is an event for every watcher. */
  readonly writes: number;
}

export interface StormReport {
  readonly before: readonly HeartbeatsSeen[];
  readonly after: readonly HeartbeatsSeen[];
  /** Lists of all keys that were answered meanwhile. */
  readonly lists: number;
  readonly snapshotsReceived: number;
  readonly events: number;
  readonly wrongs: readonly string[];
}

const valueBytes = 256;
const prefix = 'calm/';
const prefixEnd = 'calm0';
const hot = 'hot/';
/**
 * All keys are written again and again until the log has so many bytes: then a snapshot is taken, the log behind it is cut, and
 * compaction finds something to free.
 */
const writtenBytesMin = 72 * 1024 * 1024;
const keysPerTxn = 100;
const fillAtOnce = 16;
const writeEveryMs = 250;

export async function playStorm(
  group: CalmGroup,
  size: StormSize,
  say: (line: string) => void,
): Promise<StormReport> {
  const leader = await group.leader();
  const [late, other] = group.names.filter((name) => name !== leader) as [string, string];
  const client = group.client(leader);
  await group.kill(late);
  await timed(say, `${size.keys} keys written`, () => fill(client, size.keys));
  const crowd = await timed(say, `${size.watchers} watchers opened`, () =>
    WatchCrowd.open({
      endpoint: group.endpointOf(leader),
      connections: 4,
      streams: 5,
      watchers: size.watchers,
      prefix: hot,
    }),
  );
  try {
    const up = [leader, other];
    const before = await Promise.all(up.map((name) => heartbeatsSeen(group, name)));
    const lists = new Lists(size.keys);
    const listing = Promise.all([
      lists.overGrpc(group.endpointOf(leader)),
      lists.overGrpc(group.endpointOf(other)),
      lists.overActors(client),
    ]);
    const storm = async () => {
      const compactAt = await client.currentRevision();
      await Promise.all([
        timed(say, `${late} caught up`, () => rejoin(group, late, leader)),
        timed(say, 'compaction', () => compact(group, client, compactAt, up)),
        timed(say, 'hashes', () => hashes(group, up)),
        timed(say, `${size.writes} writes`, () => writes(client, size.writes)),
      ]);
      await timed(say, 'events', () =>
        waitFor('every watcher to have every event', 120_000, async () => crowd.haveAll(size.writes)),
      );
      await lists.atLeastOneEach();
    };
    // A list that fails ends it early.
    await Promise.race([timed(say, 'the storm', storm), listing.then(() => fail('the lists ended'))]);
    lists.end();
    await listing;
    const after = await Promise.all(group.names.map((name) => heartbeatsSeen(group, name)));
    const snapshots = (await group.metrics(late)).get('etcd_network_snapshot_receive_success') ?? 0;
    for (const line of silencesSince(before, after)) say(line);
    return {
      before,
      after,
      lists: lists.count,
      snapshotsReceived: snapshots,
      events: crowd.events,
      wrongs: [...crowd.wrongs, ...group.ended],
    };
  } finally {
    crowd.close();
  }
}

/** Several keys in a transaction, in parallel. */
async function fill(client: StoreClient, keys: number): Promise<void> {
  const value = Buffer.alloc(valueBytes, 0x61);
  const writesInAll = keys * Math.ceil(writtenBytesMin / (keys * valueBytes));
  let next = 0;
  const worker = async () => {
    while (next < writesInAll) {
      const success: Op[] = [];
      // Never one key twice.
      for (const end = Math.min(next + keysPerTxn, next - (next % keys) + keys); next < end; next++) {
        success.push({ type: 'put', key: nameOf(next % keys), value });
      }
      await client.txn({ type: 'txn', compare: [], success, failure: [] }, { timeoutMs: 30_000 });
    }
  };
  await Promise.all(Array.from({ length: fillAtOnce }, worker));
}

function nameOf(n: number): string {
  return `${prefix}${String(n).padStart(8, '0')}`;
}

async function rejoin(group: CalmGroup, late: string, leader: string): Promise<void> {
  const { appliedIndex } = await group.status(leader);
  await group.start(late);
  await waitFor(`${late} to catch up`, 120_000, async () => {
    return (await group.status(late)).appliedIndex >= appliedIndex;
  });
}

/** Until the members have freed what nobody needs any more. */
async function compact(
  group: CalmGroup,
  client: StoreClient,
  at: number,
  names: readonly string[],
): Promise<void> {
  await client.compact(revision(at), { timeoutMs: 60_000 });
  await waitFor('the compaction to be known', 60_000, async () => {
    const all = await Promise.all(names.map((name) => group.status(name)));
    return all.every(({ compactRevision }) => compactRevision === at);
  });
}

async function hashes(group: CalmGroup, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => group.client(name).hashKv(undefined, { timeoutMs: 60_000 })));
}

async function writes(client: StoreClient, count: number): Promise<void> {
  const value = Buffer.alloc(valueBytes, 0x62);
  for (let n = 0; n < count; n++) {
    const success: Op[] = [{ type: 'put', key: `${hot}${n}`, value }];
    await client.txn({ type: 'txn', compare: [], success, failure: [] }, { timeoutMs: 60_000 });
    await new Promise((resolve) => setTimeout(resolve, writeEveryMs));
  }
}

/** Lists of all keys, one after another, until it is enough. */
class Lists {
  readonly #keys: number;
  readonly #counts: number[] = [];
  #isOver = false;

  constructor(keys: number) {
    this.#keys = keys;
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  async overGrpc(endpoint: string): Promise<void> {
    const client = new EtcdClient(endpoint);
    const request = RangeRequest.encode({ key: prefix, rangeEnd: prefixEnd });
    try {
      let bytes = 0;
      await this.#repeat(async () => {
        const answer = await client.call('/etcdserverpb.KV/Range', request, 60_000);
        // Read once: this process has better things to do.
        if (bytes === 0) this.#check(RangeResponse.decode(answer).kvs.length);
        else if (Math.abs(answer.length - bytes) > 16)
          throw new Error(`${answer.length} bytes, not ${bytes}`);
        bytes = answer.length;
      });
    } finally {
      client.close();
    }
  }

  async overActors(client: StoreClient): Promise<void> {
    await this.#repeat(async () => {
      const all = { type: 'range' as const, key: prefix, rangeEnd: prefixEnd };
      this.#check((await client.range(all, { timeoutMs: 60_000 })).result.kvs.length);
    });
  }

  atLeastOneEach(): Promise<void> {
    return waitFor('a list of each kind', 60_000, async () => this.#counts.every((count) => count > 0));
  }

  end(): void {
    this.#isOver = true;
  }

  async #repeat(list: () => Promise<void>): Promise<void> {
    const mine = this.#counts.push(0) - 1;
    while (!this.#isOver) {
      await list();
      this.#counts[mine]! += 1;
    }
  }

  #check(found: number): void {
    if (found !== this.#keys) throw new Error(`a list of ${this.#keys} keys has ${found}`);
  }
}

async function timed<T>(say: (line: string) => void, what: string, action: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  const result = await action();
  say(`${what}: ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  return result;
}
