/**
 * Which apiserver to ask next: the one of the own machine first, then the others in order; one that failed
 * lately comes last until its penalty is over (ARCHITECTURE rule 14).
 */
import type { Clock } from '../../transport/index.js';
import type { ApiServerMessage } from '../apiserver/messages.js';
import type { ActorRef } from '../runtime/index.js';

export type ApiServerRef = ActorRef<ApiServerMessage>;

export class ApiServerChoice {
  readonly #servers: readonly ApiServerRef[];
  readonly #clock: Clock;
  readonly #penaltyMs: number;
  readonly #penaltyUntilMs = new Map<ApiServerRef, number>();

  constructor(servers: readonly ApiServerRef[], clock: Clock, penaltyMs: number) {
    if (servers.length === 0) throw new TypeError('an API client needs at least one apiserver');
    this.#servers = servers;
    this.#clock = clock;
    this.#penaltyMs = penaltyMs;
  }

  /** Every server once, the likeliest to answer first. */
  inOrder(): readonly ApiServerRef[] {
    const now = this.#clock.monotonicMs();
    const penalised = (server: ApiServerRef) => (this.#penaltyUntilMs.get(server) ?? 0) > now;
    return [...this.#servers.filter((s) => !penalised(s)), ...this.#servers.filter(penalised)];
  }

  failed(server: ApiServerRef): void {
    this.#penaltyUntilMs.set(server, this.#clock.monotonicMs() + this.#penaltyMs);
  }

  answered(server: ApiServerRef): void {
    this.#penaltyUntilMs.delete(server);
  }
}
