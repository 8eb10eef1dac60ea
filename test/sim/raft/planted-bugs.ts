/**
 * Bugs on purpose, to see that the simulator finds them: what Raft, the log on disk, the key-value state, a watch or a client
 * could have got wrong, most after a bug that some store once had. They live here only, wrapped around the real parts of a
 * member. docs/store-bugs.md is their table.
 */
import {
  afterSteps,
  type ChangeResult,
  type ConfigurationChange,
  decodeConfiguration,
  encodeConfiguration,
  memberId,
  type Command,
  decodeCommand,
  encodeCommand,
  KvError,
  type LogStorage,
  type RaftCore,
  revision,
  type SimDisk,
  type SnapshotMeta,
  type SnapshotSink,
} from 'raft-consensus';
import type { MemberParts, MemberStorage, StoreClient, StoreLimits } from '../../../actors/store/index.js';
import type { Clock } from '../../../transport/index.js';
import { StoreError } from '../../../actors/store/index.js';
import { diskBugs } from './planted-disk-bugs.js';
import { snapshotBugs } from './planted-snapshot-bugs.js';
import type { FaultKind } from './swarm.js';

type Steps = Extract<ConfigurationChange, { type: 'steps' }>;

export interface PlantedBug {
  readonly name: string;
  /** What is wrong. */
  readonly what: string;
  /** The store that had it, or the rule that it breaks. */
  readonly after: string;
  /** The first seed that finds it, and how many from there on must be enough. */
  readonly seed: number;
  readonly seedsMax: number;
  /** It is about values in files; absent: they stay in memory, so that nothing but the bug is new. */
  readonly valuesInFiles?: boolean;
  /** Faults that bring it out sooner; absent: whatever the seed draws. */
  readonly faults?: readonly FaultKind[];
  /** What the report of it must say. */
  readonly finds: RegExp;
  /** Opens what a member keeps on disk, in place of `open`. */
  open?(disk: SimDisk, open: () => MemberStorage): MemberStorage;
  /** Whoever runs the member does not know any more that it had a disk. */
  readonly forgetsThatItRan?: boolean;
  /** Wraps what a member keeps on disk. */
  storage?(storage: MemberStorage): MemberStorage;
  /** At each start of a member, with its clock. */
  member?(parts: MemberParts, clock: Clock): void;
  /** After every event, of each member that is up. */
  step?(parts: MemberParts): void;
  client?(client: StoreClient): StoreClient;
  readonly limits?: Partial<StoreLimits>;
}

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'ack-before-fsync',
    faults: ['crash-leader', 'crash-all', 'coup', 'stall-disk'],
    what: 'a save is confirmed while its fsync still runs',
    after: 'etcd #14370; Raft figure 2: respond after stable storage is updated',
    seed: 2,
    seedsMax: 40,
    finds: /durability|election safety|leader completeness|state machine safety/,
    storage: (storage) =>
      withSave(storage, (batch) => {
        storage.log.save(batch).catch(() => undefined);
        return Promise.resolve();
      }),
  },
  {
    name: 'unsynced-tail-committed',
    faults: ['crash-leader', 'crash-all', 'coup', 'stall-disk'],
    what: 'a leader counts, and applies, entries of its own log that its disk has not confirmed',
    after: 'etcd #14370',
    seed: 3,
    seedsMax: 40,
    finds: /leader completeness|state machine safety|does not fit the log|liveness/,
    member: ({ raft }) => {
      const { log } = raft.core;
      Object.defineProperty(log, 'stableIndex', { get: () => log.lastIndex });
    },
  },
  {
    name: 'vote-not-saved',
    faults: ['coup', 'crash', 'crash-all'],
    what: 'term and vote are not saved: a member that crashed votes again in the same term',
    after: 'tikv #9579; Raft §5.2',
    seed: 1,
    seedsMax: 40,
    finds: /durability|election safety|leader completeness|went back/,
    storage: (storage) =>
      withSave(storage, ({ snapshot, truncateFrom, entries, mustSync }) =>
        storage.log.save({
          entries,
          mustSync,
          ...(snapshot && { snapshot }),
          ...(truncateFrom && { truncateFrom }),
        }),
      ),
  },
  {
    name: 'old-term-committed',
    faults: ['figure-8'],
    what: 'a leader counts replicas of entries of earlier terms',
    after: 'Raft §5.4.2, figure 8',
    seed: 3,
    seedsMax: 40,
    finds: /leader completeness|state machine safety/,
    step: ({ raft }) => {
      const core = raft.core as RaftCore;
      if (core.leader !== null) core.leader.advanceCommit = () => countAllTerms(core);
    },
  },
  {
    name: 'any-log-elected',
    faults: ['isolate-leader', 'split', 'coup'],
    what: 'a vote is given without looking at the log of the candidate',
    after: 'Raft §5.4.1',
    seed: 1,
    seedsMax: 40,
    finds: /leader completeness/,
    member: ({ raft }) => {
      raft.core.log.isUpToDate = () => true;
    },
  },
  {
    name: 'read-without-quorum',
    faults: ['isolate-leader', 'one-way', 'split'],
    what: 'a leader answers reads without asking whether it still leads',
    after: 'etcd #20418, #741; dissertation §6.4',
    seed: 2,
    seedsMax: 40,
    finds: /^stale/,
    member: ({ raft }) => {
      const core = raft.core as RaftCore;
      const original = core.readIndex.bind(core);
      core.readIndex = (context) => {
        if (core.role === 'leader') core.answerRead({ context, index: core.commit });
        else original(context);
      };
    },
  },
  {
    name: 'read-before-own-commit',
    faults: ['isolate-leader', 'crash-leader', 'coup', 'transfer'],
    what: 'a new leader answers reads by a commit index that may lag behind that of the last leader',
    after: 'etcd #7331; dissertation §6.4',
    seed: 1,
    seedsMax: 40,
    finds: /^stale/,
    member: ({ raft }) => {
      const core = raft.core as RaftCore;
      const original = core.readIndex.bind(core);
      core.readIndex = (context) => {
        const { role, log, commit, term } = core;
        if (role === 'leader' && log.term(commit) !== term) core.answerRead({ context, index: commit });
        else original(context);
      };
    },
  },
  {
    name: 'late-reply-confirms-read',
    faults: ['fading-leader'],
    what: 'any answer to a heartbeat, however old, confirms the round of reads that is under way',
    after: 'etcd #20418',
    seed: 13,
    seedsMax: 40,
    finds: /^stale/,
    step: ({ raft }) => {
      const { leader } = raft.core as RaftCore;
      if (leader === null || Object.hasOwn(leader, 'onHeartbeatReply')) return;
      const original = leader.onHeartbeatReply.bind(leader);
      leader.onHeartbeatReply = (message) =>
        original({ ...message, readRound: leader.reads.round?.number ?? message.readRound });
    },
  },
  {
    name: 'follower-reads-at-once',
    what: 'a linearizable read is answered from whatever the member has applied',
    after: 'Jepsen etcd 0.4.1',
    seed: 1,
    seedsMax: 40,
    finds: /^stale/,
    member: ({ raft }) => {
      raft.readIndex = async () => raft.core.appliedIndex;
    },
  },
  ...snapshotBugs,
  ...diskBugs,
  {
    name: 'incoming-majority-only',
    faults: ['split-change', 'change-members'],
    what: 'in a joint configuration the incoming voters alone decide',
    after: 'Raft §6',
    seed: 1,
    seedsMax: 40,
    finds: /election safety|leader completeness|state machine safety|conflicts with a committed/,
    step: ({ raft }) => {
      const { quorum } = raft.core as RaftCore;
      if (quorum.outgoing !== null) Object.assign(quorum, { outgoing: null });
    },
  },
  {
    name: 'second-change-while-pending',
    faults: ['split-change', 'change-members'],
    what: 'a change of the members is appended while the one before is not applied',
    after: 'etcd-io/raft: pendingConfIndex',
    seed: 4,
    seedsMax: 40,
    finds: /membership|election safety|leader completeness|state machine safety|liveness|conflicts/,
    member: ({ raft }) => {
      const core = raft.core as RaftCore;
      const original = core.changeConfiguration.bind(core);
      core.changeConfiguration = (change) => {
        if (change.type !== 'steps' || core.leader === null) return original(change);
        return appendAtOnce(core, change) ?? original(change);
      };
    },
  },
  {
    name: 'removed-votes-counted',
    faults: ['change-members', 'split', 'isolate-leader', 'crash-leader'],
    what: 'whoever once belonged to the group is asked for its vote, and counted',
    after: 'Raft §6: only voters of the configuration count',
    seed: 2,
    seedsMax: 40,
    finds: /log matching|election safety|leader completeness|state machine safety|conflicts with a committed/,
    step: ({ raft }) => {
      const { quorum } = raft.core as RaftCore;
      const everybody = ['m1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7'].map(memberId);
      if (quorum.voters.length === everybody.length) return;
      const { size } = quorum.incoming;
      Object.assign(quorum, { voters: everybody });
      quorum.result = (votes) => {
        const granted = [...votes.values()].filter(Boolean).length;
        return granted >= size ? 'won' : 'pending';
      };
    },
  },
  {
    name: 'members-of-the-beginning',
    faults: ['change-members', 'crash', 'crash-all'],
    what: 'a snapshot keeps the members that the group was made with',
    after: 'etcd #19557, #20793: membership kept in two places',
    seed: 4,
    seedsMax: 40,
    finds: /membership/,
    storage: (storage) => {
      const { snapshots } = storage;
      let first: SnapshotMeta['configuration'] | undefined;
      const create = (meta: SnapshotMeta): Promise<SnapshotSink> => {
        first ??= meta.configuration;
        return snapshots.create({ ...meta, configuration: first });
      };
      return { ...storage, snapshots: { open: () => snapshots.open(), create } };
    },
  },
  {
    name: 'progress-ahead',
    what: 'a batch says how far the store is, though later events are still to come',
    after: 'etcd #15220',
    seed: 2,
    seedsMax: 40,
    finds: /without (put|delete)|ahead of the store/,
    member: ({ watches, store }) => {
      const original = watches.watch.bind(watches);
      watches.watch = (request, onReady) => {
        const watcher = original(request, onReady);
        const next = watcher.next.bind(watcher);
        watcher.next = (budget) => {
          const step = next(budget);
          return step.type === 'batch'
            ? { ...step, batch: { ...step.batch, revision: store.revision } }
            : step;
        };
        return watcher;
      };
    },
  },
  {
    name: 'resume-skips-one',
    what: 'a watch that resumes begins one revision too late',
    after: 'etcd #19179, #17529: events lost',
    seed: 1,
    seedsMax: 40,
    finds: /instead of|without (put|delete)/,
    member: ({ watches }) => {
      const original = watches.watch.bind(watches);
      watches.watch = (request, onReady) => {
        const start = request.startRevision ?? 0;
        return original(start > 1 ? { ...request, startRevision: revision(start + 1) } : request, onReady);
      };
    },
  },
  {
    name: 'lease-cut-short',
    what: 'leases are revoked half a second early, whatever the replicated deadline says',
    after: 'etcd #15247, #12528',
    seed: 1,
    seedsMax: 40,
    finds: /before its lease ended/,
    member: ({ store }) => {
      const expired = store.leaseExpired.bind(store);
      store.leaseExpired = (nowMs) => expired(nowMs + 500);
      const apply = store.apply.bind(store);
      store.apply = (command, index) => apply(withoutReason(command), index);
    },
  },
  {
    name: 'lease-by-wall-clock',
    faults: ['clock-jump', 'coup', 'transfer'],
    what: 'lease time is the wall clock of whoever leads',
    after: 'etcd #9395, #13294; Jepsen: clock skew',
    seed: 1,
    seedsMax: 40,
    finds: /before its lease ended/,
    member: ({ raft, store }, clock) => {
      const apply = raft.apply.bind(raft);
      raft.apply = (bytes, timeoutMs) =>
        apply(encodeCommand({ ...decodeCommand(bytes), atMs: clock.nowMs() }), timeoutMs);
      const expired = store.leaseExpired.bind(store);
      store.leaseExpired = () => expired(clock.nowMs());
    },
  },
  {
    name: 'lease-renewed-when-gone',
    what: 'a renewal of a lease that was revoked is answered as done',
    after: 'etcd #20813',
    seed: 1,
    seedsMax: 40,
    finds: /renewed after it had been revoked/,
    member: ({ store }) => {
      const apply = store.apply.bind(store);
      store.apply = (command, index) => {
        const applied = apply(command, index);
        if (command.type !== 'lease-renew' || !(applied instanceof KvError)) return applied;
        const { id } = command;
        return { revision: store.revision, result: { type: 'lease', id, ttlMs: 1_000, deadlineMs: 0 } };
      };
    },
  },
  {
    name: 'member-strays',
    what: 'the state of one member changes without a command: a bit that flips in memory',
    after: 'etcd #13766, #14039, #18667',
    seed: 1,
    seedsMax: 40,
    finds: /data of store member m2 differs|actor of m2 crashed.*snapshot/,
    member: ({ raft, store }) => {
      if (raft.id !== 'm2') return;
      const apply = store.apply.bind(store);
      store.apply = (command, index) => {
        const applied = apply(command, index);
        const { newest } = store.versions.index.get('/k0') ?? {};
        if (index === 100 && newest && newest.version > 0) {
          store.versions.digest = (store.versions.digest + 1) >>> 0;
        }
        return applied;
      };
    },
  },
  {
    name: 'tombstone-compacted',
    what: 'a watch from the compact revision misses a delete at exactly that revision',
    after: 'etcd #18089, #19179',
    seed: 3,
    seedsMax: 40,
    finds: /instead of|without delete/,
    member: ({ watches, store }) => {
      const original = watches.watch.bind(watches);
      watches.watch = (request, onReady) => {
        const watcher = original(request, onReady);
        const next = watcher.next.bind(watcher);
        watcher.next = (budget) => {
          const step = next(budget);
          if (step.type !== 'batch') return step;
          const events = step.batch.events.filter(
            ({ type, kv }) => type === 'put' || kv.modRevision !== store.compactRevision,
          );
          return { ...step, batch: { ...step.batch, events } };
        };
        return watcher;
      };
    },
  },
  {
    name: 'future-watch-begins-now',
    what: 'a watch from a revision that its member has not reached begins with the next change',
    after: 'etcd #20221',
    seed: 1,
    seedsMax: 40,
    finds: /late or twice|went back|too many|in a batch up to/,
    member: ({ watches, store }) => {
      const original = watches.watch.bind(watches);
      watches.watch = (request, onReady) => {
        const start = request.startRevision ?? 0;
        const isAhead = start > store.revision;
        return original(isAhead ? { ...request, startRevision: revision(0) } : request, onReady);
      };
    },
  },
  {
    name: 'restore-not-told',
    faults: ['isolate-one', 'split', 'crash', 'pause'],
    what: 'watchers are not told that a snapshot replaced the state under them',
    after: 'etcd #15271',
    seed: 21,
    seedsMax: 40,
    finds: /instead of|without (put|delete)/,
    member: ({ watches }) => {
      const original = watches.watch.bind(watches);
      watches.watch = (request, onReady) => {
        const watcher = original(request, onReady);
        watcher.restored = () => undefined;
        return watcher;
      };
    },
  },
  {
    name: 'doubled-request',
    what: 'a request that the network doubles is carried out twice',
    after: 'found here, by the first seed ever run',
    seed: 4,
    seedsMax: 40,
    finds: /written twice/,
    limits: { requestsRememberedMax: 0 },
  },
  {
    name: 'write-retried',
    what: 'the client repeats a write of unknown outcome',
    after: 'jetcd 0.8.2 (Jepsen 2024)',
    seed: 1,
    seedsMax: 40,
    finds: /written twice|but it took effect/,
    client: (client) => {
      const original = client.txn.bind(client);
      client.txn = (txn, options) =>
        original(txn, options).catch((error: unknown) => {
          if (error instanceof StoreError && !error.definite) return original(txn, options);
          throw error;
        });
      return client;
    },
  },
];

