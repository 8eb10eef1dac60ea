/**
 * The members of a store in the simulated world: real storage, real Raft, real key-value state, real actors. They are started,
 * killed, stopped and started again, with the disks that they had; whatever they do not survive on their own is a finding.
 */
import {
  type Configuration,
  type DiskOperation,
  isMember,
  defaultRaftLimits,
  memberId,
  type SimDisk,
} from 'raft-consensus';
import { actorRef, type Env, seededRandom } from '../../../actors/runtime/index.js';
import {
  type MemberParts,
  type MemberStorage,
  openDiskStorage,
  storeMember,
  type StoreMessage,
} from '../../../actors/store/index.js';
import { type Clock, type JournalEvent, type NodeId, nodeId, type Random } from '../../../transport/index.js';
import { SimWorld } from '../world.js';
import { checkBounds } from './bounds-check.js';
import { tellingBlockingReads } from './blocking-reads.js';
import { type CrashPoint, diskPoint, letterPoint } from './crash-points.js';
import { DurabilityCheck } from './durability-check.js';
import { exponential } from './exponential.js';
import { configurationsKnownTo, FaultAtlas, isDamage } from './fault-atlas.js';
import { FlightRecorder } from './flight-recorder.js';
import { isDiskFailure, MemberDisk } from './member-disk.js';
import type { PlantedBug } from './planted-bugs.js';
import { ReadTimes } from './read-times.js';
import { RaftInvariants } from './raft-invariants.js';
import { withSlowSnapshots } from './slow-snapshots.js';
import type { Swarm } from './swarm.js';
import type { Toll } from './toll.js';
import { Truth } from './truth.js';

export class Violation extends Error {
  override readonly name = 'Violation';
}

export interface Member {
  readonly name: string;
  readonly node: NodeId;
  /** Null while it is down, or loading. */
  parts: MemberParts | null;
  isUp: boolean;
  /** For good: it said so itself when it was started with a damaged or empty disk. */
  isLost: boolean;
  /** It has been up with the disk that it has, or had. */
  hasRun: boolean;
  readonly disk: MemberDisk;
  readonly durability: DurabilityCheck;
  /** Where it shall crash, after it was there so many times. */
  crashAt: { readonly point: CrashPoint; times: number } | undefined;
  /** As it knew when it was last up, those that wait to be applied included. */
  lastConfigurations: readonly Configuration[];
  /** It stands still until then. */
  pausedUntilMs: number;
  starts: number;
}

export class StoreGroup {
  readonly swarm: Swarm;
  readonly recorder: FlightRecorder;
  readonly world: SimWorld<FlightRecorder>;
  readonly members: readonly Member[];
  readonly refs: readonly { readonly name: string; readonly ref: ReturnType<typeof storeRef> }[];
  readonly truth: Truth;
  readonly invariants: RaftInvariants;
  readonly bug: PlantedBug | undefined;
  readonly atlas: FaultAtlas;
  /** Where members have crashed on purpose. */
  readonly crashPoints = new Set<CrashPoint>();
  readonly #diskRandom: Random;
  readonly #clockRandom: Random;
  readonly #pauseRandom: Random;
  readonly #valueRandom: Random;
  readonly #slowSyncRandom: Random;
  readonly #reads: ReadTimes;
  readonly #endRandom: Random;
  readonly #ends = { ends: 0, endsSeen: 0, leaderEndsSeen: 0 };
  /** The first thing that went wrong. */
  violation: Violation | undefined;
  restarts = 0;
  /** The faults are over: disks are quick again. */
  isHealed = false;
  #boundsDueMs = 0;
  /** Clients ask ten times as fast as usual. */
  burstUntilMs = 0;
  /** Machines of clients. */
  readonly clients: NodeId[] = [];
  /** Lets a client write so many values of so many bytes, and read them; set by who has such a client. */
  writeLarge: ((count: number, bytes: number) => void) | undefined;

