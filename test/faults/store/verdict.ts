/**
 * The checkers of the simulator on what real processes did. The truth is what each member tells of its history when all is
 * healed, and before that what observers were told: all must tell the same. Every checker is heard, and the first thing that
 * each finds is reported.
 */
import { revision } from 'raft-consensus';
import { realClock } from '../../../actors/runtime/index.js';
import { waitFor } from '../../../deploy/wait.js';
import { checkKeys } from '../../sim/raft/key-check.js';
import { checkLeases } from '../../sim/raft/lease-check.js';
import { Truth, trueChange, type TrueChange } from '../../sim/raft/truth.js';
import { checkAgainstTruth } from '../../sim/raft/truth-check.js';
import { WatchLog } from '../../sim/raft/watch-check.js';
import { type Clients, everything, keys } from './clients.js';
import { EtcdStoreClient } from './etcd-store-client.js';
import type { ProcessGroup } from './process-group.js';
import { recordEtcdWatch, type Told, type WatchRecord } from './watch-record.js';

export interface Verdict {
  /** Each with the checker that found it; empty: every property held. */
  readonly violations: readonly string[];
  readonly operations: number;
  readonly acknowledgedWrites: number;
  readonly watchEvents: number;
  readonly revisions: number;
  /** Up to there history was compacted. */
  readonly compactedTo: number;
  readonly leases: number;
  readonly undecidedKeys: number;
}

const convergedWithinMs = 15_000;

/** Of a healed group whose clients have stopped. */
export async function judge(group: ProcessGroup, clients: Clients): Promise<Verdict> {
  const violations: string[] = [];
  const checking = async (checker: string, check: () => void | Promise<void>) => {
    try {
      await check();
    } catch (error) {
      violations.push(`${checker}: ${(error as Error).message}`);
    }
  };
  let head = 0;
  await checking('liveness', async () => {
    head = await converge(group, clients);
  });
  const receivedAtMs = earliest(clients.observers);
  let recording = 0;
  const truth = new Truth(() => receivedAtMs.get(recording) ?? Infinity, fail);
  await checking('observers', async () => {
    truth.compactedTo = await compactRevisionOf(group);
    // Of what is compacted, the members themselves know nothing any more.
    for (const changes of revisionsOf(clients.observers.flatMap(({ told }) => told))) {
      recording = changes[0]!.mod;
      if (recording <= truth.compactedTo) truth.record('an observer', recording, changes);
    }
  });
  for (const [at, name] of group.names.entries()) {
    await checking('state machine', async () => {
      if (!group.isUp(name)) fail(`${name} does not run`);
      const watch = await historyOf(group, at, head, truth.compactedTo + 1);
      for (const changes of revisionsOf(watch.told)) {
        recording = changes[0]!.mod;
        truth.record(name, recording, changes);
      }
    });
  }
  await checking('hashes', () => checkHashes(group, head));
  for (const how of group.ended) violations.push(`process: ${how}`);
  const { history } = clients;
  const watches = [...clients.watches, ...clients.observers];
  const leased = clients.leaseHolders.flatMap((holder) => holder.leased);
  let undecidedKeys = 0;
  await checking('truth', () =>
    checkAgainstTruth({ history, truth, isLeased: (key) => key.startsWith('/lease/'), fail }),
  );
  await checking('linearizability', () => {
    undecidedKeys = checkKeys(history, keys, fail);
  });
  for (const watch of watches) await checking('watch', () => replay(watch, truth));
  await checking('leases', () => checkLeases({ truth, leased, clockDriftMax: 0, fail }));
  if (history.acknowledgedWrites === 0) violations.push('sanity: no write was ever acknowledged');
  return {
    violations,
    operations: history.operations.length,
    acknowledgedWrites: history.acknowledgedWrites,
    watchEvents: watches.reduce((sum, { seenAtMs }) => sum + seenAtMs.size, 0),
    revisions: truth.head,
    compactedTo: truth.compactedTo,
    leases: leased.length,
    undecidedKeys,
  };
}

