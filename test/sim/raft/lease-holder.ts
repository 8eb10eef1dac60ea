/**
 * A client that lives by leases. One loop grants a lease, puts a key under it, waits or revokes it; the other keeps one alive for
 * a while. The key must not go early, and must go in the end; a renewal of what was revoked must not be answered as done.
 */
import { type LeaseId, leaseId, type Op } from 'raft-consensus';
import { seededRandom } from '../../../actors/runtime/index.js';
import { type StoreClient, StoreError } from '../../../actors/store/index.js';
import type { Clock, Random } from '../../../transport/index.js';

export interface Leased {
  readonly key: string;
  readonly ttlMs: number;
  /** By the holder's monotonic clock: it must not go before. */
  notBeforeMs: number;
  /** Asked for, from whatever outcome. */
  revoked: boolean;
}

export interface LeaseHolderOptions {
  readonly name: string;
  readonly client: Pick<StoreClient, 'txn' | 'leaseGrant' | 'leaseRevoke' | 'leaseKeepAlive'>;
  readonly clock: Clock;
  /** Of that clock, or one that runs as it does. */
  nowMs(): number;
  readonly seed: number;
  readonly leaseTtlMs: number;
  readonly timeoutMs: number;
  /** The run has failed already: what fails now only follows from it. */
  isOver(): boolean;
  readonly fail: (message: string) => never;
}

export class LeaseHolder {
  readonly #options: LeaseHolderOptions;
  readonly #client: LeaseHolderOptions['client'];
  readonly #random: Random;
  readonly leased: Leased[] = [];
  renewals = 0;
  #stopped = false;
  #running = 0;

  constructor(options: LeaseHolderOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#random = seededRandom(options.seed, `leases ${options.name}`);
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
    const { name, leaseTtlMs, timeoutMs } = this.#options;
    for (let at = 0; !this.#stopped; at++) {
      const ttlMs = Math.ceil(leaseTtlMs * (0.5 + this.#random.next()));
      const key = `/lease/${name}/${kind}/${at}`;
      const leased: Leased = { key, ttlMs, notBeforeMs: this.#options.nowMs() + ttlMs, revoked: false };
      try {
        const lease = await this.#client.leaseGrant(ttlMs, { id: kind === 'kept' ? wideId(at) : leaseId(0) });
        this.leased.push(leased);
        const put: Op = { type: 'put', key, value: Buffer.from(key), lease };
        await this.#client.txn({ type: 'txn', compare: [], success: [put], failure: [] }, { timeoutMs });
        await use(lease, leased);
      } catch (error) {
        // A violation is kept, and ends the run.
        if (this.#options.isOver()) break;
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
    const { timeoutMs } = this.#options;
    const renewals = 1 + this.#random.integer(8);
    for (let left = renewals; left > 0 && !this.#stopped; left--) {
      await this.#sleep((leased.ttlMs * (0.5 + this.#random.next())) / 4);
      const askedMs = this.#options.nowMs();
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
    const { timeoutMs } = this.#options;
    leased.revoked = true;
    const racing = this.#client.leaseKeepAlive(lease, { timeoutMs }).catch(() => undefined);
    await this.#client.leaseRevoke(lease);
    await racing;
    await this.#client.leaseKeepAlive(lease, { timeoutMs });
    this.#options.fail(`the lease of ${leased.key} was renewed after it had been revoked`);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.setTimer(ms, resolve));
  }
}

/** Neighbours are one as numbers. Of clients that choose their ids, as those of etcd may. */
function wideId(at: number): LeaseId {
  return leaseId((2n ** 62n + BigInt(at >> 1)) * (at % 2 === 0 ? 1n : -1n));
}
