/**
 * The way out when a majority of a group is lost for good: the one survivor is made a group of its own, from which a new one
 * grows (hashicorp/raft: RecoverCluster; etcd: force-new-cluster). Offline only, by an operator who has read the warning: the
 * rules that keep two leaders apart are broken on purpose.
 */
import { decodeConfiguration, encodeConfiguration, membersOf } from './core/configuration.js';
import { logIndex, term as asTerm } from './core/types.js';
import type { Configuration, Entry, HardState, LogIndex, MemberId, Term } from './core/types.js';
import { RaftError } from './errors.js';
import type { LogStorage, SnapshotStore } from './storage.js';

export interface RecoveryOptions {
  readonly id: MemberId;
  readonly address?: string;
  /** Of a member that is stopped. Opened by this call; the caller closes them. */
  readonly storage: LogStorage;
  readonly snapshots: SnapshotStore;
}

export interface Recovery {
  /** Of the entry that makes the survivor the only member. */
  readonly index: LogIndex;
  readonly term: Term;
  /** Who is cast out. */
  readonly lost: readonly MemberId[];
  /** Entries that count as committed from now on, though nobody knows whether they were. */
  readonly promotedEntries: number;
  /** To be shown to whoever gave the command. */
  readonly warning: string;
}

/**
 * Rewrites the configuration of a stopped member to itself alone. All entries of its log are kept and count as committed,
 * so nothing that this member ever acknowledged is lost; what only the others had is. Rejects with `Corrupt` when the log
 * misses its snapshot, with `InvalidArgument` when there is nothing to recover.
 */
export async function recoverLostQuorum(options: RecoveryOptions): Promise<Recovery> {
  const { id, address, storage, snapshots } = options;
  const source = await snapshots.open();
  const snapshot = source?.meta ?? null;
  await source?.close();
  const saved = await storage.load();
  const { hardState, entries } = saved;
  const from = snapshot?.index ?? 0;
  if ((saved.snapshotMeta?.index ?? 0) > from) {
    const why = `the log begins behind a snapshot at ${saved.snapshotMeta!.index}, which is missing`;
    throw new RaftError('Corrupt', why, { definite: true });
  }
  if (hardState === null && snapshot === null && entries.length === 0) {
    throw new RaftError('InvalidArgument', `${id} holds nothing to recover`, { definite: true });
  }
  // A snapshot that the log does not reach was installed, and the log not cut before the crash.
  const endOfLog = entries.at(-1)?.index ?? saved.snapshotMeta?.index ?? 0;
  const isBehind = endOfLog < from;
  const lastTerm = isBehind ? (snapshot?.term ?? 0) : (entries.at(-1)?.term ?? snapshot?.term ?? 0);
  const index = logIndex(Math.max(endOfLog, from) + 1);
  const term = asTerm(Math.max(hardState?.term ?? 0, lastTerm) + 1);
  const configuration = newestConfiguration(snapshot?.configuration, isBehind ? [] : entries);
  const alone: Configuration = {
    voters: [id],
    learners: [],
    ...(address !== undefined && { addresses: { [id]: address } }),
  };
  const entry: Entry = { term, index, type: 'config', data: encodeConfiguration(alone) };
  const state: HardState = { term, votedFor: id, commit: index };
  await storage.save({
    entries: [entry],
    hardState: state,
    mustSync: true,
    ...(isBehind && snapshot !== null && { snapshot }),
  });
  const lost = membersOf(configuration).filter((member) => member !== id);
  const promotedEntries = Math.max(0, index - 1 - Math.max(hardState?.commit ?? 0, from));
  return { index, term, lost, promotedEntries, warning: warningOf(id, lost, promotedEntries) };
}

/** What the log says last, be it committed or not. */
function newestConfiguration(
  ofSnapshot: Configuration | undefined,
  entries: readonly Entry[],
): Configuration {
  const last = entries.findLast(({ type }) => type === 'config');
  const decoded = last === undefined ? null : decodeConfiguration(last.data);
  return decoded ?? ofSnapshot ?? { voters: [], learners: [] };
}

function warningOf(id: MemberId, lost: readonly MemberId[], promotedEntries: number): string {
  return [
    `${id} is now a group of one.`,
    lost.length > 0
      ? `${lost.join(', ')} must never be started with their old data again: two groups would answer. Wipe them, then add them anew.`
      : 'No other member was known to it.',
    'Writes that were acknowledged and never reached this member are lost.',
    `${promotedEntries} of its entries were not known to be committed and now are.`,
  ].join(' ');
}
