/**
 * Writes to the store: every one is a transaction that compares the key's revision, carries the fence of its writer
 * (ARCHITECTURE rule 10) and the reservations that must stand or fall with it (service addresses and ports).
 * Keys: `/registry/<resource>/<name>`, `/registry/<group>/<resource>/<namespace>/<name>`; `/fences/<ns>/<lease>`;
 * `/ranges/<range>/<value>`.
 */
import { Buffer } from 'node:buffer';
import type { Compare, KeyValue, LeaseId, Op, RangeResult } from 'raft-consensus';
import { StoreError, type ApiStore } from '../store/index.js';
import { limits } from './limits.js';
import { CacheEntry } from './resource-cache.js';
import { internalError, type StatusError, timedOut, tooManyRequests, waitedInVain } from './status.js';
import { registryRoot } from './watch-cache.js';

export interface StoredResource {
  readonly group: string;
  readonly resource: string;
}

/** `/registry/apps/deployments/`: where the objects of a resource live. */
export function resourcePrefix({ group, resource }: StoredResource): string {
  return group === '' ? `${registryRoot}${resource}/` : `${registryRoot}${group}/${resource}/`;
}

export function objectKey(of: StoredResource, namespace: string, name: string): string {
  const prefix = resourcePrefix(of);
  return namespace === '' ? `${prefix}${name}` : `${prefix}${namespace}/${name}`;
}

/** Groups without a dot, which would be taken for resources of the core otherwise. */
const shortGroups = new Set(['apps', 'autoscaling', 'batch', 'extensions', 'policy']);

/** The prefix of the resource that a key belongs to. */
export function prefixOfKey(key: string): string {
  const first = key.indexOf('/', registryRoot.length);
  if (first === -1) return key;
  const segment = key.slice(registryRoot.length, first);
  if (!segment.includes('.') && !shortGroups.has(segment)) return key.slice(0, first + 1);
  const second = key.indexOf('/', first + 1);
  return second === -1 ? key : key.slice(0, second + 1);
}

/** `<lease namespace>/<lease name>=<holderIdentity>/<leaseTransitions>` */
export interface Fence {
  readonly key: string;
  readonly value: string;
}

/** Undefined when the text is not a fence. */
export function parseFence(text: string): Fence | undefined {
  const match = /^([^/=]+)\/([^/=]+)=(.+\/\d+)$/.exec(text);
  return match ? { key: fenceKey(match[1]!, match[2]!), value: match[3]! } : undefined;
}

export function fenceKey(namespace: string, lease: string): string {
  return `/fences/${namespace}/${lease}`;
}

/** A value of a range that belongs to one object: a service address or a node port. */
export interface Reservation {
  readonly key: string;
  readonly owner: string;
}

/** Another key that must not have changed since it was read. */
export interface Requirement {
  readonly key: string;
  readonly revision: number;
}

export interface Write {
  readonly key: string;
  /** Revision that the key must have; 0: it must not exist. */
  readonly expected: number;
  /** Absent: delete. */
  readonly value?: Uint8Array;
  /** The key goes when this runs out. */
  readonly lease?: LeaseId | undefined;
  readonly fence?: Fence | undefined;
  readonly reserve?: readonly Reservation[];
  readonly require?: readonly Requirement[];
  readonly release?: readonly string[];
  /** Written along with it (the fence that a Lease sets). */
  readonly also?: readonly Op[];
}

export type WriteResult =
  | { readonly type: 'written'; readonly revision: number }
  /** The key has another revision; `current` is what stands there now. */
  | { readonly type: 'changed'; readonly current: CacheEntry | undefined }
  | { readonly type: 'fenced' }
  /** Keys of reservations that another object holds, and of requirements that do not hold. */
  | { readonly type: 'taken'; readonly keys: readonly string[] };

export class Storage {
  readonly #store: ApiStore;

  constructor(store: ApiStore) {
    this.#store = store;
  }

