/** A leader's attempt to hand over, until somebody leads or time is up. */
import type { MemberId } from './core/types.js';
import { RaftError } from './errors.js';

interface Pending {
  readonly to: MemberId;
  readonly deadlineMs: number;
  resolve(): void;
  reject(error: RaftError): void;
}

export class Transfer {
  #pending: Pending | null = null;

  get isPending(): boolean {
    return this.#pending !== null;
  }

  begin(pending: Pending): void {
    this.#pending = pending;
  }

  /** Somebody leads now: the one that it was to be, or another. */
  led(by: MemberId): void {
    if (this.#pending === null) return;
    const { to } = this.#pending;
    const lost = `${by} took over instead of ${to}`;
    this.end(by === to ? null : new RaftError('LeadershipLost', lost, { definite: false, leader: by }));
  }

  /** That one has ended: there is nothing to wait for. */
  gone(peer: MemberId): void {
    if (this.#pending?.to !== peer) return;
    this.end(new RaftError('Timeout', `${peer} ended before it took over`, { definite: false }));
  }

  expire(nowMs: number): void {
    if (this.#pending === null || this.#pending.deadlineMs > nowMs) return;
    this.end(new RaftError('Timeout', `${this.#pending.to} did not take over`, { definite: false }));
  }

  /** Null: it is done. */
  end(error: RaftError | null): void {
    const pending = this.#pending;
    this.#pending = null;
    if (error === null) pending?.resolve();
    else pending?.reject(error);
  }
}
