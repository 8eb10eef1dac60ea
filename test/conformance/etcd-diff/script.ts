/**
 * Random scripts of etcd's KV, Watch and Lease services, from a seed: few keys, many edges. Left out, because etcd 3.4.23 and our store
 * differ on purpose or by a bug of etcd:
 * - negative revisions inside a transaction (etcd: compacted; outside of one it takes them for the newest; so do we in both);
 * - a put that fails for two reasons, no lease and no key to keep the value of (etcd names another one in a transaction than
 *   outside);
 * - a limit with a target to sort by and no order (etcd cuts first and sorts what is left);
 * - deletes inside nested transactions (we refuse a put of the same key in another one beside it, etcd depends on their order);
 * - a put and a delete `from key on` of the same key in one transaction (etcd does not see that they overlap, we refuse);
 * - orders and targets to sort by that do not exist (etcd 3.4 takes them for none, later ones refuse them);
 * - compaction at revision 0 (etcd lets it pass once, we as long as nothing was compacted);
 * - watches from a negative revision (etcd 3.4 takes it for any old one, later ones refuse it).
 */
import {
  type DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  type RequestOp,
  type TxnRequest,
} from '../../../actors/store/etcd/kv-messages.js';
import type { Schema } from '../../../actors/store/etcd/message.js';
import { WatchCreateRequest } from '../../../actors/store/etcd/rpc-messages.js';
import type { Random } from '../../../transport/index.js';
import { type EtcdCall, rpc } from '../../harness/etcd-calls.js';

/** One request, one reply. */
export interface Call {
  readonly type: 'call';
  readonly path: string;
  readonly schemas: readonly [Schema<object>, Schema<object>];
  readonly request: object;
}

export type Step =
  | Call
  | { readonly type: 'watch'; readonly request: WatchCreateRequest }
  /** Of the watchers that are open, which: modulo their number. */
  | { readonly type: 'cancel'; readonly which: number }
  | { readonly type: 'progress' };

const none = Buffer.alloc(0);
/** Two that are one as numbers, one that etcd would not make itself, and short ones. */
const leases = [1000, 7_587_870_294_857_493_521n, 7_587_870_294_857_493_522n, -1_000n] as const;
const keys = ['a', 'b', 'ba', 'bb', 'c', 'd\xff', '\0', 'z'];