  constructor(swarm: Swarm, options: { readonly journalMax: number; readonly bug?: PlantedBug | undefined }) {
    this.swarm = swarm;
    this.bug = options.bug;
    this.#diskRandom = seededRandom(swarm.seed, 'disks');
    this.#clockRandom = seededRandom(swarm.seed, 'clocks');
    this.#pauseRandom = seededRandom(swarm.seed, 'snapshot pauses');
    this.#valueRandom = seededRandom(swarm.seed, 'value disks');
    this.#slowSyncRandom = seededRandom(swarm.seed, 'slow syncs');
    this.#reads = new ReadTimes(swarm);
    this.#endRandom = seededRandom(swarm.seed, 'ends');
    this.recorder = new FlightRecorder(options.journalMax, (event) => this.#onEvent(event));
    this.world = new SimWorld(swarm.seed, {
      journal: this.recorder,
      disk: (node, operation, file) => this.#disk(node, operation, file),
      diskDone: (node, operation, file) => this.#reached(node, diskPoint('after', operation, file)),
    });
    const names = Array.from({ length: swarm.members + swarm.spares }, (_, at) => `m${at + 1}`);
    this.refs = names.slice(0, swarm.members).map((name) => ({ name, ref: storeRef(name) }));
    this.members = names.map((name) => ({
      name,
      node: nodeId(name),
      parts: null,
      isUp: false,
      isLost: false,
      hasRun: false,
      disk: new MemberDisk(),
      durability: new DurabilityCheck(name, this.fail),
      crashAt: undefined,
      lastConfigurations: [],
      pausedUntilMs: 0,
      starts: 0,
    }));
    this.atlas = new FaultAtlas(this.members);
    this.truth = new Truth(() => this.world.simulation.nowMs, this.fail);
    this.invariants = new RaftInvariants(this.fail);
  }

  get nowMs(): number {
    return this.world.simulation.nowMs;
  }

  get toll(): Toll {
    const { slow, blocking } = this.#reads;
    return { ...this.#ends, slowReads: slow, blockingReads: blocking, ...this.world.network.paths.counts };
  }

  get living(): readonly Member[] {
    return this.members.filter((member) => member.isUp);
  }

  /** Mean time between two requests of a client, now. */
  get thinkMs(): number {
    const { periodMs, busyShare, busyThinkMs, quietThinkMs } = this.swarm.load;
    const usual = (this.nowMs % periodMs) / periodMs < busyShare ? busyThinkMs : quietThinkMs;
    return this.nowMs < this.burstUntilMs ? Math.min(usual, busyThinkMs) / 10 : usual;
  }

  diskOf(member: Member): SimDisk | undefined {
    return this.world.diskOf(member.node, 'store');
  }

  /** Those that the group is made with. */
  get founders(): readonly Member[] {
    return this.members.slice(0, this.swarm.members);
  }

  /** Those that may join it. */
  get spares(): readonly Member[] {
    return this.members.slice(this.swarm.members);
  }

  /** Those who belong to the group as its leader knows it; nobody while it has none. */
  get belonging(): readonly Member[] {
    const configuration = this.leader()?.parts?.raft.configuration();
    return this.members.filter(({ name }) => configuration && isMember(configuration, memberId(name)));
  }

  /** Of the highest term, if several believe to lead. */
  leader(): Member | undefined {
    return this.living
      .filter((member) => member.parts?.raft.isLeader())
      .toSorted((a, b) => b.parts!.raft.core.term - a.parts!.raft.core.term)[0];
  }

  /** Kept as well as thrown: an error inside a listener is the member's to handle. */
  readonly fail = (message: string): never => {
    const text = message.length > messageLengthMax ? `${message.slice(0, messageLengthMax)} ...` : message;
    this.violation ??= new Violation(text);
    throw this.violation;
  };

  note(kind: string, detail: Readonly<Record<string, string | number | boolean>> = {}): void {
    const at = this.world.simulation.clock.nowMs();
    this.recorder.record({ type: 'fault', at, lamport: 0, node: nodeId('nemesis'), kind, detail });
  }

  start(member: Member): void {
    if (member.isUp || member.isLost) return;
    member.isUp = true;
    member.starts++;
    member.pausedUntilMs = 0;
    const { starts } = member;
    const { clockDriftMax } = this.swarm;
    if (clockDriftMax > 0) {
      const rate = 1 + clockDriftMax * (2 * this.#clockRandom.next() - 1);
      this.world.simulation.setClockRate(member.node, rate);
    }
    const isCurrent = () => member.isUp && member.starts === starts;
    const system = this.world.system(member.node);
    if (this.bug?.believesNames) system.sender = () => undefined;
    const { store, raft } = this.swarm;
    system.spawn(
      storeMember({
        name: member.name,
        members: this.refs,
        openStorage: () => this.#openStorage(member, system.env),
        onFatal: (error) => {
          if (isCurrent()) this.#onFatal(member, error);
        },
        limits: { raft, store: { ...store, ...this.bug?.limits } },
        inspect: (parts) => {
          if (isCurrent()) this.#inspect(member, parts);
        },
      }),
    );
    void system.whenFailed.then((error) => {
      if (isCurrent()) this.#onFatal(member, error);
    });
  }

  async #openStorage(member: Member, env: Env): Promise<MemberStorage> {
    const disk = await env.disk('store');
    const telling = tellingBlockingReads(disk, {
      begins: () => (member.disk.isBlocking = true),
      ended: () => {
        member.disk.isBlocking = false;
        this.#hasReadNow(member);
      },
    });
    const { segmentBytes } = this.swarm.disk;
    const open = () => {
      const hasRunBefore = member.hasRun && this.bug?.forgetsThatItRan !== true;
      return openDiskStorage(telling, 'sim', member.name, { segmentBytes, hasRunBefore });
    };
    const onDisk = this.bug?.open?.(disk as SimDisk, open) ?? open();
    const storage = withSlowSnapshots(onDisk, () => this.#betweenChunks(env.clock));
    return member.durability.follow(this.bug?.storage?.(storage, env.clock) ?? storage);
  }

  /** As SIGSTOP does, for so long. */
  pause(member: Member, lengthMs: number): void {
    const { simulation } = this.world;
    const { starts } = member;
    member.pausedUntilMs = Math.max(member.pausedUntilMs, this.nowMs + lengthMs);
    simulation.pause(member.node);
    simulation.clock.setTimer(lengthMs, () => {
      if (member.starts !== starts || !member.isUp || this.nowMs < member.pausedUntilMs) return;
      simulation.resume(member.node);
    });
  }

  /** Power off: what was not synced is lost or torn. Its peers may see that its process has ended, or only hear nothing more. */
  kill(member: Member): void {
    if (!member.isUp) return;
    const isSeen = this.#endRandom.next() < this.swarm.endsSeen;
    this.#ends.ends++;
    if (isSeen) this.#ends.endsSeen++;
    if (isSeen && member.parts?.raft.isLeader()) this.#ends.leaderEndsSeen++;
    member.isUp = false;
    if (member.parts) member.lastConfigurations = configurationsKnownTo(member.parts);
    member.parts = null;
    member.disk.restarted();
    this.invariants.ended(member.name);
    this.world.kill(member.node, isSeen ? 'seen' : 'silent');
    this.restarts++;
  }

  /** To be called after every event. */
  check(): void {
    if (this.violation) throw this.violation;
    this.invariants.check();
    for (const { parts } of this.members) {
      if (parts) this.truth.compactedTo = Math.max(this.truth.compactedTo, parts.store.compactRevision);
    }
    if (this.nowMs >= this.#boundsDueMs) this.#checkBounds();
    if (this.bug?.step) {
      for (const { parts } of this.members) if (parts) this.bug.step(parts);
    }
  }

  #checkBounds(): void {
    this.#boundsDueMs = this.nowMs + boundsEveryMs;
    const limits = { ...defaultRaftLimits, ...this.swarm.raft };
    for (const member of this.members) {
      const { name, parts } = member;
      if (parts) checkBounds({ name, parts, disk: this.diskOf(member)!, limits }, this.fail);
    }
  }

  #inspect(member: Member, parts: MemberParts): void {
    member.parts = parts;
    member.hasRun = true;
    this.bug?.member?.(parts, this.world.simulation.env(member.node).clock);
    const { starts } = member;
    this.truth.follow(member.name, parts.store, {
      isAlive: () => member.isUp && member.starts === starts,
      onApply: () => this.#reached(member.node, 'apply'),
      onRestore: () => this.#reached(member.node, 'restore'),
    });
    this.invariants.started(parts.raft.core);
    this.#followSteps(member, parts);
  }

  /** Points between those of disk, letters and state. */
  #followSteps(member: Member, { raft, store }: MemberParts): void {
    const compactStep = store.compactStep.bind(store);
    store.compactStep = (recordsMax) => {
      this.#reached(member.node, 'before compaction step');
      const isMore = compactStep(recordsMax);
      this.#reached(member.node, 'after compaction step');
      return isMore;
    };
    raft.observe(({ type }) => {
      if (type === 'configuration-changed') this.#reached(member.node, 'configure');
    });
  }

  /** The process ends, as `deploy` would have it, and is started again. */
  #onFatal(member: Member, error: unknown): void {
    if (isDamage(error) && this.atlas.isDamaged(member)) return this.#giveUp(member);
    if (!isDiskFailure(error)) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.violation ??= new Violation(`${member.name} ended: ${text}`, { cause: error });
      return;
    }
    this.note('disk-failed', { member: member.name });
    this.kill(member);
    this.world.simulation.clock.setTimer(50 + this.#diskRandom.next() * 500, () => this.start(member));
  }

