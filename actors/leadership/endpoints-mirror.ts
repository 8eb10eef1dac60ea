/**
 * Shows the live Lease in the annotation that older clusters used as the lock itself, on Endpoints of the
 * same name: `kubectl get endpoints kube-scheduler -n kube-system -o yaml`. An emulation for people; nobody
 * decides by it, so a failure is noted and the next renewal tries again.
 */
import { type ApiClient, endpoints, isNotFound } from '../client/index.js';
import type { Lease } from '../objects/types/coordination.js';
import type { ActorSystem } from '../runtime/index.js';
import { annotationOf, fencingToken, leaderAnnotation } from './lease-record.js';

export interface EndpointsMirrorOptions {
  readonly system: ActorSystem;
  readonly client: ApiClient;
  readonly namespace: string;
  readonly name: string;
  readonly periodMs: number;
}

export class EndpointsMirror {
  readonly #options: EndpointsMirrorOptions;
  #shownAtMs = Number.NEGATIVE_INFINITY;
  #shownHolder = '';
  #writing = false;

  constructor(options: EndpointsMirrorOptions) {
    this.#options = options;
  }

  /** Returns at once; at most one write is under way, and renewals are shown once per period. */
  show(lease: Lease): void {
    const now = this.#options.system.env.clock.monotonicMs();
    const holder = fencingToken(lease);
    if (this.#writing) return;
    if (holder === this.#shownHolder && now - this.#shownAtMs < this.#options.periodMs) return;
    this.#shownAtMs = now;
    this.#shownHolder = holder;
    void this.write(lease, holder);
  }

  /** Never rejects. `fencing` names the lease as it stands in the store. */
  async write(lease: Lease, fencing: string): Promise<void> {
    const { system, client, namespace, name } = this.#options;
    const metadata = { annotations: { [leaderAnnotation]: annotationOf(lease) } };
    this.#writing = true;
    try {
      await client.patch(endpoints, namespace, name, 'merge', { metadata }, { fencing }).catch((error) => {
        if (!isNotFound(error)) throw error;
        return client.create(endpoints, { metadata: { name, namespace, ...metadata } }, { fencing });
      });
    } catch (error) {
      this.#shownHolder = '';
      const why = error instanceof Error ? error.message : String(error);
      system.note(name, 'leader annotation not written', { why: why.slice(0, 200) });
    } finally {
      this.#writing = false;
    }
  }
}
