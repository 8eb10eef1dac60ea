/** What has a path on this node: a cell (actor), a callback or the reply address of an ask. */
import type { Envelope } from '../../transport/index.js';
import type { TerminationReason } from './actor.js';

export interface Endpoint {
  readonly path: string;
  /** Unique per life on this node; changes when the actor ends. A watch belongs to one life. */
  readonly life: number;
  deliver(envelope: Envelope): void;
  /** Told as soon as the life has ended: asks that wait for a reply. */
  readonly onEnd: Farewell;
  /** Told when the life is over and its `stopped` hook is done: death watch. */
  readonly onGone: Farewell;
}

type Listener = (reason: TerminationReason) => void;

/** Who wants to know that a life is over. Each is told at most once. */
export class Farewell {
  #listeners: Set<Listener> | undefined;

  /** Returns the way to stop listening. */
  add(listener: Listener): () => void {
    const listeners = (this.#listeners ??= new Set());
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  fire(reason: TerminationReason): void {
    this.take()(reason);
  }

  /** Sets the listeners of the ending life apart; who comes from now on waits for the next one. */
  take(): Listener {
    const listeners = this.#listeners;
    this.#listeners = undefined;
    return (reason) => {
      for (const listener of listeners ?? []) {
        listeners?.delete(listener);
        listener(reason);
      }
    };
  }
}
