/** How a member stands, in figures (hashicorp/raft: Stats): for operators, and for those who decide by it. */
import type { RaftCore } from './core/core.js';
import type { Role } from './core/ready.js';
import type { Configuration, LogIndex, MemberId, Term } from './core/types.js';
import type { HeartbeatStats } from './heartbeat-watch.js';
import type { ReadStats } from './read-waiters.js';

export interface RaftStats {
  readonly id: MemberId;
  readonly role: Role;
  readonly leader: MemberId | null;
  readonly term: Term;
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  /** Durable on this member. */
  readonly stableIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly snapshotIndex: LogIndex;
  readonly pendingProposals: number;
  readonly uncommittedBytes: number;
  readonly heartbeats: HeartbeatStats;
  readonly reads: ReadStats;
  /** As of `appliedIndex`. */
  readonly configuration: Configuration;
  /** Of a leader; empty otherwise. */
  readonly peers: readonly PeerStats[];
}

export interface PeerStats {
  readonly id: MemberId;
  readonly state: 'probe' | 'replicate' | 'snapshot';
  readonly matchIndex: LogIndex;
  readonly inflight: number;
}

export function statsOf(
  core: RaftCore,
  { pendingProposals, heartbeats, reads }: Pick<RaftStats, 'pendingProposals' | 'heartbeats' | 'reads'>,
): RaftStats {
  const { id, log, role, term, commit, appliedIndex, leader, leaderId, configuration } = core;
  return {
    id,
    role,
    term,
    leader: leaderId,
    firstIndex: log.firstIndex,
    lastIndex: log.lastIndex,
    stableIndex: log.stableIndex,
    commitIndex: commit,
    appliedIndex,
    snapshotIndex: log.snapshot?.index ?? (0 as LogIndex),
    pendingProposals,
    uncommittedBytes: leader?.uncommittedBytes ?? 0,
    heartbeats,
    reads,
    configuration,
    peers: [...(leader?.peers ?? [])].map(([peerId, peer]) => ({
      id: peerId,
      state: peer.state,
      matchIndex: peer.match,
      inflight: peer.inflightMessages,
    })),
  };
}
