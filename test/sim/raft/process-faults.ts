/** Faults of a member's process and machine: power off, SIGTERM, SIGSTOP, clocks that jump, and too many requests. */
import { crashPoints } from './crash-points.js';
import type { Fault, Strike } from './nemesis.js';
import type { Member } from './store-group.js';

type ProcessKind =
  | 'crash'
  | 'crash-leader'
  | 'crash-all'
  | 'crash-at'
  | 'crash-loop'
  | 'stop'
  | 'pause'
  | 'stutter'
  | 'pause-client'
  | 'clock-jump'
  | 'clock-sway'
  | 'burst';

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
  // It falls again as soon as it has started, or while it starts.
  'crash-loop': ({ group, favourite, random, after, note }) => {
    const { tickMs } = group.swarm.raft;
    const members = random.next() < 0.15 ? group.living : [favourite];
    const times = 2 + random.integer(9);
    note({ members: members.map(({ name }) => name).join(), times });
    for (const member of members) {
      const fall = (left: number) => {
        group.kill(member);
        after(random.next() * tickMs!, () => {
          group.start(member);
          if (left > 0) after(random.next() ** 3 * 12 * tickMs!, () => fall(left - 1));
        });
      };
      fall(times);
    }
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
  // Its event loop stands still again and again: too much work for one turn, or memory that is collected.
  stutter: ({ group, favourite, random, lengthMs, after, note, exponential }) => {
    const { tickMs } = group.swarm.raft;
    const stallMs = tickMs! * (0.2 + 2 * random.next());
    const endMs = group.nowMs + 2 * lengthMs;
    note({ member: favourite.name, stallMs, lengthMs: 2 * lengthMs });
    const stall = () => {
      if (!favourite.isUp) return;
      const forMs = exponential(stallMs);
      group.pause(favourite, forMs);
      if (group.nowMs < endMs) after(forMs + exponential(stallMs), stall);
    };
    stall();
  },
  // A watcher that lags far behind, a client that hears its answers late.
  'pause-client': ({ group, random, lengthMs, after, note }) => {
    const client = group.clients[random.integer(group.clients.length)]!;
    const pausedMs = lengthMs * (1 + 9 * random.next() ** 2);
    note({ client, lengthMs: pausedMs });
    group.world.simulation.pause(client);
    after(pausedMs, () => group.world.simulation.resume(client));
  },
  'clock-jump': ({ group, victim, random, note }) => {
    const offsetMs = Math.round((random.next() * 2 - 1) * group.swarm.clockOffsetMs);
    note({ member: victim.name, offsetMs });
    group.world.simulation.setWallOffset(victim.node, offsetMs);
  },
  // Away and on, to and fro, or anyhow.
  'clock-sway': ({ group, victim, random, lengthMs, after, note }) => {
    const way = (['linear', 'periodic', 'noise'] as const)[random.integer(3)]!;
    const amplitudeMs = (random.next() * 2 - 1) * group.swarm.clockOffsetMs;
    const [beginMs, swayMs] = [group.nowMs, 4 * lengthMs];
    const periodMs = swayMs / (1 + random.integer(8));
    note({ member: victim.name, way, amplitudeMs, lengthMs: swayMs });
    const sway = () => {
      const passedMs = group.nowMs - beginMs;
      const parts = {
        linear: passedMs / swayMs,
        periodic: Math.sin((2 * Math.PI * passedMs) / periodMs),
        noise: random.next() * 2 - 1,
      };
      group.world.simulation.setWallOffset(victim.node, Math.round(amplitudeMs * parts[way]));
      if (passedMs < swayMs) after(Math.max(20, swayMs / 40), sway);
    };
    sway();
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
