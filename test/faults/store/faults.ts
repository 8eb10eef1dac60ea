/**
 * What can befall a group of processes, by name. A fault strikes, holds for a while, and ends when the group is healed; what it
 * must have done to be one is asserted where it strikes. Which members it hits comes from the seed.
 */
import { strict as assert } from 'node:assert';
import { waitFor } from '../../../deploy/wait.js';
import type { FaultRule, Random } from '../../../transport/index.js';
import type { ProcessGroup } from './process-group.js';

export interface Fault {
  readonly name: string;
  readonly what: string;
  /** Why it cannot be had here; undefined: it can. */
  readonly missing?: (group: ProcessGroup) => string | undefined;
  /** Between the strike and the heal. */
  readonly holdMs: number;
  strike(group: ProcessGroup, random: Random): Promise<void>;
}

/** Followers campaign after 0.8 to 1.6 s without a word. */
const anElectionMs = 1_300;

export const faults: readonly Fault[] = [
  {
    name: 'kill-leader',
    what: 'SIGKILL of the leader',
    holdMs: anElectionMs,
    strike: async (group) => group.kill(await group.leader()),
  },
  {
    name: 'kill-follower',
    what: 'SIGKILL of a follower',
    holdMs: 500,
    strike: async (group, random) => group.kill(await follower(group, random)),
  },
  {
    name: 'kill-all',
    what: 'SIGKILL of all members at once',
    holdMs: 0,
    strike: (group) => killAll(group),
  },
  {
    name: 'power-failure',
    what: 'all disks stop syncing while clients write, then all members are killed: what was not synced is gone',
    holdMs: 0,
    strike: async (group) => {
      for (const name of group.names) group.order(name, { stalled: true });
      await passes(700);
      await killAll(group);
    },
  },
  {
    name: 'end-leader',
    what: 'SIGTERM of the leader, which hands leadership over and ends',
    holdMs: 300,
    strike: async (group) => group.end(await group.leader()),
  },
  {
    name: 'transfer',
    what: 'the leader is told to hand leadership over',
    holdMs: 0,
    strike: async (group) => {
      const before = await group.leader();
      await group.transfer();
      await anotherLeads(group, before);
    },
  },
  {
    name: 'pause-leader',
    what: 'SIGSTOP of the leader, for longer than an election takes, then SIGCONT',
    holdMs: anElectionMs + 500,
    strike: async (group) => group.pause(await group.leader()),
  },
  {
    name: 'pause-majority',
    what: 'SIGSTOP of two members, then SIGCONT',
    holdMs: 1_000,
    strike: async (group, random) => {
      const spared = random.integer(3);
      group.names.forEach((name, at) => {
        if (at !== spared) group.pause(name);
      });
    },
  },
  {
    name: 'stall-disk',
    what: 'the fsyncs of the leader hang for two seconds',
    holdMs: 2_000,
    strike: async (group) => group.order(await group.leader(), { stalled: true }),
  },
  {
    name: 'fail-fsync',
    what: 'an fsync of a member fails: it ends itself and says why',
    holdMs: 0,
    strike: async (group, random) => {
      const name = random.next() < 0.5 ? await group.leader() : await hearingFollower(group, random);
      group.order(name, { broken: true });
      await endsItself(group, name, /the test broke this disk/);
    },
  },
  {
    name: 'full-disk',
    what: 'the disk of a member is full (tmpfs): it ends itself and says why',
    missing: ({ smallDisk }) => (smallDisk ? undefined : 'mounting a small disk needs root'),
    holdMs: 0,
    strike: async (group) => {
      const name = group.names.at(-1) as string;
      await group.smallDisk?.fill(0);
      await endsItself(group, name, /ENOSPC|no space/);
    },
  },
  {
    name: 'isolate-leader',
    what: 'no letter passes between the leader and the others (the policy of the transport)',
    holdMs: anElectionMs,
    strike: async (group) => {
      const leader = await group.leader();
      await cut(group, [leader], others(group, leader));
      await cut(group, others(group, leader), [leader]);
    },
  },
  {
    name: 'isolate-follower',
    what: 'no letter passes between a follower and the others (the policy of the transport)',
    holdMs: 1_000,
    strike: async (group, random) => {
      const one = await follower(group, random);
      await cut(group, [one], others(group, one));
      await cut(group, others(group, one), [one]);
    },
  },
  {
    name: 'one-way',
    what: 'one member hears nobody, or is heard by nobody',
    holdMs: anElectionMs,
    strike: async (group, random) => {
      const one = pick(group.names, random);
      if (random.next() < 0.5) await cut(group, [one], others(group, one));
      else await cut(group, others(group, one), [one]);
    },
  },
  {
    name: 'bridge',
    what: 'two members do not hear each other, the third hears both',
    holdMs: anElectionMs,
    strike: async (group, random) => {
      const [a, b] = others(group, pick(group.names, random)) as [string, string];
      await cut(group, [a], [b]);
      await cut(group, [b], [a]);
    },
  },
  {
    name: 'bad-links',
    what: 'letters between the members are lost, doubled, late and out of order',
    holdMs: anElectionMs,
    strike: (group) => {
      const to = group.names;
      const rule = (id: string, action: FaultRule['action']) => ({ id, from: to, to, action });
      return group.addRules([
        rule('lost', { type: 'drop', probability: 0.15 }),
        rule('doubled', { type: 'duplicate', probability: 0.2 }),
        rule('overtaken', { type: 'reorder', probability: 0.2, windowMs: 100 }),
        rule('late', { type: 'delay', minMs: 0, maxMs: 60 }),
      ]);
    },
  },
  {
    name: 'lost-replies',
    what: 'of what the members answer their clients over ZeroMQ, a third is lost',
    holdMs: anElectionMs,
    strike: (group) =>
      group.addRules([
        { id: 'lost', from: group.names, to: ['client'], action: { type: 'drop', probability: 0.3 } },
      ]),
  },
  {
    name: 'kernel-isolate-leader',
    what: 'no packet passes between the leader and the others (nftables between network namespaces)',
    missing: needsNamespaces,
    holdMs: anElectionMs,
    strike: async (group) => {
      const leader = await group.leader();
      for (const other of others(group, leader)) {
        group.namespaces?.cut(leader, other);
        group.namespaces?.cut(other, leader);
      }
      await anotherLeads(group, leader);
    },
  },
  {
    name: 'kernel-one-way',
    what: 'the packets of one member to the others are dropped, not theirs to it (nftables)',
    missing: needsNamespaces,
    holdMs: anElectionMs,
    strike: async (group, random) => {
      const one = pick(group.names, random);
      for (const other of others(group, one)) group.namespaces?.cut(one, other);
    },
  },
];

