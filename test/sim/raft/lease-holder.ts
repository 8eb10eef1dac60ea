/**
 * A client that lives by leases. One loop grants a lease, puts a key under it, waits or revokes it; the other keeps one alive for
 * a while. The key must not go early, and must go in the end; a renewal of what was revoked must not be answered as done.
 */
import type { LeaseId, Op } from 'raft-consensus';
import { type ActorSystem, seededRandom } from '../../../actors/runtime/index.js';
import { createStoreClient, type StoreClient, StoreError } from '../../../actors/store/index.js';
import { nodeId, type Random } from '../../../transport/index.js';
import type { StoreGroup } from './store-group.js';

export interface Leased {
  readonly key: string;
  readonly ttlMs: number;
  /** Virtual time before which it must not go. */
  notBeforeMs: number;
  /** Asked for, from whatever outcome. */
  revoked: boolean;
}

export class LeaseHolder {
  readonly #group: StoreGroup;
  readonly #client: StoreClient;
  readonly #system: ActorSystem;
  readonly #random: Random;
  readonly #name: string;
  readonly leased: Leased[] = [];
  renewals = 0;
  #stopped = false;
  #running = 0;

  constructor(group: StoreGroup, name: string) {
    this.#group = group;
    this.#name = name;
    this.#random = seededRandom(group.swarm.seed, `leases ${name}`);
    this.#system = group.world.system(nodeId(name));
    this.#client = createStoreClient({ system: this.#system, members: group.refs });
  }

  get isIdle(): boolean {
    return this.#running === 0;
  }

  stop(): void {
    this.#stopped = true;
  }

  run(): void {
    void this.#loop('once', (lease, leased) => this.#letGo(lease, leased));
    void this.#loop('kept', (lease, leased) => this.#keep(lease, leased));
  }

  async #loop(kind: string, use: (lease: LeaseId, leased: Leased) => Promise<void>): Promise<void> {
    this.#running += 1;
    const { leaseTtlMs, timeoutMs } = this.#group.swarm;
    for (let at = 0; !this.#stopped; at++) {
      const ttlMs = Math.ceil(leaseTtlMs * (0.5 + this.#random.next()));
      const key = `/lease/${this.#name}/${kind}/${at}`;
      const leased: Leased = { key, ttlMs, notBeforeMs: this.#group.nowMs + ttlMs, revoked: false };
      try {
        const lease = await this.#client.leaseGrant(ttlMs);
        this.leased.push(leased);
        const put: Op = { type: 'put', key, value: Buffer.from(key), lease };
        await this.#client.txn({ type: 'txn', compare: [], success: [put], failure: [] }, { timeoutMs });
        await use(lease, leased);
      } catch (error) {
        // A violation is kept, and ends the run.
        if (this.#group.violation) return;
        if (!(error instanceof StoreError)) throw error;
      }
      await this.#sleep(200 + this.#random.next() * 1_000);
    }
    this.#running -= 1;
  }

  async #letGo(lease: LeaseId, leased: Leased): Promise<void> {
    if (this.#random.next() >= 0.2) return;
    leased.revoked = true;
    await this.#client.leaseRevoke(lease);
  }

  async #keep(lease: LeaseId, leased: Leased): Promise<void> {
    const { timeoutMs } = this.#group.swarm;
    const renewals = 1 + this.#random.integer(8);
    for (let left = renewals; left > 0 && !this.#stopped; left--) {
      await this.#sleep((leased.ttlMs * (0.5 + this.#random.next())) / 4);
      const askedMs = this.#group.nowMs;
      try {
        await this.#client.leaseKeepAlive(lease, { timeoutMs });
        leased.notBeforeMs = askedMs + leased.ttlMs;
        this.renewals += 1;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        if (error.code === 'Refused') return;
      }
    }
    if (this.#random.next() < 0.5) await this.#revokeTwice(lease, leased);
  }

  /** Renewals go on while it is revoked, and after. */
  async #revokeTwice(lease: LeaseId, leased: Leased): Promise<void> {
    const { timeoutMs } = this.#group.swarm;
    leased.revoked = true;
    const racing = this.#client.leaseKeepAlive(lease, { timeoutMs }).catch(() => undefined);
    await this.#client.leaseRevoke(lease);
    await racing;
    await this.#client.leaseKeepAlive(lease, { timeoutMs });
    this.#group.fail(`the lease of ${leased.key} was renewed after it had been revoked`);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#system.env.clock.setTimer(ms, resolve));
  }
}
