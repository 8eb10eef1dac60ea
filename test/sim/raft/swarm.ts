/**
 * What a seed stands for: the shape of the group, how hard it is used, and which faults befall it how often. Swarm testing:
 * each seed leaves some kinds of fault out altogether and draws its own rates for the others, within the ranges of
 * TigerBeetle's VOPR, scaled from ticks to the much shorter runs here.
 */
import type { RaftLimits } from 'raft-consensus';
import { seededRandom } from '../../../actors/runtime/index.js';
import type { StoreLimits } from '../../../actors/store/index.js';
import type { Random } from '../../../transport/index.js';

export const faultKinds = [
  'split',
  'isolate-leader',
  'isolate-one',
  'one-way',
  'bridge',
  'flap',
  'crash',
  'crash-leader',
  'crash-all',
  'coup',
  'stop',
  'pause',
  'stall-disk',
  'fail-fsync',
  'lose-disk',
  'clock-jump',
  'transfer',
  'change-members',
] as const;

export type FaultKind = (typeof faultKinds)[number];

export interface Swarm {
  readonly seed: number;
  readonly members: 3 | 5;
  /** Members that the group is not made with. */
  readonly spares: number;
  readonly writers: number;
  readonly watchers: number;
  readonly keys: number;
  /** Mean time between two requests of a client. */
  readonly thinkMs: number;
  readonly timeoutMs: number;
  readonly safetyMs: number;
  readonly network: {
    readonly latencyMinMs: number;
    readonly latencyMaxMs: number;
    readonly loss: number;
    readonly duplicate: number;
    readonly reorder: number;
    readonly reorderWindowMs: number;
    /** Whether letters of clients suffer too. */
    readonly clients: boolean;
  };
  readonly disk: { readonly syncMinMs: number; readonly syncMeanMs: number };
  /** Each with its weight; absent: never. */
  readonly faults: ReadonlyMap<FaultKind, number>;
  /** Mean time between two faults, and mean length of one. */
  readonly faultGapMs: number;
  readonly faultLengthMs: number;
  /** How far a wall clock may be off, either way. */
  readonly clockOffsetMs: number;
  /** How much faster or slower than real time a member's monotonic clock may run. */
  readonly clockDriftMax: number;
  readonly leaseTtlMs: number;
  readonly snapshots: SnapshotFaults;
  readonly raft: Partial<RaftLimits>;
  readonly store: Partial<StoreLimits>;
}

export interface SnapshotFaults {
  /** At most, between two chunks of a snapshot that is taken or received: time for others to write. */
  readonly chunkMs: number;
  /** How many members crash in the middle of an operation on a snapshot's file, and how likely at each. */
  readonly crashesMax: number;
  readonly crashProbability: number;
}

export interface SwarmOverrides {
  readonly safetyMs?: number;
  /** These kinds of fault and no others. */
  readonly faults?: readonly FaultKind[] | undefined;
}

