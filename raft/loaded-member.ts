/** What a member had when it ended: its snapshot goes into the state machine, its log and votes into a core. */
import { RaftCore } from './core/core.js';
import { MemoryLog } from './core/log.js';
import type { LogIndex } from './core/types.js';
import { RaftError } from './errors.js';
import type { RaftLimits, RaftOptions } from './options.js';
import { chunksOf } from './snapshot-travel.js';

export interface LoadedMember {
  readonly core: RaftCore;
  readonly snapshotBytes: number;
}

/** Rejects with `Corrupt` when the log and the snapshot leave a gap. */
export async function loadMember<Result>(
  options: RaftOptions<Result>,
  limits: RaftLimits,
): Promise<LoadedMember> {
  const { storage, snapshots, fsm, configuration, clock } = options;
  const snapshot = await snapshots.open();
  const saved = await storage.load();
  const from = snapshot?.meta.index ?? 0;
  // An older snapshot than the log was told of will do, as long as the log reaches back to it.
  const reaches = saved.entries.length > 0 && saved.entries[0]!.index <= from + 1;
  if ((saved.snapshotMeta?.index ?? 0) > from && !reaches) {
    throw corrupt(`the log begins behind a snapshot at ${saved.snapshotMeta!.index}, which is missing`);
  }
  const log = MemoryLog.load(snapshot?.meta ?? null, saved.entries);
  if (snapshot !== null) {
    await fsm.restore(chunksOf(snapshot, limits.snapshotReadBytes, clock));
    const savedEnd = saved.entries.at(-1)?.index ?? saved.snapshotMeta?.index ?? 0;
    // A crash between the snapshot's save and the log's left a log that does not reach it, or
    // contradicts it.
    if (savedEnd < from || log.lastIndex !== savedEnd) {
      await storage.save({ snapshot: snapshot.meta, entries: [], mustSync: true });
    }
  }
  const core = new RaftCore(
    { ...limits, id: options.id, configuration, random: options.random },
    { hardState: saved.hardState, log, applied: from as LogIndex },
  );
  return { core, snapshotBytes: snapshot?.bytes ?? 0 };
}

const corrupt = (message: string): RaftError => new RaftError('Corrupt', message, { definite: true });
