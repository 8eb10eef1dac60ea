/**
 * Snapshots of the state machine: when to take one, and how one reaches a peer that is too far behind. None is
 * ever in memory whole. One is taken chunk by chunk, each in a turn of the event loop of its own, while the member
 * goes on; it travels in pieces (snapshot-pieces.ts). What becomes of the files is decided in one lane, in order,
 * so an older snapshot never lands on a newer.
 */
import { strict as assert } from 'node:assert';
import { RaftError } from './errors.js';
import type { RaftCore } from './core/core.js';
import type { SnapshotMessage } from './core/messages.js';
import type { InstalledSnapshot } from './core/ready.js';
import type { LogIndex, SnapshotMeta } from './core/types.js';
import type { Fsm } from './fsm.js';
import type { Observation } from './observer.js';
import {
  type Letter,
  type PieceLimits,
  PieceReceiver,
  PieceSender,
  type SnapshotPiece,
  type SnapshotPieceAccepted,
  type WholeSnapshot,
} from './snapshot-pieces.js';
import { chunksOf, SnapshotTravel } from './snapshot-travel.js';
import type { SnapshotInfo, SnapshotSink, SnapshotStore } from './storage.js';
import type { Clock } from './transport.js';

export interface SnapshotterOptions<Result> {
  readonly core: RaftCore;
  readonly fsm: Fsm<Result>;
  readonly store: SnapshotStore;
  readonly clock: Clock;
  /** Of the one that the state machine was restored from; 0: none. */
  readonly bytes: number;
  readonly limits: PieceLimits & {
    readonly snapshotEveryEntries: number;
    readonly snapshotEveryBytes: number;
    readonly snapshotAtBytesMax: number;
    readonly trailingEntriesMax: number;
    readonly trailingBytesMax: number;
    readonly transferTrailingBytesMax: number;
    readonly snapshotBytesMax: number;
    readonly snapshotReadBytes: number;
  };
  send(letter: Letter): void;
  /** A snapshot from the leader is there, for the core. */
  arrived(message: SnapshotMessage): void;
  observe(observation: Observation): void;
  fail(error: unknown): void;
}

export interface Compaction {
  readonly toIndex: LogIndex;
  readonly snapshot: SnapshotMeta;
}

const NO_DATA = new Uint8Array(0);

export class Snapshotter<Result> {
  readonly #options: SnapshotterOptions<Result>;
  #lane: Promise<unknown> = Promise.resolve();
  #taking = false;
  /** Snapshots from the leader that the state machine does not contain yet. */
  #installing = 0;
  #entriesSince = 0;
  #bytesSince = 0;
  /** Of the newest snapshot: the next is not worth its while before the log has grown as much. */
  #bytesOfLast: number;
  #compaction: Compaction | null = null;
  /** Whole, and waiting for the core to have it installed. */
  #staged: WholeSnapshot | null = null;
  /** To these a snapshot is being opened. */
  readonly #preparing = new Set<string>();
  readonly #sender: PieceSender;
  readonly #receiver: PieceReceiver;
  readonly #travel: SnapshotTravel;
  #stopped = false;

