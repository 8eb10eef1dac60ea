/**
 * Whether this apiserver's store has a quorum: what kube-apiserver's `etcd` check asks. The answer is kept for a moment, so
 * that probes cost one read round each second and not one each.
 */
import type { ActorSystem } from '../runtime/index.js';
import type { StoreClient } from '../store/client.js';

const freshMs = 500;
const timeoutMs = 1_000;

export class StoreCheck {
  readonly #system: ActorSystem;
  readonly #store: StoreClient;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #outcome: Promise<string | undefined> = Promise.resolve('not asked yet');

  constructor(system: ActorSystem, store: StoreClient) {
    this.#system = system;
    this.#store = store;
  }

  /** Undefined: a linearizable read went through. */
  failure(): Promise<string | undefined> {
    const now = this.#system.env.clock.monotonicMs();
    if (now - this.#checkedAtMs >= freshMs) {
      this.#checkedAtMs = now;
      this.#outcome = this.#store.currentRevision({ timeoutMs }).then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
    }
    return this.#outcome;
  }
}