export function bugNamed(name: string): PlantedBug | undefined {
  return plantedBugs.find((bug) => bug.name === name);
}

function withSave(storage: MemberStorage, save: LogStorage['save']): MemberStorage {
  const { log } = storage;
  return {
    ...storage,
    log: { load: () => log.load(), compact: (to, snapshot) => log.compact(to, snapshot), save },
  };
}

function countAllTerms(core: RaftCore): void {
  const { log, quorum, leader } = core;
  const reached = quorum.reached((voter) =>
    voter === core.id ? log.stableIndex : (leader?.peers.get(voter)?.match ?? 0),
  );
  if (reached <= core.commit) return;
  core.leader!.uncommittedBytes = 0;
  core.commitTo(reached as typeof core.commit);
}

/** As if no change were ever pending; null: it is not a change that can be made. */
function appendAtOnce(core: RaftCore, { steps, transition }: Steps): ChangeResult | null {
  const { log, leader, term } = core;
  let current = core.configuration;
  for (let index = core.appliedIndex + 1; index <= log.lastIndex; index++) {
    const entry = log.at(index);
    if (entry?.type === 'config') current = decodeConfiguration(entry.data) ?? current;
  }
  const next = afterSteps(current, steps, transition === 'joint' ? 'auto' : transition);
  if (typeof next === 'string') return null;
  leader!.append('config', encodeConfiguration(next));
  return { type: 'accepted', firstIndex: log.lastIndex, term };
}

function withoutReason(command: Command): Command {
  if (command.type !== 'lease-revoke') return command;
  const { type, id, atMs } = command;
  return { type, id, atMs };
}
