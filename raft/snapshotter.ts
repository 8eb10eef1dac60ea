/**
 * Snapshots of the state machine: when to take one, and how one reaches a peer that is too far behind. All
 * writes go through one lane, in order, so an older snapshot never lands on a newer. A small snapshot travels
 * as one letter, a larger one in pieces (snapshot-pieces.ts); the core sees whole ones only.
 */
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
} from './snapshot-pieces.js';
import type { SnapshotStore } from './storage.js';

export interface SnapshotterOptions<Result> {
  readonly core: RaftCore;
  readonly fsm: Fsm<Result>;
  readonly store: SnapshotStore;
  readonly limits: PieceLimits & {
    readonly snapshotEveryEntries: number;
    readonly snapshotEveryBytes: number;
    readonly trailingEntriesMax: number;
    readonly trailingBytesMax: number;
    readonly snapshotBytesMax: number;
  };
  send(letter: Letter): void;
  observe(observation: Observation): void;
  fail(error: unknown): void;
}

export interface Compaction {
  readonly toIndex: LogIndex;
  readonly snapshot: SnapshotMeta;
}

export class Snapshotter<Result> {
  readonly #options: SnapshotterOptions<Result>;
  #lane: Promise<unknown> = Promise.resolve();
  #taking = false;
  /** Snapshots from the leader that the state machine does not contain yet. */
  #installing = 0;
  #entriesSince = 0;
  #bytesSince = 0;
  #compaction: Compaction | null = null;
  readonly #sender: PieceSender;
  readonly #receiver = new PieceReceiver();

  constructor(options: SnapshotterOptions<Result>) {
    this.#options = options;
    this.#sender = new PieceSender(options.limits, options.send);
  }

  /** So much more was applied: takes a snapshot when it is time. */
  applied(entries: number, bytes: number): void {
    this.#entriesSince += entries;
    this.#bytesSince += bytes;
    const { snapshotEveryEntries, snapshotEveryBytes } = this.#options.limits;
    if (this.#entriesSince < snapshotEveryEntries && this.#bytesSince < snapshotEveryBytes) return;
    if (this.#taking || this.#installing > 0) return;
    this.take().catch((error: unknown) => this.#options.fail(error));
  }

  /** Resolves with the index that the snapshot covers. */
  async take(): Promise<LogIndex> {
    const { core, fsm, store, limits, observe } = this.#options;
    const index = core.appliedIndex;
    const term = core.log.term(index);
    // Without a term: the log already begins behind a snapshot that the state machine is about to be
    // restored from.
    if (this.#installing > 0 || this.#taking || index === 0 || term === null) {
      throw new RaftError('Dropped', 'no snapshot can be taken now', { definite: true });
    }
    if (core.log.snapshot?.index === index) return index;
    const meta: SnapshotMeta = { index, term, configuration: core.configuration };
    this.#taking = true;
    this.#entriesSince = 0;
    this.#bytesSince = 0;
    try {
      const captured = fsm.snapshot();
      const data = await this.#inLane(async () => {
        const bytes = await captured.persist();
        await store.save(meta, bytes);
        return bytes;
      });
      // One from the leader may have overtaken it.
      if (index > (core.log.snapshot?.index ?? 0)) {
        const toIndex = core.compact(meta, limits.trailingEntriesMax, limits.trailingBytesMax);
        this.#compaction = { toIndex, snapshot: meta };
      }
      observe({ type: 'snapshot-taken', index, bytes: data.length });
      return index;
    } finally {
      this.#taking = false;
    }
  }

  /** What storage may drop now; to be done before the next save. */
  takeCompaction(): Compaction | null {
    const due = this.#compaction;
    this.#compaction = null;
    return due;
  }

  /** Fills in the bytes and sends; the core tries again later if nothing comes of it. */
  send(message: SnapshotMessage): void {
    const { core, store, limits, send, observe, fail } = this.#options;
    store
      .load()
      .then((stored) => {
        if (core.term !== message.term || core.role !== 'leader') return;
        if (stored === null)
          throw new RaftError('Corrupt', 'the newest snapshot is gone', { definite: true });
        const bytes = stored.data.length;
        if (bytes > limits.snapshotBytesMax) {
          const reason = `${bytes} bytes exceed the limit of ${limits.snapshotBytesMax}`;
          return observe({ type: 'snapshot-refused', peer: message.to, reason });
        }
        const full = { ...message, meta: stored.meta, data: stored.data };
        if (bytes <= limits.snapshotPieceBytes) send(full);
        else this.#sender.begin(full);
        observe({ type: 'snapshot-sent', peer: message.to, index: stored.meta.index, bytes });
      })
      .catch(fail);
  }

  /** The whole snapshot when this was its last piece, for the core. */
  receivePiece(piece: SnapshotPiece): SnapshotMessage | undefined {
    const { core, limits, send } = this.#options;
    const { from, to, term, meta } = piece;
    if (term < core.term || piece.total > limits.snapshotBytesMax) return undefined;
    const { received, whole } = this.#receiver.add(piece);
    send({ type: 'snapshot-piece-accepted', from: to, to: from, term, index: meta.index, received });
    return whole && { type: 'snapshot', from, to, term, meta, data: whole };
  }

  pieceAccepted(letter: SnapshotPieceAccepted): void {
    if (this.#sender.accepted(letter)) this.#options.core.reportSnapshotProgress(letter.from);
  }

  tick(): void {
    const { core } = this.#options;
    this.#sender.tick(core.role === 'leader' ? core.term : null);
  }

  /** Makes a snapshot from the leader durable. */
  async install(snapshot: InstalledSnapshot): Promise<void> {
    this.#installing++;
    await this.#inLane(() => this.#options.store.save(snapshot.meta, snapshot.data));
  }

  /** False: it failed, and the member ends. */
  async restore(snapshot: InstalledSnapshot): Promise<boolean> {
    try {
      await this.#inLane(async () => this.#options.fsm.restore(snapshot.data));
      this.#installing--;
      this.#entriesSince = 0;
      this.#bytesSince = 0;
      return true;
    } catch (error) {
      this.#options.fail(error);
      return false;
    }
  }

  #inLane<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#lane.then(work);
    // The lane goes on; whoever queued the work gets its error.
    this.#lane = done.catch(() => undefined);
    return done;
  }
}
