/** What a member of a group is made with, and its limits. */
import * as limits from './limits.js';
import { defaultCoreLimits, type CoreLimits } from './core/options.js';
import type { Configuration, MemberId } from './core/types.js';
import type { Fsm } from './fsm.js';
import type { LogStorage, SnapshotStore } from './storage.js';
import type { Clock, Transport } from './transport.js';

export interface RaftLimits extends CoreLimits {
  readonly tickMs: number;
  readonly commitNoticeDelayMs: number;
  readonly snapshotEveryEntries: number;
  readonly snapshotEveryBytes: number;
  readonly snapshotAtBytesMax: number;
  readonly trailingEntriesMax: number;
  readonly trailingBytesMax: number;
  readonly transferTrailingBytesMax: number;
  readonly snapshotBytesMax: number;
  readonly snapshotReadBytes: number;
  readonly snapshotPieceBytes: number;
  readonly snapshotPiecesInFlightMax: number;
  readonly snapshotPieceRetryTicks: number;
  readonly pendingProposalsMax: number;
  readonly proposalBytesMax: number;
}

export interface RaftOptions<Result> {
  readonly id: MemberId;
  /**
   * That the group is made with, the same on all its first members. The first leader writes it into the log,
   * and from then on only the log counts. A member that joins later starts with nobody: `noMembers`.
   */
  readonly configuration: Configuration;
  readonly fsm: Fsm<Result>;
  readonly storage: LogStorage;
  readonly snapshots: SnapshotStore;
  readonly transport: Transport;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** The disk or the state machine failed: the member has ended and its process should too. */
  readonly onFatal: (error: unknown) => void;
  readonly limits?: Partial<RaftLimits>;
}

/** For a member that shall be added to a group: it waits until the group's leader writes to it. */
export const noMembers: Configuration = { voters: [], learners: [] };

export const defaultRaftLimits: RaftLimits = {
  ...defaultCoreLimits,
  tickMs: limits.tickMs,
  commitNoticeDelayMs: limits.commitNoticeDelayMs,
  snapshotEveryEntries: limits.snapshotEveryEntries,
  snapshotEveryBytes: limits.snapshotEveryBytes,
  snapshotAtBytesMax: limits.snapshotAtBytesMax,
  trailingEntriesMax: limits.trailingEntriesMax,
  trailingBytesMax: limits.trailingBytesMax,
  transferTrailingBytesMax: limits.transferTrailingBytesMax,
  snapshotBytesMax: limits.snapshotBytesMax,
  snapshotReadBytes: limits.snapshotReadBytes,
  snapshotPieceBytes: limits.snapshotPieceBytes,
  snapshotPiecesInFlightMax: limits.snapshotPiecesInFlightMax,
  snapshotPieceRetryTicks: limits.snapshotPieceRetryTicks,
  pendingProposalsMax: limits.pendingProposalsMax,
  proposalBytesMax: limits.proposalBytesMax,
};
