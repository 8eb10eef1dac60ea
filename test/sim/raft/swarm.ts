/**
 * What a seed stands for: the shape of the group, how hard it is used, and which faults befall it how often. Swarm testing:
 * each seed leaves some kinds of fault out altogether and draws its own rates for the others, within the ranges of
 * TigerBeetle's VOPR: one-way delays of 0 to 30 ms and more, exponential ones among them, loss up to 30%, duplicates up to 50%,
 * disks up to a second slow. Some seeds have one fault in focus, which then comes as often as all others together.
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
  'ring',
  'flap',
  'clog',
  'fading-leader',
  'crash',
  'crash-leader',
  'crash-all',
  'crash-at',
  'coup',
  'figure-8',
  'stop',
  'pause',
  'stall-disk',
  'fail-fsync',
  'fail-read',
  'full-disk',
  'rot',
  'misdirect',
  'lose-disk',
  'clock-jump',
  'transfer',
  'burst',
  'change-members',
  'split-change',
  'noise',
  'narrow',
  'slow-reads',
  'impostor',
  'scatter',
  'swizzle',
  'burst-loss',
  'client-loss',
  'reconnect',
  'crash-loop',
  'reformat',
  'stutter',
  'clock-sway',
  'pause-client',
  'garble',
  'lose-write',
  'cut-file',
  'older-copy',
  'slow-follower',
  'fall-behind',
  'snapshot-storm',
  'large-values',
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
  /** How fast a client asks: it is busy for a share of each period. */
  readonly load: {
    readonly periodMs: number;
    readonly busyShare: number;
    /** Mean time between two requests of a client. */
    readonly busyThinkMs: number;
    readonly quietThinkMs: number;
  };
  readonly timeoutMs: number;
  readonly safetyMs: number;
  readonly network: {
    readonly latencyMinMs: number;
    readonly latencyMaxMs: number;
    /** Of exponential delays; absent: they are uniform. */
    readonly latencyMeanMs?: number;
    readonly loss: number;
    readonly duplicate: number;
    readonly reorder: number;
    readonly reorderWindowMs: number;
    /** Whether letters of clients suffer too. */
    readonly clients: boolean;
  };
  readonly disk: {
    readonly syncMinMs: number;
    readonly syncMeanMs: number;
    /** 0: what is read is there at once. */
    readonly readMeanMs: number;
    readonly segmentBytes: number;
  };
  /** Of the ends of members, the share that their peers see at once; the others fall silent, as a machine without power. */
  readonly endsSeen: number;
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
  /** At most, between two chunks of a snapshot that is taken or received: time for others to write. */
  readonly snapshotChunkPauseMs: number;
  readonly raft: Partial<RaftLimits>;
  readonly store: Partial<StoreLimits>;
}

export interface SwarmOverrides {
  readonly safetyMs?: number | undefined;
  /** These kinds of fault and no others. */
  readonly faults?: readonly FaultKind[] | undefined;
  readonly writers?: number | undefined;
  readonly watchers?: number | undefined;
  /** A network that neither loses nor doubles nor reorders. */
  readonly isCalm?: boolean | undefined;
  /** Whether values leave memory; absent: in half of the seeds. */
  readonly valuesInFiles?: boolean;
}

