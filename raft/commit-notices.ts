/**
 * Commit notices wait a moment: under load the next append brings the same news, and the letter is saved. The last notice of
 * a leader to a peer counts; an append, which says as much or more, takes its place.
 */
import type { CommitNotice, Message } from './core/messages.js';
import type { MemberId } from './core/types.js';
import type { Clock } from './transport.js';

export class CommitNotices {
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #send: (notice: CommitNotice) => void;
  readonly #held = new Map<MemberId, CommitNotice>();
  #timer: { cancel(): void } | null = null;

  constructor(clock: Clock, delayMs: number, send: (notice: CommitNotice) => void) {
    this.#clock = clock;
    this.#delayMs = delayMs;
    this.#send = send;
  }

  /** True: the message is a notice, and leaves later. */
  holds(message: Message): boolean {
    if (message.type === 'append') this.#held.delete(message.to);
    if (message.type !== 'commit' || this.#delayMs === 0) return false;
    this.#held.set(message.to, message);
    this.#timer ??= this.#clock.setTimer(this.#delayMs, () => this.#sendAll());
    return true;
  }

  close(): void {
    this.#timer?.cancel();
    this.#held.clear();
  }

  #sendAll(): void {
    this.#timer = null;
    const notices = [...this.#held.values()];
    this.#held.clear();
    for (const notice of notices) this.#send(notice);
  }
}