  /** Rejects with a StatusError when the store gives no answer; 504 when the outcome is unknown. */
  async write(write: Write): Promise<WriteResult> {
    const { key, expected, value, fence, reserve = [], require = [], release = [], also = [] } = write;
    const compare: Compare[] = [{ key, target: 'mod', result: '=', operand: expected }];
    const { lease } = write;
    const success: Op[] = [
      value === undefined
        ? { type: 'delete', key }
        : { type: 'put', key, value, ...(lease !== undefined && { lease }) },
    ];
    const failure: Op[] = [{ type: 'range', key }];
    if (fence) {
      compare.push({ key: fence.key, target: 'value', result: '=', operand: Buffer.from(fence.value) });
      failure.push({ type: 'range', key: fence.key });
    }
    for (const { key: reserved, owner } of reserve) {
      compare.push({ key: reserved, target: 'create', result: '=', operand: 0 });
      success.push({ type: 'put', key: reserved, value: Buffer.from(owner) });
      failure.push({ type: 'range', key: reserved, keysOnly: true });
    }
    for (const { key: required, revision } of require) {
      compare.push({ key: required, target: 'mod', result: '=', operand: revision });
      failure.push({ type: 'range', key: required, keysOnly: true });
    }
    for (const released of release) success.push({ type: 'delete', key: released });
    success.push(...also);
    const { revision, result } = await this.#asking(() =>
      this.#store.txn({ type: 'txn', compare, success, failure }, { timeoutMs: limits.storeTimeoutMs }),
    );
    if (result.succeeded) return { type: 'written', revision };
    const found = result.results.map((each) => (each as RangeResult).kvs[0]);
    const current = found[0];
    if (fence) {
      const holder = found[1];
      if (!holder || Buffer.from(holder.value).toString() !== fence.value) return { type: 'fenced' };
    }
    if ((current?.modRevision ?? 0) !== expected) return { type: 'changed', current: entryOf(current) };
    const first = fence ? 2 : 1;
    const taken = reserve.flatMap(({ key: reserved }, index) => (found[first + index] ? [reserved] : []));
    const stale = require.flatMap(({ key: required, revision: read }, index) =>
      found[first + reserve.length + index]?.modRevision === read ? [] : [required],
    );
    return { type: 'taken', keys: [...taken, ...stale] };
  }

  async grantLease(ttlMs: number): Promise<LeaseId> {
    return await this.#asking(() => this.#store.leaseGrant(ttlMs));
  }

  /** Sets a key of the apiservers' own that goes with the lease. */
  async announce(key: string, value: string, lease: LeaseId): Promise<void> {
    const put: Op = { type: 'put', key, value: Buffer.from(value), lease };
    await this.#asking(() =>
      this.#store.txn(
        { type: 'txn', compare: [], success: [put], failure: [] },
        { timeoutMs: limits.storeTimeoutMs },
      ),
    );
  }

  /** The newest version, linearizable. */
  async read(key: string): Promise<CacheEntry | undefined> {
    const { result } = await this.#asking(() =>
      this.#store.range({ type: 'range', key }, { timeoutMs: limits.storeTimeoutMs }),
    );
    return entryOf(result.kvs[0]);
  }

  /** A page of keys as of an old revision. Undefined: that revision is compacted. */
  async pageAt(
    prefix: string,
    from: string,
    end: string,
    revision: number,
    limit: number,
  ): Promise<{ readonly entries: readonly CacheEntry[]; readonly remaining: number } | undefined> {
    try {
      const { result } = await this.#store.range(
        {
          type: 'range',
          key: from > prefix ? from : prefix,
          rangeEnd: end,
          revision: revision as never,
          ...(limit > 0 && { limit }),
        },
        { timeoutMs: limits.storeTimeoutMs },
      );
      const entries = result.kvs.map((kv) => entryOf(kv)!);
      return { entries, remaining: Math.max(0, result.count - entries.length) };
    } catch (error) {
      if (isCompacted(error)) return undefined;
      throw statusOf(error);
    }
  }

  async #asking<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      throw statusOf(error);
    }
  }
}

function entryOf(kv: KeyValue | undefined): CacheEntry | undefined {
  return kv && new CacheEntry(kv.key, kv.value, kv.modRevision);
}

function isCompacted(error: unknown): boolean {
  const inner = error instanceof StoreError ? error.cause : error;
  return (inner as { code?: string } | undefined)?.code === 'Compacted';
}

/** What a failure of the store means to a client. */
export function statusOf(error: unknown): StatusError {
  if (!(error instanceof StoreError)) {
    return internalError(error instanceof Error ? error.message : String(error), {
      cause: error,
      definite: false,
    });
  }
  if (!error.definite)
    return timedOut(`the outcome of the write is unknown: ${error.message}`, { cause: error });
  switch (error.code) {
    case 'NoLeader':
      return waitedInVain(`the store has no leader: ${error.message}`, { cause: error });
    case 'Overloaded':
      return tooManyRequests(`the store is overloaded: ${error.message}`);
    case 'Timeout':
    case 'LeaderChanged':
      return waitedInVain(`the store did not answer in time: ${error.message}`, { cause: error });
    case 'Refused':
      return internalError(error.message, { cause: error });
    default:
      error.code satisfies never;
      return internalError(error.message, { cause: error });
  }
}