export function swarmOf(seed: number, overrides: SwarmOverrides = {}): Swarm {
  const random = seededRandom(seed, 'swarm');
  const chance = (probability: number) => random.next() < probability;
  const between = (min: number, max: number) => min + random.next() * (max - min);
  const pick = <T>(from: readonly T[]): T => from[random.integer(from.length)]!;
  const tickMs = pick([50, 100, 200]);
  const slow = chance(0.25);
  const latencyMinMs = slow ? between(0, Math.min(30, tickMs / 4)) : between(0.1, 1);
  const latencyMaxMs = latencyMinMs + (slow ? tickMs : between(0.5, 5));
  const exponential = exponentialDelays(seededRandom(seed, 'delays'), tickMs);
  const network = {
    ...(exponential ?? { latencyMinMs, latencyMaxMs }),
    // Mostly none, seldom much.
    loss: chance(0.6) ? 0.3 * random.next() ** 2 : 0,
    duplicate: chance(0.5) ? 0.5 * random.next() ** 2 : 0,
    reorder: chance(0.6) ? 0.5 * random.next() ** 2 : 0,
    reorderWindowMs: between(5, 5 * tickMs),
    clients: chance(0.4),
  };
  const isSlow = slow || exponential !== undefined;
  const faults = drawFaults(seed, overrides.faults);
  const changesMembers = faults.has('change-members') || faults.has('split-change');
  const losesDisks = damaging.some((kind) => faults.has(kind));
  const members = chance(0.25) ? 5 : 3;
  // Drawn also where they are given: all else of the seed must stay as it is.
  const writers = 3 + random.integer(4);
  const watchers = 1 + random.integer(3);
  const safetyMs = between(56_000, 64_000);
  return {
    seed,
    members,
    spares: faults.has('reformat') ? 3 : changesMembers ? 2 : losesDisks ? 1 : 0,
    writers: overrides.writers ?? writers,
    watchers: overrides.watchers ?? watchers,
    keys: 2 + random.integer(4),
    load: {
      periodMs: between(60, 200) * tickMs,
      busyShare: between(0.05, 0.3),
      busyThinkMs: between(10, 120),
      quietThinkMs: between(400, 2_000),
    },
    timeoutMs: between(200, 1_500),
    safetyMs: overrides.safetyMs ?? safetyMs,
    network: overrides.isCalm ? { ...network, loss: 0, duplicate: 0, reorder: 0 } : network,
    disk: {
      syncMinMs: between(0, 2),
      syncMeanMs: chance(0.2) ? between(5, tickMs) : between(0.2, 3),
      segmentBytes: pick([4_096, 20_000, 64 * 1024 * 1024]),
      readMeanMs: mostlyNone(seededRandom(seed, 'slow reads'), 0.6) * 100,
    },
    endsSeen: mostlyNone(seededRandom(seed, 'ends seen'), 0.3),
    faults,
    faultGapMs: between(6, 60) * tickMs,
    faultLengthMs: between(3, 30) * tickMs,
    clockOffsetMs: between(0, 5_000),
    clockDriftMax: chance(0.5) ? 0 : 0.02 * random.next(),
    leaseTtlMs: between(1_000, 6_000),
    snapshotChunkPauseMs: pick([0, 1, 10]),
    raft: {
      tickMs,
      ...raftKnobs(random, isSlow),
      // The old entries and the first of the new term must not come in one letter.
      ...(faults.has('figure-8') && !isSlow && { messageBytesMax: 64 }),
    },
    store: { ...storeKnobs(random), ...valueKnobs(seededRandom(seed, 'values'), overrides.valuesInFiles) },
  };
}

/** Of a quarter of the seeds: as long as VOPR has them, and no longer than lets anybody be elected. */
function exponentialDelays(random: Random, tickMs: number) {
  if (random.next() >= 0.25) return undefined;
  const latencyMinMs = 30 * random.next() ** 2;
  const meanMs = 30 + random.next() * (Math.min(100, tickMs) - 30);
  return { latencyMinMs, latencyMeanMs: latencyMinMs + meanMs, latencyMaxMs: latencyMinMs + 10 * meanMs };
}

/** 0 with that probability, else anything up to 1. */
function mostlyNone(random: Random, probability: number): number {
  const isSome = random.next() >= probability;
  return isSome ? random.next() : 0;
}

function drawFaults(seed: number, only: readonly FaultKind[] | undefined): ReadonlyMap<FaultKind, number> {
  const faults = new Map<FaultKind, number>();
  for (const kind of faultKinds) {
    // With chances of its own, so that all else of a seed stays as it is when there is one kind more.
    const random = seededRandom(seed, `fault ${kind}`);
    const isDrawn = random.next() < 0.4;
    const weight = (0.2 + random.next() * 0.8) * weights[kind];
    if (only?.includes(kind) ?? isDrawn) faults.set(kind, weight);
  }
  const random = seededRandom(seed, 'focus');
  const kinds = [...faults.keys()];
  if (random.next() < 0.4 && kinds.length > 1) {
    const total = [...faults.values()].reduce((sum, weight) => sum + weight, 0);
    faults.set(kinds[random.integer(kinds.length)]!, total);
  }
  return faults;
}

/** After these a member may have to be replaced. */
const damaging: readonly FaultKind[] = [
  'rot',
  'misdirect',
  'lose-disk',
  'garble',
  'lose-write',
  'cut-file',
  'older-copy',
];

