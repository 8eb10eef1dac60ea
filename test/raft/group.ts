/**
 * A whole group of `Raft` members in one thread and virtual time: seeded letters with delays and cuts,
 * storage that survives a crash and takes time to sync, a log of what each state machine was given.
 */
import { strict as assert } from 'node:assert';
import {
  logIndex,
  memberId,
  MemorySnapshots,
  MemoryStorage,
  Raft,
  joined,
  noMembers,
  type Clock,
  type Configuration,
  type Entry,
  type Fsm,
  type FsmSnapshot,
  type LogStorage,
  type MemberId,
  type Letter,
  type RaftLimits,
  type SaveBatch,
  type SavedLog,
  type SnapshotStore,
} from 'raft-consensus';

export const seeded = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
};

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  #events: Event[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): { cancel(): void } {
    const event: Event = {
      atMs: this.#nowMs + delayMs,
      order: this.#order++,
      run: callback,
      cancelled: false,
    };
    let at = this.#events.length;
    while (at > 0 && this.#events[at - 1]!.atMs > event.atMs) at--;
    this.#events.splice(at, 0, event);
    return { cancel: () => (event.cancelled = true) };
  }

  defer(callback: () => void): void {
    this.setTimer(0, callback);
  }

  /** Runs until `done` or until `limitMs` of virtual time have passed, which fails. */
  async until(done: () => boolean, limitMs = 20_000, what = 'the awaited state'): Promise<void> {
    const endMs = this.#nowMs + limitMs;
    await settle();
    while (!done()) {
      const event = this.#events.shift();
      assert(event !== undefined && event.atMs <= endMs, `${what} was not reached in ${limitMs} ms`);
      this.#nowMs = event.atMs;
      if (!event.cancelled) event.run();
      await settle();
    }
  }

  async pass(ms: number): Promise<void> {
    let over = false;
    this.setTimer(ms, () => (over = true));
    await this.until(() => over, ms);
  }
}

/** Lets promise chains that need no clock run dry: a bounded number of microtask turns. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await undefined;
}

/** Counts, and remembers what it was given. */
export class Counter implements Fsm<number> {
  total = 0;
  readonly applied: Entry[] = [];
  restores = 0;
  lastIndex = 0;
  /** How much larger its snapshots are than they need be. */
  paddingBytes = 0;

  apply(entries: readonly Entry[]): readonly number[] {
    return entries.map((entry) => {
      assert(entry.index > this.lastIndex, `entry ${entry.index} was applied again`);
      this.lastIndex = entry.index;
      this.applied.push(entry);
      this.total += Number(Buffer.from(entry.data).toString());
      return this.total;
    });
  }

  snapshot(): FsmSnapshot {
    const text = JSON.stringify({ total: this.total, lastIndex: this.lastIndex });
    return { chunks: () => [Buffer.from(text + ' '.repeat(this.paddingBytes))] };
  }

  async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const data = await joined(chunks);
    const state = JSON.parse(Buffer.from(data).toString()) as { total: number; lastIndex: number };
    this.total = state.total;
    this.lastIndex = state.lastIndex;
    this.restores++;
  }
}

/** A save takes `syncMs`; a stalled disk never answers, a broken one rejects. */
export class SlowStorage implements LogStorage {
  syncMs = 1;
  state: 'working' | 'stalled' | 'broken' = 'working';
  saves = 0;
  readonly #memory = new MemoryStorage();
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  load(): Promise<SavedLog> {
    return this.#memory.load();
  }

  async save(batch: SaveBatch): Promise<void> {
    this.saves++;
    if (this.state === 'broken') throw new Error('EIO');
    if (this.state === 'stalled') return new Promise(() => undefined);
    await new Promise<void>((resolve) => this.#clock.setTimer(this.syncMs, resolve));
    await this.#memory.save(batch);
  }

  compact(...args: Parameters<LogStorage['compact']>): Promise<void> {
    return this.#memory.compact(...args);
  }
}

export interface Seat {
  readonly id: MemberId;
  readonly storage: SlowStorage;
  readonly snapshots: MemorySnapshots;
  /** That it starts with; only its log counts later. */
  readonly configuration: Configuration;
  fsm: Counter;
  raft: Raft<number> | null;
  fatal: unknown;
}

/**
 * Where the members of a group keep their things, opened anew for each life; absent: in the seat's own
 * memory.
 */
export type OpenDisk = (id: MemberId) => { readonly storage: LogStorage; readonly snapshots: SnapshotStore };

export class Group {
  readonly clock = new VirtualClock();
  readonly seats = new Map<MemberId, Seat>();
  readonly sent: Letter[] = [];
  /** Directed: `a>b`. */
  readonly cut = new Set<string>();
  /** Letters that it refuses are lost. */
  filter: (message: Letter) => boolean = () => true;
  readonly #random: () => number;
  readonly #limits: Partial<RaftLimits>;
  readonly #openDisk: OpenDisk | undefined;

