/** Loads that are no fault of any part: everybody takes snapshots again and again, values are long and lists of them longer. */
import type { Fault } from './nemesis.js';

type LoadKind = 'snapshot-storm' | 'large-values';

export const loadFaults: Readonly<Record<LoadKind, Fault>> = {
  'snapshot-storm': ({ group, random, lengthMs, after, note, exponential }) => {
    const everyMs = 5 * 40 ** random.next();
    const endMs = group.nowMs + lengthMs;
    note({ everyMs, lengthMs });
    const take = () => {
      for (const { parts } of group.living) {
        // Refused where there is nothing new: that is an answer, too.
        if (random.next() < 0.7) parts?.raft.snapshot().catch(() => undefined);
      }
      if (group.nowMs < endMs) after(exponential(everyMs), take);
    };
    take();
  },
  'large-values': ({ group, random, note }) => {
    const { snapshotPieceBytes = 0, snapshotEveryEntries = 0 } = group.swarm.raft;
    // What a snapshot of it takes must stay possible where pieces are a hundred bytes and come one at a time.
    const bytesMax = Math.min(snapshotPieceBytes * 400, snapshotEveryEntries < 200 ? 30_000 : 200_000);
    const count = 1 + random.integer(3);
    const bytes = Math.ceil((bytesMax / count) * (0.2 + 0.8 * random.next()));
    note({ count, bytes });
    group.writeLarge?.(count, bytes);
  },
};
