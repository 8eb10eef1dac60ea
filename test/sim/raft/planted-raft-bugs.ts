/** Bugs on purpose in how a leader is elected, what it counts as committed, and how reads are answered (planted-bugs.ts). */
import type { LogStorage, RaftCore } from 'raft-consensus';
import type { MemberStorage } from '../../../actors/store/index.js';
import type { PlantedBug } from './planted-bugs.js';

export const raftBugs: readonly PlantedBug[] = [
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
    seed: 50,
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
    seed: 8,
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
    seed: 6,
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
    seed: 4,
    seedsMax: 40,
    finds: /^stale/,
    member: ({ raft }) => {
      const core = raft.core as RaftCore;
      answerByCommitWhen(core, () => core.role === 'leader');
    },
  },
  {
    name: 'read-before-own-commit',
    faults: ['isolate-leader', 'crash-leader', 'coup', 'transfer'],
    what: 'a new leader answers reads by a commit index that may lag behind that of the last leader',
    after: 'etcd #7331; dissertation §6.4',
    seed: 16,
    seedsMax: 40,
    finds: /^stale/,
    member: ({ raft }) => {
      const core = raft.core as RaftCore;
      answerByCommitWhen(core, () => core.role === 'leader' && core.log.term(core.commit) !== core.term);
    },
  },
  {
    name: 'late-reply-confirms-read',
    faults: ['fading-leader'],
    what: 'any answer to a heartbeat, however old, confirms the round of reads that is under way',
    after: 'etcd #20418',
    seed: 68,
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
];

/** A read is answered by the commit index that is known, whenever that is wrong. */
function answerByCommitWhen(core: RaftCore, isWrong: () => boolean): void {
  const original = core.readIndex.bind(core);
  core.readIndex = (context) => {
    if (isWrong()) core.answerRead({ context, index: core.commit });
    else original(context);
  };
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
