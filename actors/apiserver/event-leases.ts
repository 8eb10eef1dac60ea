/** Events are forgotten after an hour: each is written under a lease, shared by those of the same minute. */
import type { LeaseId } from 'raft-consensus';
import type { ActorSystem } from '../runtime/index.js';
import { limits } from './limits.js';
import type { Storage } from './storage.js';

export class EventLeases {
  readonly #system: ActorSystem;
  readonly #storage: Storage;
  #granted: Promise<LeaseId> | undefined;
  #grantedAtMs = 0;

  constructor(system: ActorSystem, storage: Storage) {
    this.#system = system;
    this.#storage = storage;
  }

  current(): Promise<LeaseId> {
    const nowMs = this.#system.env.clock.monotonicMs();
    if (this.#granted && nowMs - this.#grantedAtMs < limits.eventLeaseReuseMs) return this.#granted;
    this.#grantedAtMs = nowMs;
    const granted = this.#storage.grantLease(limits.eventTtlMs + limits.eventLeaseReuseMs);
    this.#granted = granted;
    granted.catch(() => {
      // Whoever waits for it is told; the next event asks again.
      if (this.#granted === granted) this.#granted = undefined;
    });
    return granted;
  }
}