export class Script {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** `head`: about the revision that the store has now. */
  next(head: number): Step {
    const kind = this.#random.integer(120);
    if (kind < 30) return call(rpc.put, this.#put());
    if (kind < 55) return call(rpc.range, this.#range(head));
    if (kind < 67) return call(rpc.deleteRange, this.#delete());
    if (kind < 88) return call(rpc.txn, this.#txn(head, 0));
    if (kind < 90) {
      const revision = head - this.#random.integer(30) + (this.#chance(0.1) ? 100 : 0);
      const request = { revision: revision || 1, physical: this.#chance(0.3) };
      return call(rpc.compact, request);
    }
    if (kind < 100) return this.#leaseCall(kind);
    if (kind < 101) return this.#tooMuch();
    if (kind < 109) return { type: 'watch', request: this.#watch(head) };
    if (kind < 114) return { type: 'cancel', which: this.#random.integer(100) };
    return { type: 'progress' };
  }

  #leaseCall(kind: number): Call {
    const id = this.#lease();
    if (kind < 93) {
      const ttl = this.#chance(0.1) ? 9_000_000_001 : 1000 + this.#random.integer(100);
      return call(rpc.leaseGrant, { id, ttl });
    }
    if (kind < 95) return call(rpc.leaseRevoke, { id });
    if (kind < 97) {
      const request = { id, keys: this.#chance(0.7) };
      return call(rpc.leaseTimeToLive, request);
    }
    if (kind < 98) return call(rpc.leaseKeepAlive, { id });
    return call(rpc.leases, {});
  }

  /** What is just small enough, or just too large. */
  #tooMuch(): Call {
    // Reads: of many keys that are alike in what they are sorted by, etcd says in which order by chance.
    const read = (key: string): RequestOp => ({ range: { ...RangeRequest.decode(none), key } });
    const several = (count: number) => Array.from({ length: count }, () => read(this.#one(...keys)));
    return this.#one(
      () =>
        call(rpc.txn, {
          compare: [],
          success: several(this.#one(128, 129)),
          failure: several(this.#one(1, 129)),
        }),
      () =>
        call(rpc.put, {
          ...PutRequest.decode(none),
          key: 'large',
          value: Buffer.alloc(this.#one(1_570_000, 1_573_000), 1),
        }),
    )();
  }

  #watch(head: number): WatchCreateRequest {
    const start = this.#one('now', 'now', 'past', 'past', 'future');
    return {
      ...WatchCreateRequest.decode(none),
      key: this.#key(),
      rangeEnd: this.#end(),
      startRevision:
        start === 'now' ? 0 : Math.max(1, head + (start === 'past' ? 1 : 20) - this.#random.integer(20)),
      progressNotify: this.#chance(0.3),
      prevKv: this.#chance(0.5),
      filters: this.#chance(0.3) ? [this.#random.integer(2)] : [],
      watchId: this.#chance(0.3) ? 1 + this.#random.integer(6) : 0,
    };
  }

  #chance(probability: number): boolean {
    return this.#random.next() < probability;
  }

  #one<T>(...choices: readonly T[]): T {
    return choices[this.#random.integer(choices.length)] as T;
  }

  #key(): string {
    return this.#chance(0.01) ? '' : this.#one(...keys);
  }

  #end(): string {
    return this.#chance(0.5) ? '' : this.#one(...keys, '\0');
  }

  #lease(): number | bigint {
    return this.#one<number | bigint>(...leases);
  }

  #put(): PutRequest {
    const ignoreValue = this.#chance(0.05);
    const value = ignoreValue && this.#chance(0.8) ? '' : this.#one('', '1', '2', '10', 'long value');
    return {
      ...PutRequest.decode(none),
      key: this.#key(),
      value: Buffer.from(value),
      prevKv: this.#chance(0.3),
      ignoreValue,
      ...(this.#chance(0.05) && { ignoreLease: true }),
      ...(!ignoreValue && this.#chance(0.2) && { lease: this.#lease() }),
    };
  }

  #range(head: number, revisionMin = -Infinity): RangeRequest {
    const filter = () => (this.#chance(0.15) ? Math.max(0, head - this.#random.integer(20)) : 0);
    const sortOrder = this.#chance(0.4) ? this.#random.integer(3) : 0;
    const sortTarget = this.#chance(0.4) ? this.#random.integer(5) : 0;
    const mayLimit = sortOrder !== 0 || sortTarget === 0;
    return {
      ...RangeRequest.decode(none),
      key: this.#key(),
      rangeEnd: this.#end(),
      limit: mayLimit && this.#chance(0.3) ? this.#random.integer(4) - 1 : 0,
      revision: Math.max(revisionMin, this.#chance(0.3) ? this.#near(head) : 0),
      sortOrder,
      sortTarget,
      serializable: this.#chance(0.2),
      keysOnly: this.#chance(0.15),
      countOnly: this.#chance(0.15),
      minModRevision: filter(),
      maxModRevision: filter(),
      minCreateRevision: filter(),
      maxCreateRevision: filter(),
    };
  }

  #near(head: number): number {
    return head - this.#random.integer(25) + (this.#chance(0.05) ? 100 : 0);
  }

  #delete(inTxn = false): DeleteRangeRequest {
    // Seldom all: scripts need keys.
    const end = this.#chance(0.15) ? this.#end() : '';
    const rangeEnd = inTxn && end === '\0' ? '' : end;
    return { key: this.#key(), rangeEnd, prevKv: this.#chance(0.4) };
  }

  #txn(head: number, depth: number): TxnRequest {
    const several = <T>(max: number, make: () => T): T[] =>
      Array.from({ length: this.#random.integer(max + 1) }, make);
    return {
      compare: several(2, () => this.#compare(head)),
      success: several(3, () => this.#op(head, depth)),
      failure: several(3, () => this.#op(head, depth)),
    };
  }

  #op(head: number, depth: number): RequestOp {
    const kind = this.#random.integer(depth < 2 ? 10 : 9);
    if (kind < 4) return { put: this.#put() };
    if (kind < 7) return { range: this.#range(head, 0) };
    if (kind < 9 && depth > 0) return { put: this.#put() };
    if (kind < 9) return { deleteRange: this.#delete(true) };
    return { txn: this.#txn(head, depth + 1) };
  }

  #compare(head: number): TxnRequest['compare'][number] {
    const near = Math.max(0, head - this.#random.integer(10));
    const target = this.#random.integer(5);
    const operand = [
      { version: this.#random.integer(3) },
      { createRevision: this.#one(0, near) },
      { modRevision: this.#one(0, near) },
      { value: Buffer.from(this.#one('1', '2', '')) },
      { lease: this.#one(0, this.#lease()) },
    ][target];
    return {
      version: undefined,
      createRevision: undefined,
      modRevision: undefined,
      value: undefined,
      lease: undefined,
      result: this.#random.integer(4),
      target,
      key: this.#key(),
      rangeEnd: this.#chance(0.2) ? this.#end() : '',
      ...operand,
    };
  }
}

function call<Q extends object, R extends object>(
  [path, schemas]: EtcdCall<Q, R>,
  request: Partial<Q>,
): Call {
  return { type: 'call', path, schemas: schemas as never, request };
}
