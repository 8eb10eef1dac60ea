/** What a core is made with. Every number has its default in `limits.ts`. */
import * as limits from '../limits.js';
import type { MemoryLog } from './log.js';
import type { Configuration, HardState, LogIndex, MemberId } from './types.js';

export interface CoreLimits {
  /**
   * Ticks without a leader's word before a campaign; drawn anew each time from [electionTicks, 2 *
   * electionTicks).
   */
  readonly electionTicks: number;
  /** Must be well below `electionTicks`. */
  readonly heartbeatTicks: number;
  readonly snapshotRetryTicks: number;
  readonly messageBytesMax: number;
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  readonly uncommittedBytesMax: number;
  readonly pendingReadsMax: number;
  readonly applyEntriesMax: number;
  readonly applyBytesMax: number;
}

export interface CoreOptions extends CoreLimits {
  readonly id: MemberId;
  /** That the group was made with; a snapshot and the log know better. */
  readonly configuration: Configuration;
  /** Uniform in [0, 1): the core's only chance, for election timeouts and the start of read contexts. */
  readonly random: () => number;
}

/** What storage held. */
export interface CoreState {
  readonly hardState: HardState | null;
  readonly log: MemoryLog;
  /** The state machine already contains everything up to here: the restored snapshot's index, or 0. */
  readonly applied: LogIndex;
}

export const defaultCoreLimits: CoreLimits = {
  electionTicks: limits.electionTicks,
  heartbeatTicks: limits.heartbeatTicks,
  snapshotRetryTicks: limits.snapshotRetryTicks,
  messageBytesMax: limits.messageBytesMax,
  inflightMessagesMax: limits.inflightMessagesMax,
  inflightBytesMax: limits.inflightBytesMax,
  uncommittedBytesMax: limits.uncommittedBytesMax,
  pendingReadsMax: limits.pendingReadsMax,
  applyEntriesMax: limits.applyEntriesMax,
  applyBytesMax: limits.applyBytesMax,
};
