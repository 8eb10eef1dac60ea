/**
 * Leases: their deadlines are part of the replicated state, computed from the clock of the group as the log
 * carries it. So a new leader neither restarts nor shortens them (etcd-io/etcd #9395, #13294, #15247); time in
 * the log never goes back: a leader whose clock is behind cannot make a lease end early.
 */
import { digestOfAll } from './digest.js';
import { KvError } from './errors.js';
import { KV_LIMITS } from './limits.js';
import type { Key, LeaseId, LeaseStatus } from './types.js';
import { compareLeaseIds, isLeaseId, leaseId } from './lease-id.js';

export interface Lease {
  readonly id: LeaseId;
  readonly ttlMs: number;
  deadlineMs: number;
  readonly keys: Set<Key>;
}

export class Leases {
  readonly #leases = new Map<LeaseId, Lease>();
  #clockMs = 0;
  #digest = 0;
  /** No lease ends before this; it may be too low, never too high. */
  #earliestDeadlineMs = Infinity;

  /** The latest `atMs` that any command carried. */
  get clockMs(): number {
    return this.#clockMs;
  }

  advanceClock(atMs: number): void {
    this.#clockMs = Math.max(this.#clockMs, atMs);
  }

  /** Over the leases and the clock (digest.ts); which keys they hold, the keys say. */
  get digest(): number {
    return digestOfAll([this.#digest, this.#clockMs]);
  }

  get size(): number {
    return this.#leases.size;
  }

  get(id: LeaseId): Lease | undefined {
    return this.#leases.get(id);
  }

  has(id: LeaseId): boolean {
    return this.#leases.has(id);
  }

  /** Id 0: takes the first free one from `index` on, which is the same on every member. */
  grant(id: LeaseId, ttlMs: number, index: number): Lease | KvError {
    if (!isLeaseId(id)) {
      return new KvError('InvalidArgument', `etcdserver: lease id ${id} is not a 64-bit integer`);
    }
    if (!(ttlMs > 0))
      return new KvError('InvalidArgument', `etcdserver: lease TTL of ${ttlMs} ms is not positive`);
    if (ttlMs > KV_LIMITS.leaseTtlMaxMs)
      return new KvError('LeaseTtlTooLarge', 'etcdserver: too large lease TTL');
    if (this.#leases.has(id)) return new KvError('LeaseExists', 'etcdserver: lease already exists');
    let free = index;
    if (id === 0) while (this.#leases.has(leaseId(free))) free += 1;
    const chosen = id === 0 ? leaseId(free) : id;
    return this.restore({ id: chosen, ttlMs, deadlineMs: this.#clockMs + ttlMs, keys: new Set() });
  }

  restore(lease: Lease): Lease {
    this.#leases.set(lease.id, lease);
    this.#count(lease, 1);
    this.#earliestDeadlineMs = Math.min(this.#earliestDeadlineMs, lease.deadlineMs);
    return lease;
  }

  /** Also of a lease past its deadline, as long as its revocation has not been applied. */
  renew(id: LeaseId): Lease | KvError {
    const lease = this.#leases.get(id);
    if (lease === undefined) return leaseNotFound();
    this.#count(lease, -1);
    lease.deadlineMs = this.#clockMs + lease.ttlMs;
    this.#count(lease, 1);
    return lease;
  }

  #count({ id, ttlMs, deadlineMs }: Lease, sign: 1 | -1): void {
    this.#digest = (this.#digest + sign * digestOfAll([id, ttlMs, deadlineMs])) >>> 0;
  }

  /** Forgets the lease; the caller deletes its keys. */
  remove(id: LeaseId): void {
    const lease = this.#leases.get(id);
    if (lease !== undefined) this.#count(lease, -1);
    this.#leases.delete(id);
  }

  /** Moves a key from one lease to another; 0 stands for none. */
  reattach(key: Key, from: LeaseId, to: LeaseId): void {
    if (from === to) return;
    this.#leases.get(from)?.keys.delete(key);
    this.#leases.get(to)?.keys.add(key);
  }

  /** Past their deadline at `nowMs`, the longest overdue first. */
  expired(nowMs: number): LeaseId[] {
    if (nowMs < this.#earliestDeadlineMs) return [];
    const overdue: Lease[] = [];
    let earliest = Infinity;
    for (const lease of this.#leases.values()) {
      earliest = Math.min(earliest, lease.deadlineMs);
      if (lease.deadlineMs <= nowMs) overdue.push(lease);
    }
    this.#earliestDeadlineMs = earliest;
    overdue.sort((a, b) => a.deadlineMs - b.deadlineMs || compareLeaseIds(a.id, b.id));
    return overdue.map((lease) => lease.id);
  }

  /** By id. */
  all(): Lease[] {
    return [...this.#leases.values()].sort((a, b) => compareLeaseIds(a.id, b.id));
  }

  status(id: LeaseId): LeaseStatus | KvError {
    const lease = this.#leases.get(id);
    if (lease === undefined) return leaseNotFound();
    return {
      id,
      grantedTtlMs: lease.ttlMs,
      deadlineMs: lease.deadlineMs,
      keys: [...lease.keys].sort(),
    };
  }
}

export function leaseNotFound(): KvError {
  return new KvError('LeaseNotFound', 'etcdserver: requested lease not found');
}
