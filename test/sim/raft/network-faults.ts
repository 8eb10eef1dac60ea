/** Faults between members: what the network is like all the time, cuts of every shape with their ends, and clogged paths. */
import { seededRandom } from '../../../actors/runtime/index.js';
import type { LatencyRange, Random } from '../../../transport/index.js';
import type { Fault } from './nemesis.js';
import type { StoreGroup } from './store-group.js';

type NetworkKind =
  | 'split'
  | 'isolate-leader'
  | 'isolate-one'
  | 'one-way'
  | 'bridge'
  | 'ring'
  | 'flap'
  | 'clog'
  | 'fading-leader'
  | 'scatter'
  | 'swizzle';

export class NetworkFaults {
  readonly #group: StoreGroup;
  readonly #noise: Random;
  #cuts = 0;

  constructor(group: StoreGroup) {
    this.#group = group;
    this.#noise = seededRandom(group.swarm.seed, 'noise');
  }

  get names(): readonly string[] {
    return this.#group.members.map(({ name }) => name);
  }

  but(names: readonly string[]): readonly string[] {
    return this.names.filter((name) => !names.includes(name));
  }

  /** What the network is like all the time. */
  weather(): void {
    const { network } = this.#group.swarm;
    const { faults } = this.#group.world.network;
    const everybody = network.clients ? ['*'] : this.names;
    const rule = (id: string, action: Parameters<typeof faults.add>[0]['action']) =>
      faults.add({ id, from: everybody, to: everybody, action });
    if (network.loss > 0) rule('loss', { type: 'drop', probability: network.loss });
    if (network.duplicate > 0) {
      rule('duplicate', { type: 'duplicate', probability: network.duplicate });
    }
    if (network.reorder > 0) {
      const windowMs = network.reorderWindowMs;
      rule('reorder', { type: 'reorder', probability: network.reorder, windowMs });
      // The long tail: few letters, far too late.
      rule('tail', { type: 'reorder', probability: 0.01, windowMs: windowMs * 20 });
    }
    const { latencyMinMs: minMs, latencyMaxMs: maxMs, latencyMeanMs: meanMs } = network;
    this.#latency({ minMs, maxMs, ...(meanMs !== undefined && { meanMs }) });
  }

  heal(): void {
    this.#group.world.heal();
    this.#latency({ minMs: 0.2, maxMs: 1 });
  }

  /** Returns the way to end it. */
  cut(from: readonly string[], to: readonly string[], ways: 'one' | 'both'): () => void {
    const { faults } = this.#group.world.network;
    const id = `cut-${++this.#cuts}`;
    if (from.length === 0 || to.length === 0) return () => {};
    this.#group.note('cut', { id, from: from.join(), to: to.join(), ways });
    faults.add({ id, from, to, action: { type: 'cut' } });
    if (ways === 'both') faults.add({ id: `${id}-back`, from: to, to: from, action: { type: 'cut' } });
    return () => {
      if (!faults.remove(id)) return;
      faults.remove(`${id}-back`);
      this.#group.note('uncut', { id });
    };
  }

  isolate(name: string): () => void {
    return this.cut([name], this.but([name]), 'both');
  }

  /** Letters from one to the other arrive, but late. */
  clog(from: string, to: string, minMs: number, maxMs: number): () => void {
    const { faults } = this.#group.world.network;
    const id = `clog-${++this.#cuts}`;
    faults.add({ id, from: [from], to: [to], action: { type: 'delay', minMs, maxMs } });
    return () => void faults.remove(id);
  }