  /** A member's actor that crashes would be restarted by its supervisor, and the reason be forgotten. */
  #onEvent(event: JournalEvent): void {
    if (event.type === 'send' && event.kind) this.#reached(event.node, letterPoint(event.kind));
    if (event.type !== 'crash' || event.actor !== '/store') return;
    const text = JSON.stringify(event.detail);
    const member = this.members.find(({ node }) => node === event.node)!;
    // The code of one that was just killed goes on to its next wait, and finds its disk gone.
    if (!member.isUp) return;
    // What the disk does to it while it starts, it may say; `#onFatal` sees the whole error when it has given up.
    const isBad = member.disk.hasFailed || this.atlas.isDamaged(member);
    if (isBad && /StorageError|RaftError/.test(text)) return;
    this.violation ??= new Violation(`the actor of ${event.node} crashed: ${text}`);
  }

  #giveUp(member: Member): void {
    this.note('refuses-to-start', { member: member.name });
    this.kill(member);
    member.isLost = true;
  }

  #betweenChunks(clock: Clock): Promise<void> {
    const { snapshotChunkPauseMs } = this.swarm;
    if (snapshotChunkPauseMs === 0 || this.isHealed) return Promise.resolve();
    const delayMs = this.#pauseRandom.next() * snapshotChunkPauseMs;
    return new Promise((resolve) => void clock.setTimer(delayMs, resolve));
  }

  /** A member is at a point that has a name: if it shall crash there, it does at once. */
  #reached(node: NodeId, point: CrashPoint | undefined): void {
    if (point === undefined) return;
    const member = this.members.find((candidate) => candidate.node === node);
    if (!member?.isUp || member.crashAt?.point !== point || --member.crashAt.times > 0) return;
    member.crashAt = undefined;
    this.note('crashed-at', { member: member.name, point });
    this.crashPoints.add(point);
    this.kill(member);
    this.world.simulation.clock.setTimer(this.#diskRandom.next() * 500, () => this.start(member));
  }

  #disk(node: NodeId, operation: DiskOperation, file: string): Error | number {
    this.#reached(node, diskPoint('before', operation, file));
    const { disk } = this.members.find((candidate) => candidate.node === node)!;
    const failure = disk.failure(operation, file, this.nowMs);
    if (failure) return failure;
    if (operation === 'read' && !disk.isBlocking && !this.isHealed) return this.#reads.ms(disk, this.nowMs);
    if (operation !== 'sync') return 0;
    const { syncMinMs, syncMeanMs } = this.isHealed ? healedDisk : this.swarm.disk;
    // A stream of their own: files of values move nothing else.
    const random = file.startsWith('values-') ? this.#valueRandom : this.#diskRandom;
    const { slowSyncs } = disk;
    const slowMs = this.nowMs < slowSyncs.untilMs ? exponential(this.#slowSyncRandom, slowSyncs.meanMs) : 0;
    const usual = syncMinMs + exponential(random, syncMeanMs) + slowMs;
    return Math.max(usual, disk.stalledUntilMs - this.nowMs);
  }

  #hasReadNow(member: Member): void {
    if (!member.isUp || this.isHealed) return;
    const lengthMs = this.#reads.blockingMs(member.disk, this.nowMs);
    if (lengthMs > 0) this.pause(member, lengthMs);
  }
}

const boundsEveryMs = 500;
/** Values may be long. */
const messageLengthMax = 4_000;
const healedDisk = { syncMinMs: 0.2, syncMeanMs: 0.5 };

function storeRef(name: string) {
  return actorRef<StoreMessage>(nodeId(name), '/store');
}
