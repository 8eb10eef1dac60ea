/**
 * Backups that a member hands out: its state of one moment, in pieces that the taker asks for one by one, while commands are
 * applied. A piece that got lost is asked for again. A session that nobody asks of is given up, since it keeps compaction
 * from freeing memory.
 */
import { KvError, type KvSnapshot, type KvStore } from 'raft-consensus';
import type { Clock, Random } from '../../../transport/index.js';
import { backupLimits } from './limits.js';
import type { BackupOpened, BackupPiece } from './messages.js';

interface Session {
  readonly snapshot: KvSnapshot;
  readonly chunks: Iterator<Uint8Array>;
  /** Number of the piece that was made last; it is kept until the next is asked for. */
  number: number;
  piece: Promise<BackupPiece> | undefined;
  usedAtMs: number;
}

export class BackupSessions {
  readonly #store: KvStore;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #sessions = new Map<string, Session>();

  constructor(store: KvStore, { clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#store = store;
    this.#clock = clock;
    this.#random = random;
  }

  open(): BackupOpened {
    if (this.#sessions.size >= backupLimits.sessionsMax) {
      throw new KvError(
        'InvalidArgument',
        `${backupLimits.sessionsMax} backups of this member are being taken`,
      );
    }
    const store = this.#store;
    const snapshot = store.snapshot();
    // Never that of an earlier life: pieces of two states would make a backup of neither.
    const id = `backup-${this.#random.integer(0x7fff_ffff)}-${this.#random.integer(0x7fff_ffff)}`;
    const usedAtMs = this.#clock.monotonicMs();
    this.#sessions.set(id, {
      snapshot,
      chunks: snapshot.chunks(),
      number: -1,
      piece: undefined,
      usedAtMs,
    });
    const { revision, compactRevision, appliedIndex, keyCount, sizeBytes } = store;
    return { id, revision, compactRevision, appliedIndex, keys: keyCount, sizeBytes };
  }

  /** `number` counts from 0; the piece before may be asked for again. */
  async read(id: string, number: number): Promise<BackupPiece> {
    const session = this.#sessions.get(id);
    if (!session)
      throw new KvError('InvalidArgument', `there is no backup ${id}: it was given up or is over`);
    session.usedAtMs = this.#clock.monotonicMs();
    if (number === session.number + 1) {
      session.number = number;
      session.piece = this.#next(session);
    } else if (number !== session.number) {
      throw new KvError('InvalidArgument', `piece ${number} of ${id} is gone or not due`);
    }
    return await session.piece!;
  }

  close(id: string): void {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    session?.chunks.return?.();
    session?.snapshot.release();
  }

  /** To be called now and then. */
  expire(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [id, { usedAtMs }] of this.#sessions) {
      if (nowMs - usedAtMs >= backupLimits.sessionIdleMs) this.close(id);
    }
  }

  async #next({ chunks }: Session): Promise<BackupPiece> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    while (bytes < backupLimits.pieceBytes) {
      const { value, done } = chunks.next();
      if (done) return { bytes: joined(parts), isLast: true };
      parts.push(value);
      bytes += value.length;
      // So much may be done at once, and not more: heartbeats and writes come between.
      await new Promise<void>((resolve) => this.#clock.defer(resolve));
    }
    return { bytes: joined(parts), isLast: false };
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