  constructor(names: readonly string[], seed = 1, limits: Partial<RaftLimits> = {}, openDisk?: OpenDisk) {
    this.#random = seeded(seed);
    this.#limits = limits;
    this.#openDisk = openDisk;
    const configuration = { voters: names.map(memberId), learners: [] };
    for (const name of names) this.#addSeat(name, configuration);
  }

  /** A member that no configuration names yet. */
  async join(name: string, configuration = noMembers): Promise<MemberId> {
    const { id } = this.#addSeat(name, configuration);
    await this.start(id);
    return id;
  }

  /** A member is gone for good, and its disk with it. */
  async discard(id: MemberId): Promise<void> {
    await this.kill(id);
    this.seats.delete(id);
  }

  #addSeat(name: string, configuration: Configuration): Seat {
    const seat = {
      id: memberId(name),
      storage: new SlowStorage(this.clock),
      snapshots: new MemorySnapshots(),
      configuration,
      fsm: new Counter(),
      raft: null,
      fatal: null,
    };
    this.seats.set(seat.id, seat);
    return seat;
  }

  static async started(names: readonly string[], seed = 1, limits: Partial<RaftLimits> = {}): Promise<Group> {
    const group = new Group(names, seed, limits);
    for (const id of group.seats.keys()) await group.start(id);
    return group;
  }

  seat(id: MemberId): Seat {
    return this.seats.get(id)!;
  }

  raft(id: MemberId): Raft<number> {
    return this.seat(id).raft!;
  }

  get running(): readonly Raft<number>[] {
    return [...this.seats.values()].flatMap((seat) => (seat.raft === null ? [] : [seat.raft]));
  }

  async start(id: MemberId): Promise<void> {
    const seat = this.seat(id);
    seat.fsm = new Counter();
    const { storage, snapshots } = this.#openDisk?.(id) ?? seat;
    seat.raft = await Raft.start({
      id,
      configuration: seat.configuration,
      fsm: seat.fsm,
      storage,
      snapshots,
      transport: { send: (to, message) => this.#carry(id, to, message) },
      clock: this.clock,
      random: this.#random,
      onFatal: (error) => {
        seat.fatal = error;
        seat.raft = null;
      },
      limits: this.#limits,
    });
  }

  /** As if its power had failed: no hand-over, unsaved work is lost. */
  async kill(id: MemberId): Promise<void> {
    const seat = this.seat(id);
    const { raft } = seat;
    seat.raft = null;
    void raft?.stop({ handOver: false });
    await this.clock.pass(0);
  }

  isolate(id: MemberId): void {
    for (const other of this.seats.keys()) this.cutBetween(id, other);
  }

  cutBetween(a: MemberId, b: MemberId): void {
    this.cut.add(`${a}>${b}`);
    this.cut.add(`${b}>${a}`);
  }

  heal(): void {
    this.cut.clear();
  }

  /** The leader of the highest term, once a majority of the running members follows it. */
  async leader(limitMs = 5_000): Promise<Raft<number>> {
    let found: Raft<number> | undefined;
    await this.clock.until(
      () => {
        found = this.running
          .filter((raft) => raft.isLeader())
          .toSorted((a, b) => b.stats().term - a.stats().term)[0];
        if (found === undefined) return false;
        const { id } = found;
        return this.running.filter((raft) => raft.leader() === id).length > this.seats.size / 2;
      },
      limitMs,
      'an agreed leader',
    );
    return found!;
  }

  /** Runs virtual time until the promise settles. */
  async settled<T>(promise: Promise<T>, limitMs = 20_000): Promise<T> {
    let over = false;
    const watch = (): void => void (over = true);
    promise.then(watch, watch);
    await this.clock.until(() => over, limitMs, 'the end of a call');
    return promise;
  }

  async converged(limitMs = 10_000): Promise<void> {
    await this.clock.until(
      () => {
        const ends = this.running.map((raft) => `${raft.stats().appliedIndex}/${raft.stats().lastIndex}`);
        return new Set(ends).size === 1 && ends[0]!.split('/')[0] === ends[0]!.split('/')[1];
      },
      limitMs,
      'the same applied log everywhere',
    );
    // And the leader hears of it.
    await this.clock.pass(20);
  }

  #carry(from: MemberId, to: MemberId, message: Letter): void {
    this.sent.push(message);
    if (this.cut.has(`${from}>${to}`) || !this.filter(message)) return;
    this.clock.setTimer(1 + Math.floor(this.#random() * 4), () => {
      if (!this.cut.has(`${from}>${to}`)) this.seats.get(to)?.raft?.receive(from, structuredClone(message));
    });
  }
}

export const bytes = (value: number | string): Uint8Array => Buffer.from(String(value));
export const at = logIndex;
