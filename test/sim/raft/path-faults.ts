/** Faults of the paths between machines: such as change bytes of letters, and such as are too narrow for what is asked of them. */
import type { Random } from '../../../transport/index.js';
import type { Fault, Strike } from './nemesis.js';

type PathKind = 'noise' | 'narrow';

interface Ways {
  readonly from: readonly string[];
  readonly to: readonly string[];
}

export const pathFaults: Readonly<Record<PathKind, Fault>> = {
  noise: (strike) => {
    const { group, network, random, lengthMs, after, note } = strike;
    const ways = someWays(strike, group.swarm.network.clients ? ['*'] : network.names);
    // Seldom is enough: with the first that is found, the whole connection is lost for a while.
    const probability = 0.003 + 0.3 * random.next() ** 3;
    note({ from: ways.from.join(), to: ways.to.join(), probability, lengthMs });
    after(lengthMs, network.noise(ways.from, ways.to, probability));
  },
  // Often while clients ask for much.
  narrow: (strike) => {
    const { group, network, random, lengthMs, after, note } = strike;
    const ways = someWays(strike, ['*']);
    const bytesPerSecond = Math.round(500 * 40 ** random.next());
    const lettersMax = 2 + Math.floor(19 * random.next() ** 2);
    const isBurst = random.next() < 0.5;
    note({ from: ways.from.join(), to: ways.to.join(), bytesPerSecond, lettersMax, isBurst, lengthMs });
    after(lengthMs, network.narrow(ways.from, ways.to, { bytesPerSecond, lettersMax }));
    if (isBurst) group.burstUntilMs = group.nowMs + Math.min(lengthMs, 1_000);
  },
};

/** One path, all from or to somebody (the leader, often), or all there are. */
function someWays({ network, favourite, random }: Strike, everybody: readonly string[]): Ways {
  const dice = random.next();
  if (dice < 0.25) return { from: everybody, to: everybody };
  if (dice < 0.5) return { from: [favourite.name], to: everybody };
  if (dice < 0.75) return { from: everybody, to: [favourite.name] };
  return { from: [favourite.name], to: [other(network.but([favourite.name]), random)] };
}

function other(names: readonly string[], random: Random): string {
  return names[random.integer(names.length)]!;
}
