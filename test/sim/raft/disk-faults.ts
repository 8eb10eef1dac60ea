/** Faults of a member's disk. Those that pass: stalls, errors, no room. Those that stay: rot, misdirected writes, loss. */
import type { SimDisk, SimFileState } from 'raft-consensus';
import type { Random } from '../../../transport/index.js';
import type { Fault, Strike } from './nemesis.js';

type DiskKind =
  | 'slow-reads'
  | 'slow-follower'
  | 'stall-disk'
  | 'fail-fsync'
  | 'fail-read'
  | 'full-disk'
  | 'rot'
  | 'misdirect'
  | 'lose-write'
  | 'cut-file'
  | 'garble'
  | 'lose-disk'
  | 'reformat';

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
  // Up to a second for each fsync (VOPR), for long; often the way to it is slow as well.
  'slow-follower': ({ group, network, victim, random, after, note }) => {
    const { tickMs } = group.swarm.raft;
    const meanMs = 20 * 50 ** random.next();
    const lengthMs = (50 + 150 * random.next()) * tickMs!;
    const isFar = random.next() < 0.5;
    const followers = group.living.filter((member) => member !== group.leader());
    const slow = followers[random.integer(followers.length)] ?? victim;
    note({ member: slow.name, meanMs, isFar, lengthMs });
    slow.disk.slowSyncs = { untilMs: group.nowMs + lengthMs, meanMs };
    if (!isFar) return;
    for (const from of network.but([slow.name]))
      after(lengthMs, network.clog(from, slow.name, 0, 3 * tickMs!));
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
  // It never came, though the fsync behind it was confirmed, as was all that came after.
  'lose-write': (strike) =>
    harm(strike, (disk) => {
      const { random, victim, note } = strike;
      const file = someFile(disk, random, ({ writes }) => writes.length > 1);
      if (!file) return false;
      const lost = file.writes[random.integer(file.writes.length - 1)]!;
      note({ member: victim.name, file: file.name, offset: lost.offset, bytes: lost.bytes.length });
      disk.overwrite(file.name, lost.offset, new Uint8Array(lost.bytes.length));
      return true;
    }),
  // Not of the newest part of the log: that it ends there is what a crash leaves, too.
  'cut-file': (strike) =>
    harm(strike, (disk) => {
      const { random, victim, note } = strike;
      const newest = disk.files.findLast(({ name }) => /^wal-.*log$/.test(name));
      const file = someFile(disk, random, ({ name, bytes }) => {
        return bytes > 0 && name !== newest?.name && !name.endsWith('.tmp');
      });
      if (!file) return false;
      const length = random.integer(file.bytes);
      note({ member: victim.name, file: file.name, bytes: file.bytes, length });
      disk.shorten(file.name, length);
      return true;
    }),
  // What is being written when it falls, and what shares a sector with that, is neither old nor new (VOPR: 80 to 100%).
  garble: ({ group, favourite, random, note, after }) => {
    const disk = group.diskOf(favourite);
    if (!disk || !favourite.hasRun || !group.atlas.mayDamage(favourite)) return;
    group.atlas.damage(favourite);
    disk.garbledShare = 0.8 + 0.2 * random.next();
    const point = ['after write log', 'before sync log', 'after write new snapshot'][random.integer(3)]!;
    const times = 1 + random.integer(5);
    note({ member: favourite.name, share: disk.garbledShare, point });
    favourite.crashAt = { point, times };
    // Wherever it is by then.
    after(random.next() * 4_000, () => {
      if (favourite.crashAt?.point !== point) return;
      group.kill(favourite);
      after(random.next() * 500, () => group.start(favourite));
    });
  },
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
  // Of those that fall three in ten start with an empty disk, as long as good copies are left (VOPR).
  reformat: ({ group, random, lengthMs, after, note }) => {
    const falling = group.living.filter(() => random.next() < 0.5);
    note({ members: falling.map(({ name }) => name).join() });
    for (const member of falling) {
      const isEmptied = random.next() < 0.3 && member.hasRun && group.atlas.mayDamage(member);
      group.kill(member);
      if (isEmptied) {
        group.note('reformatted', { member: member.name });
        group.atlas.damage(member);
        group.diskOf(member)?.replace();
      }
      after(random.next() * lengthMs, () => group.start(member));
    }
  },
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
