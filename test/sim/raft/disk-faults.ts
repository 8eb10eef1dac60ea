/** Faults of a member's disk. Those that pass: stalls, errors, no room. Those that stay: rot, misdirected writes, loss. */
import type { SimDisk, SimFileState } from 'raft-consensus';
import type { Random } from '../../../transport/index.js';
import type { Fault, Strike } from './nemesis.js';

type DiskKind =
  'slow-reads' | 'stall-disk' | 'fail-fsync' | 'fail-read' | 'full-disk' | 'rot' | 'misdirect' | 'lose-disk';

const sectorBytes = 512;

export const diskFaults: Readonly<Record<DiskKind, Fault>> = {
  'stall-disk': ({ group, favourite, lengthMs, note }) => {
    note({ member: favourite.name, lengthMs });
    favourite.disk.stalledUntilMs = group.nowMs + lengthMs;
  },
  'fail-fsync': ({ victim, note }) => {
    note({ member: victim.name });
    victim.disk.failsNextSync = true;
  },
  'fail-read': ({ group, victim, lengthMs, random, after, note }) => {
    note({ member: victim.name, lengthMs });
    victim.disk.failsReadsUntilMs = group.nowMs + lengthMs;
    // Most is read when a member starts.
    if (random.next() < 0.7) group.kill(victim);
    after(random.next() * lengthMs, () => group.start(victim));
  },
  'slow-reads': ({ group, favourite, lengthMs, random, after, note }) => {
    const meanMs = 2 * 50 ** random.next();
    note({ member: favourite.name, meanMs, lengthMs });
    favourite.disk.slowReads = { untilMs: group.nowMs + lengthMs, meanMs };
    // Most is read when a member starts.
    if (random.next() < 0.5) return;
    group.kill(favourite);
    after(random.next() * 200, () => group.start(favourite));
  },
  'full-disk': ({ group, favourite, lengthMs, note }) => {
    note({ member: favourite.name, lengthMs });
    favourite.disk.fullUntilMs = group.nowMs + lengthMs;
  },
  rot: (strike) =>
    harm(strike, (disk) => {
      const file = someFile(disk, strike.random, ({ bytes }) => bytes > 0);
      if (!file) return false;
      const offset = strike.random.integer(file.bytes);
      strike.note({ member: strike.victim.name, file: file.name, offset });
      // Never a zero: a sector of zeros is what a write that a crash tore leaves.
      disk.overwrite(file.name, offset, Uint8Array.of(1 + strike.random.integer(255)));
      return true;
    }),
  misdirect: (strike) =>
    harm(strike, (disk) => {
      const { random } = strike;
      // Not the last write: that it never came is what a crash before it leaves, too.
      const file = someFile(disk, random, ({ writes }) => writes.length > 1);
      const target = someFile(disk, random, ({ bytes }) => bytes > sectorBytes);
      if (!file || !target) return false;
      const lost = file.writes[random.integer(file.writes.length - 1)]!;
      const lastOffset = target.writes.at(-1)?.offset ?? target.bytes;
      const offset = sectorBytes * random.integer(Math.ceil(lastOffset / sectorBytes));
      const bytes = lost.bytes.subarray(0, Math.max(0, lastOffset - offset));
      if (bytes.length === 0) return false;
      strike.note({
        member: strike.victim.name,
        file: file.name,
        from: lost.offset,
        to: target.name,
        offset,
      });
      disk.overwrite(file.name, lost.offset, new Uint8Array(lost.bytes.length));
      disk.overwrite(target.name, offset, bytes);
      return true;
    }),
  // The machine comes back with an empty one in its place.
  'lose-disk': (strike) =>
    harm(strike, (disk) => {
      const { group, victim, lengthMs, random, after, note } = strike;
      note({ member: victim.name });
      group.kill(victim);
      disk.replace();
      after(random.next() * lengthMs, () => group.start(victim));
      return true;
    }),
};

/** Only where enough good copies are left. Damage shows when the member reads: often it is made to, at once. */
function harm(strike: Strike, how: (disk: SimDisk) => boolean): void {
  const { group, victim, random, lengthMs, after } = strike;
  const disk = group.diskOf(victim);
  if (!disk || !victim.hasRun || !group.atlas.mayDamage(victim)) return;
  if (!how(disk)) return;
  group.atlas.damage(victim);
  if (random.next() < 0.5) return;
  group.kill(victim);
  after(random.next() * lengthMs, () => group.start(victim));
}

function someFile(
  disk: SimDisk,
  random: Random,
  suits: (file: SimFileState) => boolean,
): SimFileState | undefined {
  const files = disk.files.filter(suits);
  return files[random.integer(files.length)];
}
