/** The bounds of a member, all in one place; `Raft` and the core take others through their options. */

export const tickMs = 100;
/** How long a follower is left without news of a commit that the next append may bring. */
export const commitNoticeDelayMs = 2;
/** A leader's heartbeat every 200 ms. */
export const heartbeatTicks = 2;
/**
 * A follower campaigns after 0.8 to 1.6 s without a word from a leader; a leader without a quorum for 0.8
 * s steps down.
 */
export const electionTicks = 8;
/** A member whose log ends before what so many heartbeats in a row say it has acknowledged has forgotten it. */
export const forgottenHeartbeatsMin = 5;
/** A snapshot to a peer that shows no effect for so long is sent again. */
export const snapshotRetryTicks = 50;

/** Entries' bytes in one append (a single larger entry still goes, alone). */
export const messageBytesMax = 1024 * 1024;
/** Appends to one peer that wait for an answer. */
export const inflightMessagesMax = 256;
export const inflightBytesMax = 64 * 1024 * 1024;
/** Proposals beyond this, not yet committed, are dropped. */
export const uncommittedBytesMax = 64 * 1024 * 1024;
/** Reads that wait for a leader's quorum round. */
export const pendingReadsMax = 65_536;
/** Committed entries in one batch for the state machine, so that a long log does not hold up heartbeats. */
export const applyEntriesMax = 1024;
export const applyBytesMax = 512 * 1024;

/**
 * A snapshot is taken after so many applied entries, or so many bytes of them, whichever comes first; but not before they are as
 * much as the last snapshot. What it does not cover is in memory: at `snapshotAtBytesMax` it is taken however large the last one was.
 */
export const snapshotEveryEntries = 10_000;
export const snapshotEveryBytes = 32 * 1024 * 1024;
export const snapshotAtBytesMax = 64 * 1024 * 1024;
/** Entries kept in the log behind a snapshot for peers that lag a little. */
export const trailingEntriesMax = 5_000;
export const trailingBytesMax = 16 * 1024 * 1024;
/** As `trailingBytesMax`, while a snapshot is on its way to a peer that will need what follows it. */
export const transferTrailingBytesMax = 128 * 1024 * 1024;
/** A snapshot travels in pieces, each a letter. */
export const snapshotPieceBytes = 256 * 1024;
export const snapshotPiecesInFlightMax = 8;
/** Pieces that nobody confirmed are sent again after this. */
export const snapshotPieceRetryTicks = 5;
/** A larger snapshot is neither sent nor received. */
export const snapshotBytesMax = 16 * 1024 * 1024 * 1024;
/** The state machine is given a snapshot in chunks of this, each in a turn of its own. */
export const snapshotReadBytes = 256 * 1024;

/** Calls (apply, barrier) of one member that wait for their result. */
export const pendingProposalsMax = 65_536;
export const proposalBytesMax = 8 * 1024 * 1024;

/** Voters and learners of a group. */
export const membersMax = 64;
/** Learners at a time (etcd has one): each costs the leader as much as a voter. */
export const learnersMax = 8;
/** A learner has to have so much of the leader's log before it may vote, in hundredths (etcd: 90). */
export const promotionReadyPercent = 90;
/** A leader whose disk holds one batch for so many election timeouts, and cannot hand over, steps down. */
export const diskStallElectionTimeouts = 2;

/** No term, index or byte of a log comes this far: a letter with a larger number is not believed. */
export const numberMax = 2 ** 48;
/** A member that was away has missed so many elections at most: a century of nothing else. */
export const termsAheadMax = 2 ** 32;
