/**
 * Whether this apiserver's store has a quorum: what kube-apiserver's `etcd` check asks. The nearest member says whether it
 * has a leader: one that is cut off loses it within two election timeouts, and a leader without a quorum steps down within
 * one. A read round would say it sooner, for five times the letters, which an idle cluster would pay all day.
 */
import type { ActorSystem } from '../runtime/index.js';
import type { ApiStore } from '../store/client.js';

const freshMs = 500;
const timeoutMs = 1_000;

export class StoreCheck {
  readonly #system: ActorSystem;
  readonly #store: ApiStore;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #outcome: Promise<string | undefined> = Promise.resolve('not asked yet');

  constructor(system: ActorSystem, store: ApiStore) {
    this.#system = system;
    this.#store = store;
  }

  /** Undefined: the nearest member follows a leader, or is it. */
  failure(): Promise<string | undefined> {
    const now = this.#system.env.clock.monotonicMs();
    if (now - this.#checkedAtMs >= freshMs) {
      this.#checkedAtMs = now;
      this.#outcome = this.#store.status({ timeoutMs }).then(
        ({ member, leader }) => (leader === null ? `store member ${member} knows no leader` : undefined),
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
    }
    return this.#outcome;
  }
}
