/**
 * The members of a store in the simulated world: real storage, real Raft, real key-value state, real actors. They are started,
 * killed, stopped and started again; whatever they do not survive on their own is a finding.
 */
import {
  type DiskOperation,
  isMember,
  memberId,
  type SnapshotMeta,
  type SnapshotSink,
  StorageError,
} from 'raft-consensus';
import { actorRef, seededRandom } from '../../../actors/runtime/index.js';
import {
  type MemberParts,
  type MemberStorage,
  openDiskStorage,
  storeMember,
  type StoreMessage,
} from '../../../actors/store/index.js';
import { type Clock, type JournalEvent, type NodeId, nodeId, type Random } from '../../../transport/index.js';
import { SimWorld } from '../world.js';
import { FlightRecorder } from './flight-recorder.js';
import type { PlantedBug } from './planted-bugs.js';
import { RaftInvariants } from './raft-invariants.js';
import type { Swarm } from './swarm.js';
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
  /** For good: its disk is lost. */
  isLost: boolean;
  /** The next fsync fails. */
  failsNextSync: boolean;
  /** Its fsyncs take until then. */
  stalledUntilMs: number;
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
  readonly #diskRandom: Random;
  readonly #clockRandom: Random;
  readonly #snapshotRandom: Random;
  #snapshotCrashes = 0;
  /** The first thing that went wrong. */
  violation: Violation | undefined;
  restarts = 0;
  /** The faults are over: disks are quick again. */
  isHealed = false;

  constructor(swarm: Swarm, options: { readonly journalMax: number; readonly bug?: PlantedBug | undefined }) {
    this.swarm = swarm;
    this.bug = options.bug;
    this.#diskRandom = seededRandom(swarm.seed, 'disks');
    this.#clockRandom = seededRandom(swarm.seed, 'clocks');
    this.#snapshotRandom = seededRandom(swarm.seed, 'snapshot disks');
    this.recorder = new FlightRecorder(options.journalMax, (event) => this.#onEvent(event));
    this.world = new SimWorld(swarm.seed, {
      journal: this.recorder,
      disk: (node, operation, file) => this.#disk(node, operation, file),
    });
    const names = Array.from({ length: swarm.members + swarm.spares }, (_, at) => `m${at + 1}`);
    this.refs = names.slice(0, swarm.members).map((name) => ({ name, ref: storeRef(name) }));
    this.members = names.map((name) => ({
      name,
      node: nodeId(name),
      parts: null,
      isUp: false,
      isLost: false,
      failsNextSync: false,
      stalledUntilMs: 0,
      starts: 0,
    }));
    this.truth = new Truth(() => this.world.simulation.nowMs, this.fail);
    this.invariants = new RaftInvariants(this.fail);
  }

  get nowMs(): number {
    return this.world.simulation.nowMs;
  }

  get living(): readonly Member[] {
    return this.members.filter((member) => member.isUp);
  }

  /** A minority may lose its disks and never come back; more the protocol cannot survive. */
  get mayLoseDisk(): boolean {
    if (this.swarm.spares > 0) return false;
    const lost = this.members.filter((member) => member.isLost).length;
    return lost + 1 <= Math.floor((this.members.length - 1) / 2);
  }

  /** Those that the group is made with. */
  get founders(): readonly Member[] {
    return this.members.slice(0, this.swarm.members);
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
    this.violation ??= new Violation(message);
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
    const { starts } = member;
    const { clockDriftMax } = this.swarm;
    if (clockDriftMax > 0) {
      const rate = 1 + clockDriftMax * (2 * this.#clockRandom.next() - 1);
      this.world.simulation.setClockRate(member.node, rate);
    }
    const isCurrent = () => member.isUp && member.starts === starts;
    const system = this.world.system(member.node);
    const { store, raft } = this.swarm;
    system.spawn(
      storeMember({
        name: member.name,
        members: this.refs,
        openStorage: async () => {
          const onDisk = openDiskStorage(await system.env.disk('store'), 'sim', member.name);
          const storage = withSlowSnapshots(onDisk, () => this.#betweenChunks(system.env.clock));
          return this.bug?.storage?.(storage) ?? storage;
        },
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

  /** Power off: what was not synced is lost or torn. */
  kill(member: Member): void {
    if (!member.isUp) return;
    member.isUp = false;
    member.parts = null;
    member.failsNextSync = false;
    member.stalledUntilMs = 0;
    this.invariants.ended(member.name);
    this.world.kill(member.node);
    this.restarts++;
  }

  /** To be called after every event. */
  check(): void {
    if (this.violation) throw this.violation;
    this.invariants.check();
    for (const { parts } of this.members) {
      if (parts) this.truth.compactedTo = Math.max(this.truth.compactedTo, parts.store.compactRevision);
    }
    if (this.bug?.step) {
      for (const { parts } of this.members) if (parts) this.bug.step(parts);
    }
  }

  #inspect(member: Member, parts: MemberParts): void {
    member.parts = parts;
    this.bug?.member?.(parts, this.world.simulation.env(member.node).clock);
    this.truth.follow(member.name, parts.store);
    this.invariants.started(parts.raft.core);
  }

  /** The process ends, as `deploy` would have it, and is started again. */
  #onFatal(member: Member, error: unknown): void {
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
    if (event.type !== 'crash' || event.actor !== '/store') return;
    const text = JSON.stringify(event.detail);
    if (text.includes(injected)) return;
    this.violation ??= new Violation(`the actor of ${event.node} crashed: ${text}`);
  }

  #betweenChunks(clock: Clock): Promise<void> {
    const { chunkMs } = this.swarm.snapshots;
    if (chunkMs === 0 || this.isHealed) return Promise.resolve();
    const delayMs = this.#snapshotRandom.next() * chunkMs;
    return new Promise((resolve) => void clock.setTimer(delayMs, resolve));
  }

  /** Power off between the call and its end: before the write, the fsync, the rename, the fsync of the folder ... */
  #crashesHere(member: Member, operation: DiskOperation, file: string): boolean {
    const { crashesMax, crashProbability } = this.swarm.snapshots;
    const isOfSnapshot = file.startsWith('snapshot-') || operation === 'syncDirectory';
    if (!isOfSnapshot || this.isHealed || this.#snapshotCrashes >= crashesMax) return false;
    if (this.#snapshotRandom.next() >= crashProbability) return false;
    this.#snapshotCrashes++;
    this.note('crash-in-snapshot', { member: member.name, operation, file });
    const { clock } = this.world.simulation;
    const { starts } = member;
    clock.setTimer(0.05, () => {
      if (member.starts !== starts) return;
      this.kill(member);
      clock.setTimer(this.#snapshotRandom.next() * 300, () => this.start(member));
    });
    return true;
  }

  #disk(node: NodeId, operation: DiskOperation, file: string): Error | number {
    const member = this.members.find((candidate) => candidate.node === node)!;
    if (this.#crashesHere(member, operation, file)) return 0.1;
    if (operation !== 'sync') return 0;
    if (member.failsNextSync) {
      member.failsNextSync = false;
      return new Error(injected);
    }
    const { syncMinMs, syncMeanMs } = this.isHealed ? healedDisk : this.swarm.disk;
    const usual = syncMinMs - Math.log(1 - this.#diskRandom.next()) * syncMeanMs;
    return Math.max(usual, member.stalledUntilMs - this.nowMs);
  }
}

/** Writing a small snapshot takes no time of its own. */
function withSlowSnapshots(storage: MemberStorage, pause: () => Promise<void>): MemberStorage {
  const { snapshots } = storage;
  const create = async (meta: SnapshotMeta): Promise<SnapshotSink> => {
    const sink = await snapshots.create(meta);
    const write = sink.write.bind(sink);
    sink.write = async (chunk) => {
      await write(chunk);
      await pause();
    };
    return sink;
  };
  return { ...storage, snapshots: { create, open: () => snapshots.open() } };
}

const healedDisk = { syncMinMs: 0.2, syncMeanMs: 0.5 };
const injected = 'the simulator broke this disk';

/** Wraps may be deep; an injected failure is at the bottom. */
function isDiskFailure(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (at.message.includes(injected)) return true;
    if (at instanceof StorageError && at.code === 'DiskFailed') return true;
  }
  return false;
}

function storeRef(name: string) {
  return actorRef<StoreMessage>(nodeId(name), '/store');
}
