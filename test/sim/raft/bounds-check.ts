/**
 * Nothing that a member holds grows beyond its limits, however long it is cut off, stalled or asked: calls that wait, entries
 * that are not committed, letters under way, the log in memory, files. The swarm sets some of these limits very low.
 */
import { DISK_LIMITS, type RaftLimits, type SimDisk } from 'raft-consensus';
import type { MemberParts } from '../../../actors/store/index.js';

export interface Bounded {
  readonly name: string;
  readonly parts: MemberParts;
  readonly disk: SimDisk;
  readonly limits: RaftLimits;
}

/**
 * With the snapshots that are kept: one being written, one being received, damaged ones that wait for the next to be whole. Where
 * values are in files, each peer that is sent one has a form of it that it can restore, too.
 */
const snapshotFilesMax = DISK_LIMITS.snapshotsKept + 3;

export function checkBounds({ name, parts, disk, limits }: Bounded, fail: (message: string) => never): void {
  const { core } = parts.raft;
  const stats = parts.raft.stats();
  const atMost = (what: string, found: number, max: number): void => {
    if (found > max) fail(`bounds: ${name} has ${found} ${what}, of which it may have ${max}`);
  };
  // A change of the members is let in beside them: there is one at a time, and that of an earlier leadership.
  atMost('calls that wait', stats.pendingProposals, limits.pendingProposalsMax + 2);
  // One call may go beyond it, however large.
  atMost('uncommitted bytes', stats.uncommittedBytes, limits.uncommittedBytesMax + limits.proposalBytesMax);
  for (const { id, inflight } of stats.peers) {
    atMost(`appends under way to ${id}`, inflight, limits.inflightMessagesMax);
  }
  const { trailingEntriesMax, snapshotEveryEntries } = limits;
  const snapshots = disk.files.filter((file) => file.name.startsWith('snapshot-'));
  const takers = stats.peers.filter(({ state }) => state === 'snapshot').length;
  const sent = transferOf(disk, stats.snapshotIndex, takers);
  if (takers === 0 && sent.snapshotsSince >= 2) {
    const held = core.appliedIndex - core.log.firstIndex + 1;
    // The next snapshot is also put off until the log has grown by as many bytes as the last one has.
    const asLongAsSnapshot = Math.max(0, ...snapshots.map(({ bytes }) => bytes)) / entryBytesMin;
    const usual = trailingEntriesMax + 4 * snapshotEveryEntries;
    atMost('applied entries in memory', held, Math.ceil(usual + asLongAsSnapshot + entriesSlack));
  }
  atMost('snapshot files', snapshots.length, snapshotFilesMax + Math.max(1, takers, sent.takers));
}

interface Transfer {
  /** That were sent a snapshot, at most, before it was over; their files and log go with the snapshots after that. */
  readonly takers: number;
  readonly snapshotIndex: number;
  readonly snapshotsSince: number;
}

/** By disk: a member that starts again finds the log that it held for others. */
const transfers = new WeakMap<SimDisk, Transfer>();

/** The last one that a member has been seen with. */
function transferOf(disk: SimDisk, snapshotIndex: number, takers: number): Transfer {
  const last = transfers.get(disk) ?? { takers: 0, snapshotIndex, snapshotsSince: 2 };
  const isOver = last.snapshotsSince >= 2;
  const isNext = snapshotIndex !== last.snapshotIndex;
  const now =
    takers > 0
      ? { takers: Math.max(takers, isOver ? 0 : last.takers), snapshotIndex, snapshotsSince: 0 }
      : { takers: last.takers, snapshotIndex, snapshotsSince: last.snapshotsSince + (isNext ? 1 : 0) };
  transfers.set(disk, now);
  return now.snapshotsSince >= 2 ? { ...now, takers: 0 } : now;
}

/** A snapshot takes its time, and what is applied meanwhile is kept. */
const entriesSlack = 150;
const entryBytesMin = 60;