const weights: Readonly<Record<FaultKind, number>> = {
  split: 1,
  'isolate-leader': 1.5,
  'isolate-one': 1,
  'one-way': 1,
  bridge: 1,
  ring: 0.5,
  flap: 0.7,
  clog: 0.7,
  'fading-leader': 0.7,
  crash: 1.5,
  'crash-leader': 1.5,
  'crash-all': 0.7,
  'crash-at': 2,
  coup: 1.5,
  'figure-8': 0.7,
  stop: 0.5,
  pause: 1,
  'stall-disk': 1,
  'fail-fsync': 0.7,
  'fail-read': 0.3,
  'full-disk': 0.5,
  rot: 1,
  misdirect: 0.7,
  'lose-disk': 0.5,
  'clock-jump': 0.7,
  transfer: 0.7,
  burst: 0.7,
  'change-members': 3,
  'split-change': 1.5,
  noise: 0.7,
  narrow: 1,
  'slow-reads': 0.7,
  impostor: 0.7,
  scatter: 1,
  swizzle: 0.7,
  'burst-loss': 0.7,
  'client-loss': 0.7,
  reconnect: 0.7,
  'crash-loop': 0.7,
  reformat: 0.7,
  stutter: 0.5,
  'clock-sway': 0.5,
  'pause-client': 0.5,
  garble: 0.7,
  'lose-write': 0.7,
  'cut-file': 0.5,
  'older-copy': 0.7,
  'slow-follower': 0.7,
  'fall-behind': 1,
  'snapshot-storm': 0.5,
  'large-values': 0.5,
};

/** Small limits, so that what is rare with the defaults happens all the time. */
function raftKnobs(random: Random, slow: boolean): Partial<RaftLimits> {
  const pick = <T>(from: readonly T[]): T => from[random.integer(from.length)]!;
  return {
    snapshotEveryEntries: pick([10, 40, 200, 10_000]),
    trailingEntriesMax: pick([0, 5, 50, 5_000]),
    // One entry at a time over a slow network would be overload, which is another test.
    messageBytesMax: random.integer(3) === 0 && !slow ? 64 : 1024 * 1024,
    inflightMessagesMax: pick([1, 4, 256]),
    applyEntriesMax: random.integer(3) === 0 ? 1 : 1024,
    snapshotRetryTicks: 5 + random.integer(45),
    // Even a small snapshot is many pieces.
    snapshotPieceBytes: pick([100, 1_000, 262_144]),
    snapshotPiecesInFlightMax: pick([1, 3, 8]),
    snapshotPieceRetryTicks: 1 + random.integer(5),
    snapshotReadBytes: pick([100, 262_144]),
    // So low that calls are refused.
    pendingProposalsMax: pick([4, 65_536, 65_536]),
    pendingReadsMax: pick([4, 65_536, 65_536]),
    uncommittedBytesMax: pick([500, 64 * 1024 * 1024, 64 * 1024 * 1024]),
  };
}

/** Values leave memory as soon as there are a few, or at once. */
function valueKnobs(random: Random, wanted: boolean | undefined): Partial<StoreLimits> {
  const isDrawn = random.next() < 0.5;
  if (!(wanted ?? isDrawn)) return {};
  return {
    valuesUnfiledBytesMax: 100,
    valuesResidentBytesMax: [0, 300][random.integer(2)]!,
    valueCacheBytesMax: [0, 50, 1_000][random.integer(3)]!,
    valueSlabBytesMin: [1, 30, 200][random.integer(3)]!,
  };
}

function storeKnobs(random: Random): Partial<StoreLimits> {
  const pick = <T>(from: readonly T[]): T => from[random.integer(from.length)]!;
  return {
    snapshotChunkBytes: pick([1, 200, 65_536]),
    leaseCheckIntervalMs: 100 + random.integer(400),
    watchBatchEvents: pick([1, 2, 512]),
    watchProgressIntervalMs: 300 + random.integer(1_700),
    compactionRetentionMs: random.next() < 0.5 ? 1_000 + random.integer(8_000) : 300_000,
    compactStepRecords: pick([1, 10, 5_000]),
    hashCheckIntervalMs: 500 + random.integer(2_500),
    leaseGraceMs: random.integer(500),
    requestsInFlightMax: pick([4, 4_096, 4_096]),
    clockRecordIntervalMs: 500 + random.integer(5_000),
  };
}

/** One line for people. */
export function describeSwarm(swarm: Swarm): string {
  const { network, raft } = swarm;
  const percent = (part: number) => `${(part * 100).toFixed(0)}%`;
  return [
    `seed ${swarm.seed}: ${swarm.members} members, ${swarm.writers} writers, ${swarm.watchers} watchers,`,
    `${swarm.keys} keys, ${(swarm.safetyMs / 1000).toFixed(1)} s of faults, tick ${raft.tickMs} ms,`,
    ...(network.latencyMeanMs ? [`delays of ${network.latencyMeanMs.toFixed(0)} ms on average,`] : []),
    `loss ${percent(network.loss)}, duplicates ${percent(network.duplicate)}, reorder ${percent(network.reorder)},`,
    `snapshot every ${raft.snapshotEveryEntries}+${raft.trailingEntriesMax},`,
    `faults: ${[...swarm.faults.keys()].join(' ') || 'none'}`,
  ].join(' ');
}