/** Also two at once, as `bad-links+kill-leader`. */
export function faultNamed(name: string): Fault {
  if (name.includes('+')) return name.split('+').map(faultNamed).reduce(together);
  const fault = faults.find((known) => known.name === name);
  if (fault) return fault;
  throw new TypeError(`there is no fault ${name}; there are ${faults.map((known) => known.name).join(', ')}`);
}

/** Faults that leave enough in order for another one to strike, and such as need nothing to be in order but a leader. */
const first = ['bad-links', 'lost-replies', 'isolate-follower', 'one-way', 'bridge', 'stall-disk'];
const second = ['kill-leader', 'kill-follower', 'kill-all', 'power-failure', 'pause-leader', 'fail-fsync'];

/** So many out of all kinds, each once, some of them two at once. */
export function drawnFaults(count: number, random: Random): readonly Fault[] {
  const left = [...faults];
  return Array.from({ length: count }, () => {
    if (random.next() < 0.25) return faultNamed(`${pick(first, random)}+${pick(second, random)}`);
    return left.splice(random.integer(left.length), 1)[0] as Fault;
  });
}

function together(a: Fault, b: Fault): Fault {
  return {
    name: `${a.name}+${b.name}`,
    what: `${a.what}; ${b.what}`,
    missing: (group) => a.missing?.(group) ?? b.missing?.(group),
    holdMs: Math.max(a.holdMs, b.holdMs),
    strike: async (group, random) => {
      await a.strike(group, random);
      await b.strike(group, random);
    },
  };
}

export const passes = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function needsNamespaces({ namespaces }: ProcessGroup): string | undefined {
  return namespaces ? undefined : 'network namespaces need root, ip and nft';
}

async function killAll(group: ProcessGroup): Promise<void> {
  await Promise.all(group.names.map((name) => group.kill(name)));
}

async function endsItself(group: ProcessGroup, name: string, why: RegExp): Promise<void> {
  await waitFor(`${name} to end`, 20_000, async () => group.ended.length > 0);
  const [how] = group.ended.splice(0);
  assert.match(how ?? '', why);
}

async function anotherLeads(group: ProcessGroup, than: string): Promise<void> {
  await waitFor(`another one than ${than} to lead`, 10_000, async () => {
    const statuses = await Promise.all(others(group, than).map((name) => group.status(name)));
    return statuses.some(({ role }) => role === 'leader');
  });
}

function cut(group: ProcessGroup, from: readonly string[], to: readonly string[]): Promise<void> {
  return group.addRules([{ id: `cut-${from.join('+')}`, from, to, action: { type: 'cut' } }]);
}

function others(group: ProcessGroup, name: string): readonly string[] {
  return group.names.filter((other) => other !== name);
}

async function follower(group: ProcessGroup, random: Random): Promise<string> {
  return pick(others(group, await group.leader()), random);
}

/** What another fault has cut off writes nothing, and so never finds out that its disk is broken. */
async function hearingFollower(group: ProcessGroup, random: Random): Promise<string> {
  const leader = await group.leader();
  const { commitIndex } = await group.status(leader);
  const hearing: string[] = [];
  await waitFor('a follower to hear of what is written from now on', 15_000, async () => {
    const names = others(group, leader).filter((name) => group.isUp(name));
    const statuses = await Promise.all(names.map((name) => group.status(name)));
    hearing.push(...names.filter((_, at) => statuses[at]!.commitIndex > commitIndex));
    return hearing.length > 0;
  });
  return pick(hearing, random);
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[random.integer(items.length)] as T;
}
