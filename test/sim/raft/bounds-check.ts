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
  if (takers === 0) {
    const held = core.appliedIndex - core.log.firstIndex + 1;
    // The next snapshot is also put off until the log has grown by as many bytes as the last one has.
    const asLongAsSnapshot = Math.max(0, ...snapshots.map(({ bytes }) => bytes)) / entryBytesMin;
    const usual = trailingEntriesMax + 4 * snapshotEveryEntries;
    atMost('applied entries in memory', held, Math.ceil(usual + asLongAsSnapshot + entriesSlack));
  }
  atMost('snapshot files', snapshots.length, snapshotFilesMax + Math.max(1, takers));
}

/** A snapshot takes its time, and what is applied meanwhile is kept. */
const entriesSlack = 150;
const entryBytesMin = 60;
