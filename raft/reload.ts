/**
 * Which limits of a member may change while it runs (hashicorp/raft: ReloadConfig): those that are looked at anew each time.
 * The others are what buffers, timers and transfers under way were made with. What is reloaded lasts until the member ends.
 */
import type { RaftLimits } from './options.js';
import { invalid } from './refusals.js';

const leastOf = {
  electionTicks: 2,
  heartbeatTicks: 1,
  snapshotRetryTicks: 1,
  messageBytesMax: 1,
  inflightMessagesMax: 1,
  inflightBytesMax: 1,
  uncommittedBytesMax: 1,
  applyEntriesMax: 1,
  applyBytesMax: 1,
  snapshotEveryEntries: 1,
  snapshotEveryBytes: 1,
  snapshotAtBytesMax: 1,
  trailingEntriesMax: 0,
  trailingBytesMax: 0,
  transferTrailingBytesMax: 0,
  snapshotBytesMax: 1,
  pendingProposalsMax: 1,
  proposalBytesMax: 1,
} as const satisfies Partial<Record<keyof RaftLimits, number>>;

export type ReloadableLimits = Pick<RaftLimits, keyof typeof leastOf>;

export const reloadableLimits = Object.keys(leastOf) as readonly (keyof ReloadableLimits)[];

/** Throws `InvalidArgument` when one of them cannot be, or not together with the others. */
export function checkReload(now: RaftLimits, changes: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(changes)) {
    if (!Object.hasOwn(leastOf, name))
      throw invalid(`${name} is no limit that can be changed while a member runs`);
    const least = leastOf[name as keyof ReloadableLimits];
    if (!Number.isSafeInteger(value) || (value as number) < least) {
      throw invalid(`${name} must be a whole number, ${least} or more, not ${String(value)}`);
    }
  }
  const { heartbeatTicks, electionTicks, snapshotEveryBytes, snapshotAtBytesMax } = { ...now, ...changes };
  if (heartbeatTicks >= electionTicks) {
    throw invalid(`heartbeatTicks (${heartbeatTicks}) must be less than electionTicks (${electionTicks})`);
  }
  if (snapshotEveryBytes > snapshotAtBytesMax) {
    const most = `snapshotAtBytesMax (${snapshotAtBytesMax})`;
    throw invalid(`snapshotEveryBytes (${snapshotEveryBytes}) must not be more than ${most}`);
  }
}