export function swarmOf(seed: number, overrides: SwarmOverrides = {}): Swarm {
  const random = seededRandom(seed, 'swarm');
  // A stream of its own, so that what it decides moves nothing else.
  const snapshots = seededRandom(seed, 'snapshots');
  const chance = (probability: number) => random.next() < probability;
  const between = (min: number, max: number) => min + random.next() * (max - min);
  /** Mostly none, seldom much. */
  const rate = (present: number, max: number) => (chance(present) ? max * random.next() ** 2 : 0);
  const tickMs = [20, 40, 100][random.integer(3)]!;
  const slow = chance(0.2);
  const latencyMinMs = slow ? between(0, tickMs / 4) : between(0.1, 1);
  const faults = new Map<FaultKind, number>();
  for (const kind of faultKinds) {
    // With chances of its own, so that all else of a seed is as it was before there was this kind.
    const from = kind === 'change-members' ? seededRandom(seed, 'membership') : random;
    const isDrawn = from.next() < 0.5;
    const weight = (0.2 + from.next() * 0.8) * weights[kind];
    if (overrides.faults?.includes(kind) ?? isDrawn) faults.set(kind, weight);
  }
  // A stream of its own: what came before it is drawn as ever.
  const late = seededRandom(seed, 'swarm, later');
  return {
    seed,
    members: chance(0.3) ? 5 : 3,
    spares: faults.has('change-members') ? 2 : 0,
    writers: 3 + random.integer(4),
    watchers: 1 + random.integer(3),
    keys: 2 + random.integer(4),
    thinkMs: between(5, 60),
    timeoutMs: between(150, 1_000),
    safetyMs: overrides.safetyMs ?? between(4_000, 10_000) * (tickMs === 100 ? 1.6 : 1),
    network: {
      latencyMinMs,
      latencyMaxMs: latencyMinMs + (slow ? tickMs : between(0.5, 5)),
      loss: rate(0.6, 0.3),
      duplicate: rate(0.5, 0.5),
      reorder: rate(0.6, 0.5),
      reorderWindowMs: between(5, 5 * tickMs),
      clients: chance(0.4),
    },
    disk: { syncMinMs: between(0, 2), syncMeanMs: chance(0.2) ? between(5, tickMs) : between(0.2, 3) },
    faults,
    faultGapMs: between(6, 60) * tickMs,
    faultLengthMs: between(3, 30) * tickMs,
    clockOffsetMs: between(0, 1_500),
    clockDriftMax: late.next() < 0.5 ? 0 : 0.02 * late.next(),
    leaseTtlMs: between(500, 3_000),
    snapshots: {
      chunkMs: [0, 1, 10][snapshots.integer(3)]!,
      crashesMax: snapshots.integer(4),
      crashProbability: snapshots.next() * 0.1,
    },
    raft: { tickMs, ...raftKnobs(random, slow), ...snapshotKnobs(snapshots) },
    store: {
      snapshotChunkBytes: [1, 200, 65_536][snapshots.integer(3)]!,
      leaseCheckIntervalMs: 50 + random.integer(450),
      watchBatchEvents: [1, 2, 512][random.integer(3)]!,
      watchProgressIntervalMs: 100 + random.integer(900),
      compactionRetentionMs: chance(0.5) ? 500 + random.integer(3_000) : 300_000,
      compactStepRecords: [1, 10, 5_000][random.integer(3)]!,
      hashCheckIntervalMs: 200 + late.integer(800),
      leaseGraceMs: late.integer(500),
      clockRecordIntervalMs: 200 + late.integer(3_000),
    },
  };
}

const weights: Readonly<Record<FaultKind, number>> = {
  split: 1,
  'isolate-leader': 1.5,
  'isolate-one': 1,
  'one-way': 1,
  bridge: 1,
  flap: 0.7,
  crash: 1.5,
  'crash-leader': 1.5,
  'crash-all': 0.7,
  coup: 1.5,
  stop: 0.5,
  pause: 1,
  'stall-disk': 1,
  'fail-fsync': 0.7,
  'lose-disk': 0.15,
  'clock-jump': 0.7,
  transfer: 0.7,
  'change-members': 3,
};

/** Small limits, so that what is rare with the defaults happens all the time. */
function raftKnobs(random: Random, slow: boolean): Partial<RaftLimits> {
  const snapshotEveryEntries = [10, 40, 200, 10_000][random.integer(4)]!;
  return {
    snapshotEveryEntries,
    trailingEntriesMax: [0, 5, 50, 5_000][random.integer(4)]!,
    // One entry at a time over a slow network would be overload, which is another test.
    messageBytesMax: random.integer(3) === 0 && !slow ? 64 : 1024 * 1024,
    inflightMessagesMax: [1, 4, 256][random.integer(3)]!,
    applyEntriesMax: random.integer(3) === 0 ? 1 : 1024,
    snapshotRetryTicks: 5 + random.integer(45),
  };
}

/** Even a small snapshot is many pieces. */
function snapshotKnobs(random: Random): Partial<RaftLimits> {
  return {
    snapshotPieceBytes: [100, 1_000, 262_144][random.integer(3)]!,
    snapshotPiecesInFlightMax: [1, 3, 8][random.integer(3)]!,
    snapshotPieceRetryTicks: 1 + random.integer(5),
    snapshotReadBytes: [100, 262_144][random.integer(2)]!,
  };
}

/** One line for people. */
export function describeSwarm(swarm: Swarm): string {
  const { network, raft } = swarm;
  const percent = (part: number) => `${(part * 100).toFixed(0)}%`;
  return [
    `seed ${swarm.seed}: ${swarm.members} members, ${swarm.writers} writers, ${swarm.watchers} watchers,`,
    `${swarm.keys} keys, ${(swarm.safetyMs / 1000).toFixed(1)} s of faults, tick ${raft.tickMs} ms,`,
    `loss ${percent(network.loss)}, duplicates ${percent(network.duplicate)}, reorder ${percent(network.reorder)},`,
    `snapshot every ${raft.snapshotEveryEntries}+${raft.trailingEntriesMax},`,
    `faults: ${[...swarm.faults.keys()].join(' ') || 'none'}`,
  ].join(' ');
}