const fail = (message: string): never => {
  throw new Error(message);
};

/** All leases have ended, and all members and watchers are at one revision. */
async function converge(group: ProcessGroup, clients: Clients): Promise<number> {
  const reader = new EtcdStoreClient(group.endpoints(0));
  const ends = clients.leaseHolders.flatMap(({ leased }) => leased.map(({ notBeforeMs }) => notBeforeMs));
  const leasesMs = Math.max(0, ...ends) - realClock.monotonicMs();
  let head = 0;
  try {
    await waitFor('all leases to end', Math.max(0, leasesMs) + convergedWithinMs, async () => {
      const left = await reader.range({
        type: 'range',
        key: '/lease/',
        rangeEnd: '/lease0',
        countOnly: true,
      });
      head = left.revision;
      return left.result.count === 0;
    });
    await waitFor('members and watchers to agree', convergedWithinMs, async () => {
      if (group.ended.length > 0) return true;
      const statuses = await Promise.all(group.names.map((name) => group.status(name)));
      const watches = [...clients.watches, ...clients.observers];
      return (
        statuses.every(({ revision }) => revision === head) && watches.every(({ reached }) => reached >= head)
      );
    });
    return head;
  } finally {
    reader.close();
  }
}

async function compactRevisionOf(group: ProcessGroup): Promise<number> {
  const up = group.names.filter((name) => group.isUp(name));
  const statuses = await Promise.all(up.map((name) => group.status(name)));
  return Math.max(0, ...statuses.map(({ compactRevision }) => compactRevision));
}

/** What one member tells of all its revisions. */
async function historyOf(group: ProcessGroup, at: number, head: number, from: number): Promise<WatchRecord> {
  const name = `history of ${group.names[at]}`;
  const request = { ...everything, startRevision: revision(from) };
  const watch = recordEtcdWatch(group.endpoints(at).slice(0, 1), { name, request, clock: realClock });
  try {
    await waitFor(`the ${name}`, convergedWithinMs, async () => watch.reached >= head);
    return watch;
  } finally {
    watch.close();
  }
}

/** Each once, in order. */
function revisionsOf(told: readonly Told[]): readonly TrueChange[][] {
  const found = new Map<number, TrueChange[]>();
  for (const one of told) {
    if (one.type !== 'batch') continue;
    const changes = one.batch.events.map(({ kv, prevKv }) => trueChange({ kv, prev: prevKv }));
    for (const mod of new Set(changes.map((change) => change.mod))) {
      if (!found.has(mod))
        found.set(
          mod,
          changes.filter((change) => change.mod === mod),
        );
    }
  }
  return [...found.values()].toSorted((a, b) => a[0]!.mod - b[0]!.mod);
}

async function checkHashes(group: ProcessGroup, head: number): Promise<void> {
  const hashes = await Promise.all(
    group.names.map(async (name, at) => {
      const client = new EtcdStoreClient(group.endpoints(at).slice(0, 1));
      try {
        return { name, hash: await client.hashKv(head) };
      } finally {
        client.close();
      }
    }),
  );
  for (const { name, hash } of hashes) {
    if (hash !== hashes[0]!.hash) fail(`${name} has ${hash}, ${hashes[0]!.name} has ${hashes[0]!.hash}`);
  }
}

function replay(watch: WatchRecord, truth: Truth): void {
  const log = new WatchLog(watch.name, watch.request, truth, fail);
  for (const told of watch.told) {
    if (told.type === 'batch') log.batch(told.batch);
    else log.compacted(told.compactRevision);
  }
}

/** A revision was applied no later than anybody heard of it. */
function earliest(watches: readonly WatchRecord[]): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  for (const { seenAtMs } of watches) {
    for (const [at, ms] of seenAtMs) found.set(at, Math.min(ms, found.get(at) ?? Infinity));
  }
  return found;
}
