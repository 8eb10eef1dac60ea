/** Faults of the paths between machines: such as change bytes of letters, and such as are too narrow for what is asked of them. */
import type { Random } from '../../../transport/index.js';
import type { Fault, Strike } from './nemesis.js';

type PathKind = 'noise' | 'narrow' | 'burst-loss' | 'client-loss' | 'reconnect';

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
  // Nearly all letters for a moment, and then none for a while (Gilbert and Elliott).
  'burst-loss': (strike) => {
    const { group, network, random, lengthMs, after, note, exponential } = strike;
    const { tickMs } = group.swarm.raft;
    const ways = someWays(strike, group.swarm.network.clients ? ['*'] : network.names);
    const probability = 0.7 + 0.29 * random.next();
    const [badMs, goodMs] = [tickMs! * (0.5 + 3 * random.next()), tickMs! * (1 + 8 * random.next())];
    const endMs = group.nowMs + 2 * lengthMs;
    note({ from: ways.from.join(), to: ways.to.join(), probability, badMs, goodMs, lengthMs: 2 * lengthMs });
    const burst = () => {
      const burstMs = exponential(badMs);
      after(burstMs, network.lose(ways.from, ways.to, probability));
      if (group.nowMs < endMs) after(burstMs + exponential(goodMs), burst);
    };
    burst();
  },
  // What clients ask, or what they are answered, but not both.
  'client-loss': ({ group, network, random, lengthMs, after, note }) => {
    const clients = group.clients.map((node) => `${node}`).filter(() => random.next() < 0.7);
    const isAnswers = random.next() < 0.6;
    const probability = 0.2 + 0.79 * random.next();
    note({ clients: clients.join(), isAnswers, probability, lengthMs });
    if (clients.length === 0) return;
    const [from, to] = isAnswers ? [network.names, clients] : [clients, network.names];
    after(lengthMs, network.lose(from, to, probability));
  },
  // With all that is under way; and again, before long.
  reconnect: ({ group, network, favourite, random, lengthMs, after, note }) => {
    const name = other(network.but([favourite.name]), random);
    const peer = group.members.find((member) => member.name === name)!;
    const times = 1 + random.integer(5);
    note({ between: `${favourite.name},${peer.name}`, times, lengthMs });
    for (let at = 0; at < times; at++) {
      const awayMs = random.next() * 3 * group.swarm.raft.tickMs!;
      after((at * lengthMs) / times, () => {
        group.world.network.breakConnection(favourite.node, peer.node, awayMs);
      });
    }
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
