/**
 * The state of one member as a stream of snapshot bytes, pulled piece by piece; the side of whoever takes the backup. Reads
 * are repeated when an answer gets lost; a member that restarts in between has forgotten the backup, and it fails.
 */
import { type ActorRef, type ActorSystem, AskError } from '../../runtime/index.js';
import { StoreError } from '../client.js';
import type { StoreMessage, StoreReply, StoreRequest } from '../messages.js';
import { backupLimits } from './limits.js';
import type { BackupOpened } from './messages.js';

type Reply<T extends StoreReply['type']> = Extract<StoreReply, { type: T }>;
type Unaddressed<T> = T extends unknown ? Omit<T, 'replyTo'> : never;

export class BackupSource {
  readonly #system: ActorSystem;
  readonly #member: ActorRef<StoreMessage>;
  readonly opened: BackupOpened;
  /** All that was acknowledged before it was opened is in it; false when no leader could vouch for that. */
  readonly isCurrent: boolean;

  /** Rejects with StoreError. Without a quorum the member gives what it has. */
  static async open(system: ActorSystem, member: ActorRef<StoreMessage>): Promise<BackupSource> {
    try {
      const { opened } = await ask(system, member, openRequest(false), 'StoreBackupIs');
      return new BackupSource(system, member, opened, true);
    } catch (error) {
      if (!(error instanceof StoreError) || !['NoLeader', 'Timeout'].includes(error.code)) throw error;
    }
    const { opened } = await ask(system, member, openRequest(true), 'StoreBackupIs');
    return new BackupSource(system, member, opened, false);
  }

  private constructor(
    system: ActorSystem,
    member: ActorRef<StoreMessage>,
    opened: BackupOpened,
    isCurrent: boolean,
  ) {
    this.#system = system;
    this.#member = member;
    this.opened = opened;
    this.isCurrent = isCurrent;
  }

  /** To be read to the end, or ended with `return`. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    const { id } = this.opened;
    try {
      for (let number = 0, isLast = false; !isLast; number++) {
        const { piece } = await this.#read(number);
        yield piece.bytes;
        isLast = piece.isLast;
      }
    } finally {
      this.#system.tell<StoreMessage>(this.#member, { type: 'StoreBackupClose', id });
    }
  }

  async #read(number: number): Promise<Reply<'StoreBackupPiece'>> {
    const request = { type: 'StoreBackupRead' as const, id: this.opened.id, number };
    for (let tries = 1; ; tries++) {
      try {
        return await ask(this.#system, this.#member, request, 'StoreBackupPiece');
      } catch (error) {
        const isLost = error instanceof StoreError && error.code === 'Timeout';
        if (!isLost || tries === backupLimits.readTriesMax) throw error;
      }
    }
  }
}

const openRequest = (serializable: boolean) => ({ type: 'StoreBackupOpen' as const, serializable });

async function ask<T extends StoreReply['type']>(
  system: ActorSystem,
  member: ActorRef<StoreMessage>,
  request: Unaddressed<StoreRequest>,
  wanted: T,
): Promise<Reply<T>> {
  const reply = await answer(system, member, request);
  if (reply.type === 'StoreFailed') throw new StoreError(reply.code, reply.message, reply.definite);
  if (reply.type !== wanted) throw new TypeError(`the store answered ${reply.type} to ${request.type}`);
  return reply as Reply<T>;
}

/** What did not leave is sent again; what may have arrived is not. */
async function answer(
  system: ActorSystem,
  member: ActorRef<StoreMessage>,
  request: Unaddressed<StoreRequest>,
): Promise<StoreReply> {
  const { clock } = system.env;
  const deadlineMs = clock.monotonicMs() + backupLimits.readTimeoutMs;
  for (;;) {
    const timeoutMs = Math.max(1, deadlineMs - clock.monotonicMs());
    try {
      return await system.ask<StoreMessage, StoreReply>(
        member,
        (replyTo) => ({ ...request, replyTo }) as StoreRequest,
        { timeoutMs },
      );
    } catch (error) {
      if (!(error instanceof AskError)) throw error;
      if (!error.definite || clock.monotonicMs() + backupLimits.retryDelayMs >= deadlineMs) {
        throw new StoreError('Timeout', `the store member did not answer: ${error.message}`, true, {
          cause: error,
        });
      }
    }
    await new Promise<void>((resolve) => clock.setTimer(backupLimits.retryDelayMs, resolve));
  }
}
