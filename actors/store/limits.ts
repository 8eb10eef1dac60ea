/** Bounds of the store's actors. */
import { KV_LIMITS } from 'raft-consensus';

export const storeLimits = {
  requestTimeoutMs: 5_000,
  /** How long one member is waited for with a request that may be made again. */
  repeatAfterMs: 1_000,
  /** Between two tries of a request that certainly did nothing. */
  retryDelayMs: 50,
  /** Batches a member may send a watcher before it is credited again. */
  watchCreditBatches: 64,
  /** Bytes of events on their way to one watcher; a batch more may be. Acknowledged by a quarter of them. */
  watchBytesInFlightMax: 4 * 1024 * 1024,
  /** To all watchers together; beyond it each has a small batch on its way at most. */
  watchBytesInFlightTotalMax: 128 * 1024 * 1024,
  watchSmallBatchBytes: 64 * 1024,
  /** Batches for one watcher before it is the others' turn. */
  watchBatchesPerTurn: 4,
  /** Watches served in one turn, fewer when it takes so many bytes: a few milliseconds. */
  watchesPerTurn: 256,
  watchTurnBytes: 1024 * 1024,
  watchResumeDelayMs: 100,
  /** A member says at least this often how far it is; a client that hears nothing for `watchSilenceMs` goes elsewhere. */
  watchProgressIntervalMs: 1_000,
  watchSilenceMs: 3_500,
  watchOpenTimeoutMs: 1_000,
  /** Events gathered for one watch batch. */
  watchBatchEvents: 512,
  leaseCheckIntervalMs: 500,
  /** Ends of leases proposed at once. */
  leaseRevokesMax: 256,
  /** After an election or a stall, what clients could not renew in time gets this long before it ends. */
  leaseGraceMs: 1_000,
  /** The replicated clock lags behind the leader's by no more while there are leases. */
  clockRecordIntervalMs: 10_000,
  /** How often the leader compares the state of the members with its own. */
  hashCheckIntervalMs: 30_000,
  /** Of `dbSizeBytes`: beyond it the alarm NoSpace is raised (etcd --quota-backend-bytes). */
  quotaBytes: 8 * 1024 * 1024 * 1024,
  /** And of what a member has in memory of it: keys, versions, leases, the newest values. */
  memoryQuotaBytes: 2 * 1024 * 1024 * 1024,
  /** History kept for watches and reads of old revisions; 0: all of it. */
  compactionRetentionMs: 300_000,
  /** Or so many revisions, looked at now and then; 0: time decides (etcd --auto-compaction-mode). */
  compactionRetentionRevisions: 0,
  compactionCountIntervalMs: 300_000,
  /** More than this and history is cut to the last `compactionRetentionMinMs`: it is in memory and in every snapshot. */
  compactionHistoryBytesMax: 64 * 1024 * 1024,
  compactionRetentionMinMs: 5_000,
  /** Records that one step of compaction looks at (1-2 ms), and the rest for others between two steps. */
  compactStepRecords: 1_000,
  compactPauseMs: 10,
  /** Of the key-value state; to be set for one member, as all else here. */
  snapshotChunkBytes: KV_LIMITS.snapshotChunkBytes,
  valuesUnfiledBytesMax: KV_LIMITS.valuesUnfiledBytesMax,
  valuesResidentBytesMax: KV_LIMITS.valuesResidentBytesMax,
  valueCacheBytesMax: KV_LIMITS.valueCacheBytesMax,
  valueSlabBytesMin: KV_LIMITS.slabBytesMin,
  watchesMax: 10_000,
  /** Long ranges that are being read in pieces; one that nobody asks of is given up. */
  rangesOpenMax: 256,
  rangeIdleMs: 5_000,
  /** Pieces asked for at a time. */
  rangePiecesAhead: 2,
  requestsInFlightMax: 4_096,
  /** Requests that leave a client in one turn for the same member share a letter; their keys and values, about. */
  sharedLetterRequestsMax: 128,
  sharedLetterBytesMax: 256 * 1024,
  /** Larger ones have a letter of their own. */
  sharedRequestBytesMax: 16 * 1024,
  /** Of the answers in one letter; what reads find beyond it is asked for once more, alone. */
  sharedReplyBytesMax: 1024 * 1024,
  /** Transactions that come in one turn share an entry of the log, but for larger ones. */
  sharedCommandBytesMax: 16 * 1024,
  sharedEntryBytesMax: 256 * 1024,
  /** Requests whose second arrival is noticed. */
  requestsRememberedMax: 16_384,
  /** Members that a client, or another member, remembers. */
  membersKnownMax: 64,
  mailboxDepthMax: 16_384,
} as const;

/** Each may be set for one member, through its options. */
export type StoreLimits = { readonly [Name in keyof typeof storeLimits]: number };
