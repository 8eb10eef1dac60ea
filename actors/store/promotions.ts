/** A leader makes voters of the learners that are to vote, each as soon as it has caught up. Level-triggered, on ticks. */
import { memberId, type Raft, RaftError } from 'raft-consensus';
import { infoOf } from './membership.js';

export class Promotions {
  readonly #raft: Raft<unknown>;
  readonly #timeoutMs: number;
  #isRunning = false;

  constructor(raft: Raft<unknown>, timeoutMs: number) {
    this.#raft = raft;
    this.#timeoutMs = timeoutMs;
  }

  /** Calls `failed` with what is not a matter of time. */
  check(failed: (name: string, error: RaftError) => void): void {
    if (this.#isRunning) return;
    const ready = infoOf(this.#raft.configuration()).filter(({ isToVote, publicKey, url }) => {
      // One that has an address and no key has not been started.
      return isToVote === true && (url === undefined || publicKey !== undefined);
    });
    if (ready.length > 0)
      void this.#promoteAll(
        ready.map(({ name }) => name),
        failed,
      );
  }

  async #promoteAll(
    names: readonly string[],
    failed: (name: string, error: RaftError) => void,
  ): Promise<void> {
    this.#isRunning = true;
    for (const name of names) await this.#promote(name, failed);
    this.#isRunning = false;
  }

  async #promote(name: string, failed: (name: string, error: RaftError) => void): Promise<void> {
    try {
      await this.#raft.promote(memberId(name), { timeoutMs: this.#timeoutMs });
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      if (error.reason === null || !laterPerhaps.has(error.reason)) failed(name, error);
    }
  }
}

const laterPerhaps: ReadonlySet<string> = new Set(['learner-not-ready', 'pending', 'quorum-at-risk']);
