/**
 * What befalls the group: one fault after another, each drawn from the kinds that the seed allows, each with its end. Every
 * fault goes into the journal beside the messages. Its own stream of chance, so that a change elsewhere moves nothing here.
 */
import { seededRandom } from '../../../actors/runtime/index.js';
import { nodeId, type Random } from '../../../transport/index.js';
import { MemberChanges } from './member-changes.js';
import type { Member, StoreGroup } from './store-group.js';
import type { FaultKind } from './swarm.js';

export class Nemesis {
  readonly #group: StoreGroup;
  readonly #random: Random;
  readonly #counts = new Map<string, number>();
  #cuts = 0;
  /** How many of the next leaders shall fall at once, and how many there were at the last look. */
  #coups = 0;
  #leaderships = 0;
  #active = true;

  constructor(group: StoreGroup) {
    this.#group = group;
    this.#random = seededRandom(group.swarm.seed, 'nemesis');
  }

  /** How often each kind came, for people. */
  get summary(): string {
    return [...this.#counts].map(([kind, count]) => `${kind} ${count}`).join(', ') || 'none';
  }

  start(): void {
    this.#weather();
    if (this.#group.swarm.faults.size > 0) this.#plan();
  }

  /** After every event: some faults wait for their moment. */
  step(): void {
    const { leaderships } = this.#group.invariants;
    if (leaderships === this.#leaderships) return;
    this.#leaderships = leaderships;
    if (this.#coups === 0 || !this.#active) return;
    this.#coups -= 1;
    const tickMs = this.#group.swarm.raft.tickMs!;
    this.#after(this.#random.next() ** 2 * 3 * tickMs, () => this.#overthrow());
  }

  /** Everything is whole again, and stays so: links, disks, clocks, processes. */
  heal(): void {
    const { world, members } = this.#group;
    this.#active = false;
    world.heal();
    this.#group.isHealed = true;
    this.#latency({ minMs: 0.2, maxMs: 1 });
    for (const member of members) {
      member.failsNextSync = false;
      member.stalledUntilMs = 0;
      world.simulation.setWallOffset(member.node, 0);
      world.simulation.resume(member.node);
      if (member.starts > 0) this.#group.start(member);
    }
    this.#group.note('heal');
  }

  /** What the network is like all the time. */
  #weather(): void {
    const { network } = this.#group.swarm;
    const { faults } = this.#group.world.network;
    const names = this.#names();
    const everybody = network.clients ? ['*'] : names;
    const rule = (id: string, action: Parameters<typeof faults.add>[0]['action']) =>
      faults.add({ id, from: everybody, to: everybody, action });
    if (network.loss > 0) rule('loss', { type: 'drop', probability: network.loss });
    if (network.duplicate > 0) {
      rule('duplicate', { type: 'duplicate', probability: network.duplicate });
    }
    if (network.reorder > 0) {
      rule('reorder', {
        type: 'reorder',
        probability: network.reorder,
        windowMs: network.reorderWindowMs,
      });
      // The long tail: few letters, far too late.
      rule('tail', { type: 'reorder', probability: 0.01, windowMs: network.reorderWindowMs * 20 });
    }
    this.#latency({ minMs: network.latencyMinMs, maxMs: network.latencyMaxMs });
  }

  #latency(range: { readonly minMs: number; readonly maxMs: number }): void {
    const names = this.#names();
    for (const from of names) {
      for (const to of names) if (from !== to) this.#group.world.network.setLatency(from, to, range);
    }
  }

  #plan(): void {
    this.#after(this.#exponential(this.#group.swarm.faultGapMs), () => {
      this.#strike(this.#draw());
      this.#plan();
    });
  }

  #draw(): FaultKind {
    const { faults } = this.#group.swarm;
    let dice = this.#random.next() * [...faults.values()].reduce((sum, weight) => sum + weight, 0);
    for (const [kind, weight] of faults) {
      dice -= weight;
      if (dice <= 0) return kind;
    }
    return [...faults.keys()].at(-1)!;
  }

  #strike(kind: FaultKind): void {
    const { living } = this.#group;
    const lengthMs = this.#exponential(this.#group.swarm.faultLengthMs);
    const leader = this.#group.leader();
    const victim = living[this.#random.integer(living.length)];
    if (!victim) return;
    const some = this.#some();
    switch (kind) {
      case 'split':
        return this.#cut(kind, lengthMs, some, this.#but(some), 'both');
      case 'isolate-leader':
        return this.#isolate(kind, lengthMs, leader ?? victim);
      case 'isolate-one':
        return this.#isolate(kind, lengthMs, victim);
      case 'one-way': {
        const from = this.#random.next() < 0.5 && leader ? [leader.name] : some;
        const isOut = this.#random.next() < 0.5;
        const [a, b] = isOut ? [from, this.#but(from)] : [this.#but(from), from];
        return this.#cut(kind, lengthMs, a, b, 'one');
      }
      case 'bridge': {
        // Two that cannot hear each other, though both hear the rest.
        const [a, b] = this.#shuffled(this.#names());
        return this.#cut(kind, lengthMs, [a!], [b!], 'both');
      }
      case 'flap':
        return this.#flap(lengthMs, leader ?? victim);
      case 'crash':
        return this.#crash(kind, lengthMs, [victim]);
      case 'crash-leader':
        return this.#crash(kind, lengthMs, [leader ?? victim]);
      case 'crash-all':
        return this.#crash(kind, lengthMs, living);
      case 'coup':
        this.#coups += 1;
        return;
      case 'stop':
        return this.#stop(lengthMs, this.#random.next() < 0.5 ? (leader ?? victim) : victim);
      case 'pause':
        return this.#pause(lengthMs, this.#random.next() < 0.5 ? (leader ?? victim) : victim);
      case 'stall-disk': {
        const slow = this.#random.next() < 0.5 ? (leader ?? victim) : victim;
        slow.stalledUntilMs = this.#group.nowMs + lengthMs;
        return this.#note(kind, { member: slow.name, lengthMs: Math.round(lengthMs) });
      }
      case 'fail-fsync':
        victim.failsNextSync = true;
        return this.#note(kind, { member: victim.name });
      case 'lose-disk':
        return this.#loseDisk(victim);
      case 'clock-jump':
        return this.#clockJump(victim);
      case 'transfer': {
        const to = this.#names()[this.#random.integer(this.#names().length)]!;
        this.#note(kind, { to });
        // Refused when it cannot be: that is an answer, too.
        leader?.parts?.raft.leadershipTransfer(to as never).catch(() => undefined);
        return;
      }
      case 'change-members':
        return this.#changeMembers(lengthMs);
      default:
        kind satisfies never;
    }
  }

  #isolate(kind: FaultKind, lengthMs: number, { name }: Member): void {
    this.#cut(kind, lengthMs, [name], this.#but([name]), 'both');
  }

  /** Sometimes clients are cut off from one side too. */
  #cut(
    kind: FaultKind,
    lengthMs: number,
    from: readonly string[],
    to: readonly string[],
    ways: 'one' | 'both',
  ): void {
    if (from.length === 0 || to.length === 0) return;
    const { faults } = this.#group.world.network;
    const id = `cut-${++this.#cuts}`;
    this.#note(kind, { id, from: from.join(), to: to.join(), ways, lengthMs: Math.round(lengthMs) });
    faults.add({ id, from, to, action: { type: 'cut' } });
    if (ways === 'both') faults.add({ id: `${id}-back`, from: to, to: from, action: { type: 'cut' } });
    this.#after(lengthMs, () => {
      faults.remove(id);
      faults.remove(`${id}-back`);
      this.#note('uncut', { id });
    });
  }

  /** Whoever has just been elected loses its voters: it is cut off, or it dies, or they do. */
  #overthrow(): void {
    const leader = this.#group.leader();
    if (!leader) return;
    const lengthMs = this.#exponential(this.#group.swarm.faultLengthMs);
    const dice = this.#random.next();
    if (dice < 0.6) this.#isolate('coup', lengthMs, leader);
    else this.#crash('coup', lengthMs, [leader]);
    const voters = this.#group.living.filter((member) => member !== leader);
    this.#crash(
      'coup',
      lengthMs,
      voters.filter(() => this.#random.next() < 0.5),
    );
  }

  #flap(lengthMs: number, { name }: Member): void {
    const times = 2 + this.#random.integer(6);
    for (let at = 0; at < times; at++) {
      this.#after((at * 2 * lengthMs) / times, () => {
        this.#cut('flap', lengthMs / times, [name], this.#but([name]), 'both');
      });
    }
  }

  #crash(kind: FaultKind, lengthMs: number, members: readonly Member[]): void {
    const tickMs = this.#group.swarm.raft.tickMs!;
    this.#note(kind, { members: members.map(({ name }) => name).join() });
    for (const member of members) {
      this.#group.kill(member);
      // Often so soon that the others have hardly noticed.
      const downMs =
        this.#random.next() < 0.5 ? this.#random.next() * tickMs : this.#random.next() * lengthMs;
      this.#after(downMs, () => this.#group.start(member));
    }
  }

  /** SIGTERM: it may hand over and write what it holds before it goes. */
  #stop(lengthMs: number, member: Member): void {
    this.#note('stop', { member: member.name });
    const { starts } = member;
    this.#group.world.stop(member.node).then(
      () => {
        if (member.starts !== starts) return;
        this.#group.kill(member);
        this.#group.world.simulation.clock.setTimer(lengthMs, () => this.#group.start(member));
      },
      () => undefined,
    );
  }

  #pause(lengthMs: number, member: Member): void {
    const { simulation } = this.#group.world;
    this.#note('pause', { member: member.name, lengthMs: Math.round(lengthMs) });
    simulation.pause(member.node);
    const { starts } = member;
    this.#after(lengthMs, () => {
      if (member.starts !== starts) return;
      this.#note('resume', { member: member.name });
      simulation.resume(member.node);
    });
  }

  /** One change or two at once; sometimes the old members lose sight of the leader and the new ones. */
  #changeMembers(lengthMs: number): void {
    const leader = this.#group.leader();
    const raft = leader?.parts?.raft;
    if (!leader || !raft) return;
    const changes = new MemberChanges(this.#group, raft, this.#random);
    const made = [changes.next(), ...(this.#random.next() < 0.5 ? [changes.next()] : [])];
    this.#note('change-members', { leader: leader.name, changes: made.join('; ') });
    if (this.#random.next() < 0.5) return;
    const { tickMs } = this.#group.swarm.raft;
    const others = this.#group.founders.filter((member) => member !== leader).map(({ name }) => name);
    // In the middle of the change, or soon after it.
    const delayMs = this.#random.next() * (this.#random.next() < 0.6 ? 10 : 2 * tickMs!);
    this.#after(delayMs, () => {
      this.#cut('change-members', lengthMs, others, this.#but(others), 'both');
    });
  }

  #loseDisk(member: Member): void {
    if (!this.#group.mayLoseDisk) return;
    this.#note('lose-disk', { member: member.name });
    this.#group.kill(member);
    member.isLost = true;
  }

  #clockJump({ name, node }: Member): void {
    const { clockOffsetMs } = this.#group.swarm;
    const offsetMs = Math.round((this.#random.next() * 2 - 1) * clockOffsetMs);
    this.#note('clock-jump', { member: name, offsetMs });
    this.#group.world.simulation.setWallOffset(nodeId(node), offsetMs);
  }

  #note(kind: string, detail: Readonly<Record<string, string | number | boolean>>): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    this.#group.note(kind, detail);
  }

  /** Never once it is over. */
  #after(delayMs: number, act: () => void): void {
    this.#group.world.simulation.clock.setTimer(delayMs, () => {
      if (this.#active) act();
    });
  }

  #names(): string[] {
    return this.#group.members.map(({ name }) => name);
  }

  /** One member at least, and not all. */
  #some(): string[] {
    const names = this.#shuffled(this.#names());
    return names.slice(0, 1 + this.#random.integer(names.length - 1));
  }

  #but(names: readonly string[]): string[] {
    return this.#names().filter((name) => !names.includes(name));
  }

  #shuffled(names: readonly string[]): string[] {
    return names
      .map((name) => ({ name, at: this.#random.next() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ name }) => name);
  }

  #exponential(mean: number): number {
    return -Math.log(1 - this.#random.next()) * mean;
  }
}
