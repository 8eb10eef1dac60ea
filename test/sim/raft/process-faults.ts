/** Faults of a member's process and machine: power off, SIGTERM, SIGSTOP, clocks that jump, and too many requests. */
import { crashPoints } from './crash-points.js';
import type { Fault, Strike } from './nemesis.js';
import type { Member } from './store-group.js';

type ProcessKind =
  'crash' | 'crash-leader' | 'crash-all' | 'crash-at' | 'stop' | 'pause' | 'clock-jump' | 'burst';

export const processFaults: Readonly<Record<ProcessKind, Fault>> = {
  crash: (strike) => crash(strike, [strike.victim]),
  'crash-leader': (strike) => crash(strike, [strike.leader ?? strike.victim]),
  'crash-all': (strike) => crash(strike, strike.group.living),
  'crash-at': ({ favourite, random, note }) => {
    const areas = Object.values(crashPoints);
    const points = areas[random.integer(areas.length)]!;
    const point = points[random.integer(points.length)]!;
    favourite.crashAt = { point, times: 1 + random.integer(3) };
    note({ member: favourite.name, point });
  },
  // It may hand over and write what it holds before it goes.
  stop: ({ group, favourite, lengthMs, note }) => {
    const { starts } = favourite;
    note({ member: favourite.name });
    group.world.stop(favourite.node).then(
      () => {
        if (favourite.starts !== starts) return;
        group.kill(favourite);
        group.world.simulation.clock.setTimer(lengthMs, () => group.start(favourite));
      },
      () => undefined,
    );
  },
  pause: ({ group, favourite, lengthMs, note }) => {
    note({ member: favourite.name, lengthMs });
    group.pause(favourite, lengthMs);
  },
  'clock-jump': ({ group, victim, random, note }) => {
    const offsetMs = Math.round((random.next() * 2 - 1) * group.swarm.clockOffsetMs);
    note({ member: victim.name, offsetMs });
    group.world.simulation.setWallOffset(victim.node, offsetMs);
  },
  burst: ({ group, lengthMs, note }) => {
    note({ lengthMs });
    group.burstUntilMs = group.nowMs + Math.min(lengthMs, 1_000);
  },
};

export function crash(strike: Strike, members: readonly Member[]): void {
  const { group, random, lengthMs, after, note } = strike;
  const { tickMs } = group.swarm.raft;
  note({ members: members.map(({ name }) => name).join() });
  for (const member of members) {
    group.kill(member);
    // Often so soon that the others have hardly noticed.
    const downMs = random.next() < 0.5 ? random.next() * tickMs! : random.next() * lengthMs;
    after(downMs, () => group.start(member));
  }
}