  /** Letters are damaged on their way. */
  noise(from: readonly string[], to: readonly string[], probability: number): () => void {
    const { paths } = this.#group.world.network;
    const id = `noise-${++this.#cuts}`;
    const isSealed = this.#group.bug?.linksUnsealed !== true;
    paths.add({ id, type: 'noisy', from, to, probability, random: this.#noise, isSealed });
    return () => paths.remove(id);
  }

  /** So much and no more gets through. */
  narrow(
    from: readonly string[],
    to: readonly string[],
    how: { readonly bytesPerSecond: number; readonly lettersMax: number },
  ): () => void {
    const { paths } = this.#group.world.network;
    const id = `narrow-${++this.#cuts}`;
    paths.add({ id, type: 'narrow', from, to, ...how });
    return () => paths.remove(id);
  }

  /** Letters from and to it wait until then. */
  holdUp(name: string, untilMs: number): () => void {
    const { paths } = this.#group.world.network;
    const id = `held-${++this.#cuts}`;
    paths.add({ id: `${id}-from`, type: 'clogged', from: [name], to: ['*'], untilMs });
    paths.add({ id: `${id}-to`, type: 'clogged', from: ['*'], to: [name], untilMs });
    return () => {
      paths.remove(`${id}-from`);
      paths.remove(`${id}-to`);
    };
  }

  /** Of each letter, beside what the weather loses. */
  lose(from: readonly string[], to: readonly string[], probability: number): () => void {
    const { faults } = this.#group.world.network;
    const id = `lost-${++this.#cuts}`;
    faults.add({ id, from, to, action: { type: 'drop', probability } });
    return () => void faults.remove(id);
  }

  #latency(range: LatencyRange): void {
    for (const from of this.names) {
      for (const to of this.names) {
        if (from !== to) this.#group.world.network.setLatency(from, to, range);
      }
    }
  }

  static readonly kinds: Readonly<Record<NetworkKind, Fault>> = {
    split: ({ network, random, lengthMs, after, note }) => {
      const some = someOf(network.names, random);
      note({ members: some.join(), lengthMs });
      after(lengthMs, network.cut(some, network.but(some), 'both'));
    },
    // Each falls on a side of its own accord, of two or three; often for long (VOPR: 100 to 200 ticks), sometimes one way.
    scatter: ({ group, network, random, lengthMs: usualMs, after, note }) => {
      const sides = 2 + random.integer(2);
      const [first, ...others] = shuffled(network.names, random);
      const sideOf = new Map([[first!, 0], ...others.map((name) => [name, random.integer(sides)] as const)]);
      const isLong = random.next() < 0.3;
      const lengthMs = isLong ? (100 + 100 * random.next()) * group.swarm.raft.tickMs! : usualMs;
      const ways = random.next() < 0.25 ? 'one' : 'both';
      note({ sides: [...sideOf].map(([name, side]) => `${name}:${side}`).join(), ways, lengthMs });
      for (let side = 0; side < sides; side++) {
        const inside = network.names.filter((name) => sideOf.get(name) === side);
        const beyond = network.names.filter((name) => sideOf.get(name)! > side);
        after(lengthMs, network.cut(inside, beyond, ways));
      }
    },
    // One after the other is clogged, and they come free in another order (FoundationDB's swizzle-clogging).
    swizzle: ({ group, network, random, lengthMs: usualMs, after, note }) => {
      // What is held by then comes after the heal, and what is sent later behind it.
      const lengthMs = Math.min(usualMs, 2_500);
      const names = shuffled(network.names, random).slice(0, 2 + random.integer(network.names.length - 1));
      const freed = shuffled(names, random);
      const stepMs = lengthMs / names.length;
      note({ clogged: names.join(), freed: freed.join(), lengthMs });
      for (const [at, name] of names.entries()) {
        const freeMs = lengthMs + freed.indexOf(name) * stepMs;
        after(at * stepMs, () => {
          after(freeMs - at * stepMs, network.holdUp(name, group.nowMs + freeMs - at * stepMs));
        });
      }
    },
    'isolate-leader': ({ network, leader, victim, lengthMs, after, note }) => {
      const { name } = leader ?? victim;
      note({ member: name, lengthMs });
      after(lengthMs, network.isolate(name));
    },
    'isolate-one': ({ network, victim, lengthMs, after, note }) => {
      note({ member: victim.name, lengthMs });
      after(lengthMs, network.isolate(victim.name));
    },
    'one-way': ({ network, leader, random, lengthMs, after, note }) => {
      const some = random.next() < 0.5 && leader ? [leader.name] : someOf(network.names, random);
      const isOut = random.next() < 0.5;
      note({ members: some.join(), isOut, lengthMs });
      const [from, to] = isOut ? [some, network.but(some)] : [network.but(some), some];
      after(lengthMs, network.cut(from, to, 'one'));
    },
    bridge: ({ network, random, lengthMs, after, note }) => {
      // Two that cannot hear each other, though both hear the rest.
      const [a, b] = shuffled(network.names, random);
      note({ between: `${a},${b}`, lengthMs });
      after(lengthMs, network.cut([a!], [b!], 'both'));
    },
    ring: ({ network, random, lengthMs, after, note }) => {
      // Each hears its neighbours only: of five, everybody a majority, and everybody another.
      const ring = shuffled(network.names, random);
      note({ members: ring.join(), lengthMs });
      for (const [at, name] of ring.entries()) {
        const far = ring.slice(at + 2, at === 0 ? -1 : undefined);
        after(lengthMs, network.cut([name], far, 'both'));
      }
    },
    flap: ({ network, leader, victim, random, lengthMs, after, note }) => {
      const { name } = leader ?? victim;
      const times = 2 + random.integer(6);
      note({ member: name, times, lengthMs });
      for (let at = 0; at < times; at++) {
        after((at * 2 * lengthMs) / times, () => after(lengthMs / times, network.isolate(name)));
      }
    },
    clog: ({ network, random, lengthMs, after, note }) => {
      const [a, b] = shuffled(network.names, random);
      note({ from: a!, to: b!, lengthMs });
      after(lengthMs, network.clog(a!, b!, lengthMs / 2, lengthMs));
      if (random.next() < 0.5) after(lengthMs, network.clog(b!, a!, lengthMs / 2, lengthMs));
    },
    // What was said to the leader arrives long after anybody has heard of it (etcd #20418).
    'fading-leader': ({ group, network, leader, victim, random, lengthMs, after, note }) => {
      const { name } = leader ?? victim;
      const { tickMs } = group.swarm.raft;
      const fadingMs = Math.max(lengthMs, 30 * tickMs!);
      note({ member: name, lengthMs: fadingMs });
      // Often enough that it does not notice, and long enough that others elect another.
      const cloggedMs = (6 + random.integer(12)) * tickMs!;
      for (const other of network.but([name])) {
        after(cloggedMs, network.clog(other, name, 2 * tickMs!, 24 * tickMs!));
      }
      after(cloggedMs, () => after(fadingMs, network.cut([name], network.but([name]), 'one')));
    },
  };
}

/** One at least, and not all. */
function someOf(names: readonly string[], random: Random): readonly string[] {
  return shuffled(names, random).slice(0, 1 + random.integer(names.length - 1));
}

function shuffled(names: readonly string[], random: Random): readonly string[] {
  return names
    .map((name) => ({ name, at: random.next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ name }) => name);
}
