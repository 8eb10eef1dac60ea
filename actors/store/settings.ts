/**
 * What an operator may set for a member, at its start and while it runs: etcd's flags of the same names, in units of their own.
 * What is set while it runs lasts until it ends; members are told one by one, and should be told the same.
 */
import { defaultRaftLimits, type RaftLimits, RaftError, type ReloadableLimits } from 'raft-consensus';
import type { StoreLimits } from './limits.js';

export interface StoreSettings {
  /** Multiples of a tick (100 ms), the election timeout longer than the other. */
  readonly heartbeatIntervalMs?: number;
  readonly electionTimeoutMs?: number;
  /** Entries from one snapshot to the next. */
  readonly snapshotCount?: number;
  /** Beyond it the alarm NoSpace is raised. */
  readonly quotaBytes?: number;
  /** How much history is kept: so long, or so many revisions when that is not 0. Both 0: all of it, until somebody compacts. */
  readonly retentionMs?: number;
  readonly retentionRevisions?: number;
}

/** No member runs with another: it is not set anywhere. */
const { tickMs } = defaultRaftLimits;

interface Limits {
  readonly raft: Partial<ReloadableLimits>;
  readonly store: Partial<StoreLimits>;
}

const compactionHistoryBytesMax = Number.MAX_SAFE_INTEGER;

const limitsOfOne: { readonly [Name in keyof Required<StoreSettings>]: (value: number) => Partial<Limits> } =
  {
    heartbeatIntervalMs: (ms) => ({ raft: { heartbeatTicks: ticks('heartbeatIntervalMs', ms) } }),
    electionTimeoutMs: (ms) => ({ raft: { electionTicks: ticks('electionTimeoutMs', ms) } }),
    snapshotCount: (entries) => ({ raft: { snapshotEveryEntries: atLeast(1, 'snapshotCount', entries) } }),
    quotaBytes: (bytes) => ({ store: { quotaBytes: atLeast(1, 'quotaBytes', bytes) } }),
    // Whoever says how much is kept wants no less when it is large.
    retentionMs: (ms) => ({
      store: { compactionRetentionMs: atLeast(0, 'retentionMs', ms), compactionHistoryBytesMax },
    }),
    retentionRevisions: (count) => ({
      store: {
        compactionRetentionRevisions: atLeast(0, 'retentionRevisions', count),
        compactionHistoryBytesMax,
      },
    }),
  };

/** Throws `InvalidArgument` for what cannot be set, or not so. */
export function limitsOf(settings: StoreSettings): Limits {
  const all = { raft: {}, store: {} };
  for (const [name, value] of Object.entries(settings)) {
    if (!Object.hasOwn(limitsOfOne, name)) throw invalid(`there is no setting ${name}`);
    const { raft, store } = limitsOfOne[name as keyof StoreSettings](value as number);
    Object.assign(all.raft, raft);
    Object.assign(all.store, store);
  }
  return all;
}

/** What is in force after all of them were changed; none is when it throws. */
export function tune(
  raft: { limits(): RaftLimits; reload(changes: Partial<ReloadableLimits>): void },
  limits: StoreLimits,
  settings: StoreSettings,
): Required<StoreSettings> {
  const changed = limitsOf(settings);
  const { heartbeatTicks, electionTicks } = { ...raft.limits(), ...changed.raft };
  if (heartbeatTicks >= electionTicks) {
    const [heartbeatMs, electionMs] = [heartbeatTicks * tickMs, electionTicks * tickMs];
    throw invalid(
      `the heartbeat interval (${heartbeatMs} ms) must be below the election timeout (${electionMs} ms)`,
    );
  }
  raft.reload(changed.raft);
  // In place: whoever was made with them looks at them each time.
  Object.assign(limits, changed.store);
  const now = raft.limits();
  return {
    heartbeatIntervalMs: now.heartbeatTicks * now.tickMs,
    electionTimeoutMs: now.electionTicks * now.tickMs,
    snapshotCount: now.snapshotEveryEntries,
    quotaBytes: limits.quotaBytes,
    retentionMs: limits.compactionRetentionMs,
    retentionRevisions: limits.compactionRetentionRevisions,
  };
}

function ticks(name: string, ms: number): number {
  if (ms % tickMs === 0) return atLeast(tickMs, name, ms) / tickMs;
  throw invalid(`${name} must be a multiple of ${tickMs}, not ${ms}`);
}

function atLeast(least: number, name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw invalid(`${name} must be a whole number, ${least} or more, not ${String(value)}`);
}

const invalid = (message: string): RaftError => new RaftError('InvalidArgument', message, { definite: true });