  constructor(options: SnapshotterOptions<Result>) {
    const { limits, store, send, fail } = options;
    this.#options = options;
    this.#bytesOfLast = options.bytes;
    this.#sender = new PieceSender(limits, send, (_to, error) => this.#onUnreadable(error));
    this.#travel = new SnapshotTravel({
      fsm: options.fsm,
      store,
      clock: options.clock,
      readBytes: limits.snapshotReadBytes,
    });
    this.#receiver = new PieceReceiver({
      store,
      limits,
      send,
      damaged: (reason) => options.observe({ type: 'snapshot-damaged', reason }),
      arrived: (whole) => this.#stage(whole),
      fail: (error) => {
        if (!this.#stopped) fail(error);
      },
    });
  }

  /** So much more was applied: takes a snapshot when it is time. */
  applied(entries: number, bytes: number): void {
    this.#entriesSince += entries;
    this.#bytesSince += bytes;
    this.#takeWhenDue();
  }

  #takeWhenDue(): void {
    const { snapshotEveryEntries, snapshotEveryBytes, snapshotAtBytesMax } = this.#options.limits;
    const isLong = this.#entriesSince >= snapshotEveryEntries || this.#bytesSince >= snapshotEveryBytes;
    if (!isLong || this.#bytesSince < Math.min(this.#bytesOfLast, snapshotAtBytesMax)) return;
    if (this.#taking || this.#installing > 0 || this.#stopped) return;
    this.take().catch((error: unknown) => {
      // One from the leader came in between, or the member ended.
      if (!(error instanceof RaftError && error.code === 'Dropped')) this.#options.fail(error);
    });
  }

  /** Resolves with the index that the snapshot covers. */
  async take(): Promise<LogIndex> {
    const { core } = this.#options;
    const index = core.appliedIndex;
    const term = core.log.term(index);
    // Without a term: the log already begins behind a snapshot that the state machine is about to be
    // restored from.
    if (this.#installing > 0 || this.#taking || index === 0 || term === null) {
      throw dropped('no snapshot can be taken now');
    }
    if (core.log.snapshot?.index === index) return index;
    return await this.#take({ index, term, configuration: core.configuration });
  }

  async #take(meta: SnapshotMeta): Promise<LogIndex> {
    const { fsm, store, observe } = this.#options;
    this.#taking = true;
    this.#entriesSince = 0;
    this.#bytesSince = 0;
    const captured = fsm.snapshot();
    let sink: SnapshotSink | null = null;
    try {
      sink = await store.create(meta);
      await this.#write(captured.chunks(), sink);
      const info = await this.#keep(meta, sink);
      captured.kept?.();
      observe({ type: 'snapshot-taken', index: meta.index, bytes: info.bytes });
    } catch (error) {
      if (error === this.#overtaken) await sink?.abort();
      throw error;
    } finally {
      captured.release?.();
      this.#taking = false;
    }
    // Much may have been applied meanwhile, and nothing for a long time from now on.
    this.#takeWhenDue();
    return meta.index;
  }

  async #write(chunks: Iterable<Uint8Array>, sink: SnapshotSink): Promise<void> {
    for (const chunk of chunks) {
      if (chunk.length > 0) await sink.write(chunk);
      await this.#turn();
      if (this.#installing > 0 || this.#stopped) throw this.#overtaken;
    }
  }

  readonly #overtaken = dropped('the snapshot is not wanted any more');

  #keep(meta: SnapshotMeta, sink: SnapshotSink): Promise<SnapshotInfo> {
    return this.#inLane(async () => {
      const { core } = this.#options;
      if (meta.index <= (core.log.snapshot?.index ?? 0) || this.#stopped) throw this.#overtaken;
      const info = await sink.commit();
      this.#bytesOfLast = info.bytes;
      // One from the leader may have overtaken it.
      if (meta.index > (core.log.snapshot?.index ?? 0)) this.#compact(meta);
      return info;
    });
  }

  /** A peer that is being sent a snapshot will need the log behind that one. */
  #compact(meta: SnapshotMeta): void {
    const { core, limits } = this.#options;
    const oldest = Math.min(this.#sender.oldestIndex ?? Infinity, this.#travel.oldestIndex ?? Infinity);
    const held = Math.max(0, meta.index - oldest);
    const isHeld = held > limits.trailingEntriesMax;
    const entriesMax = isHeld ? held : limits.trailingEntriesMax;
    const bytesMax = isHeld ? limits.transferTrailingBytesMax : limits.trailingBytesMax;
    this.#compaction = { toIndex: core.compact(meta, entriesMax, bytesMax), snapshot: meta };
  }

  /** What storage may drop now; to be done before the next save. */
  takeCompaction(): Compaction | null {
    const due = this.#compaction;
    this.#compaction = null;
    return due;
  }

  // ---- to a peer

  /** Begins to send; the core tries again later if nothing comes of it. */
  send(message: SnapshotMessage): void {
    if (this.#sender.isSending(message) || this.#preparing.has(message.to)) return;
    this.#preparing.add(message.to);
    this.#open(message)
      .catch((error: unknown) => this.#onUnreadable(error))
      .finally(() => this.#preparing.delete(message.to));
  }

  async #open(message: SnapshotMessage): Promise<void> {
    const { core, store, limits, observe } = this.#options;
    const stored = await store.open();
    if (stored === null) throw new RaftError('Corrupt', 'the newest snapshot is gone', { definite: true });
    const source = await this.#travel.formOf(stored);
    if (source === null) return;
    if (core.term !== message.term || core.role !== 'leader' || this.#stopped) return source.close();
    const { meta, bytes } = source;
    if (bytes > limits.snapshotBytesMax) {
      const reason = `${bytes} bytes exceed the limit of ${limits.snapshotBytesMax}`;
      observe({ type: 'snapshot-refused', peer: message.to, reason });
      return source.close();
    }
    this.#sender.begin(message, source);
    observe({ type: 'snapshot-sent', peer: message.to, index: meta.index, bytes });
  }

  /** The file has rotted; what is in memory has not. */
  #onUnreadable(error: unknown): void {
    if (this.#stopped) return;
    if ((error as { readonly code?: unknown } | null)?.code !== 'SnapshotCorrupt') {
      return this.#options.fail(error);
    }
    this.#options.observe({ type: 'snapshot-damaged', reason: (error as Error).message });
    const { core } = this.#options;
    const index = core.appliedIndex;
    const term = core.log.term(index);
    if (this.#taking || this.#installing > 0 || term === null) return;
    this.#take({ index, term, configuration: core.configuration }).catch((failure: unknown) => {
      if (failure !== this.#overtaken) this.#options.fail(failure);
    });
  }

  pieceAccepted(letter: SnapshotPieceAccepted): void {
    if (this.#sender.accepted(letter)) this.#options.core.reportSnapshotProgress(letter.from);
  }

  tick(): void {
    const { core } = this.#options;
    this.#sender.tick((to, term) => core.term === term && core.leader?.peers.get(to)?.state === 'snapshot');
    // The core had no use for it: the log had it all by then.
    if (this.#staged !== null && core.pendingSnapshot !== this.#staged.info.meta) this.#unstage();
  }

  stop(): void {
    this.#stopped = true;
    this.#sender.stop();
    this.#travel.stop();
    this.#receiver.forget();
    this.#unstage();
  }

  // ---- from a leader

  receivePiece(piece: SnapshotPiece): void {
    const { core, limits, send, arrived } = this.#options;
    const { from, to, term, meta, total, checksum } = piece;
    if (term < core.term || total > limits.snapshotBytesMax) return;
    if (meta.index <= core.commit || core.log.matches(meta.index, meta.term)) {
      // Nothing of it is needed: the core says so, and what was coming in is over.
      const { index } = meta;
      send({ type: 'snapshot-piece-accepted', from: to, to: from, term, index, checksum, received: total });
      return arrived({ type: 'snapshot', from, to, term, meta, data: NO_DATA });
    }
    this.#receiver.add(piece);
  }

  #stage(whole: WholeSnapshot): void {
    const { core, arrived } = this.#options;
    const { from, to, term, info } = whole;
    this.#unstage();
    this.#staged = whole;
    arrived({ type: 'snapshot', from, to, term, meta: info.meta, data: NO_DATA });
    if (core.pendingSnapshot !== info.meta) this.#unstage();
  }

  #unstage(): void {
    const staged = this.#staged;
    this.#staged = null;
    staged?.sink.abort().catch((error: unknown) => {
      if (!this.#stopped) this.#options.fail(error);
    });
  }

  /** Makes a snapshot from the leader durable. */
  async install({ meta }: InstalledSnapshot): Promise<void> {
    const staged = this.#staged;
    assert(staged !== null && staged.info.meta === meta, `snapshot ${meta.index} was never received`);
    this.#staged = null;
    this.#installing++;
    await this.#inLane(async () => {
      this.#bytesOfLast = (await staged.sink.commit()).bytes;
    });
  }

  /** False: it failed, and the member ends. */
  async restore({ meta }: InstalledSnapshot): Promise<boolean> {
    try {
      await this.#inLane(async () => {
        const { store, fsm, clock, limits } = this.#options;
        const source = await store.open();
        assert(source?.meta.index === meta.index, `snapshot ${meta.index} is not the newest`);
        await fsm.restore(chunksOf(source, limits.snapshotReadBytes, clock));
      });
      this.#installing--;
      this.#entriesSince = 0;
      this.#bytesSince = 0;
      return true;
    } catch (error) {
      this.#options.fail(error);
      return false;
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.defer(resolve));
  }

  #inLane<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#lane.then(work);
    // The lane goes on; whoever queued the work gets its error.
    this.#lane = done.catch(() => undefined);
    return done;
  }
}

const dropped = (why: string): RaftError => new RaftError('Dropped', why, { definite: true });
