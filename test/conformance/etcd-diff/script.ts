/**
 * Random scripts of etcd's KV and Lease services, from a seed: few keys, many edges. Left out, because etcd 3.4.23 and our store
 * differ on purpose or by a bug of etcd:
 * - negative revisions inside a transaction (etcd: compacted; outside of one it takes them for the newest; so do we in both);
 * - a put that fails for two reasons, no lease and no key to keep the value of (etcd names another one in a transaction than
 *   outside);
 * - a limit with a target to sort by and no order (etcd cuts first and sorts what is left);
 * - deletes inside nested transactions (we refuse a put of the same key in another one beside it, etcd depends on their order);
 * - a put and a delete `from key on` of the same key in one transaction (etcd does not see that they overlap, we refuse).
 */
import {
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  type RequestOp,
  TxnRequest,
  TxnResponse,
} from '../../../actors/store/etcd/kv-messages.js';
import type { Schema } from '../../../actors/store/etcd/message.js';
import {
  Empty,
  HeaderOnly,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseLeasesResponse,
  LeaseRequest,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from '../../../actors/store/etcd/rpc-messages.js';
import type { Random } from '../../../transport/index.js';

export interface Step {
  readonly path: string;
  readonly schemas: readonly [Schema<object>, Schema<object>];
  readonly request: object;
}

const none = Buffer.alloc(0);
const keys = ['a', 'b', 'ba', 'bb', 'c', 'd\xff', '\0', 'z'];

export class Script {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** `head`: about the revision that the store has now. */
  next(head: number): Step {
    const kind = this.#random.integer(100);
    if (kind < 30) return step('KV/Put', PutRequest, PutResponse, this.#put());
    if (kind < 55) return step('KV/Range', RangeRequest, RangeResponse, this.#range(head));
    if (kind < 67) return step('KV/DeleteRange', DeleteRangeRequest, DeleteRangeResponse, this.#delete());
    if (kind < 88) return step('KV/Txn', TxnRequest, TxnResponse, this.#txn(head, 0));
    if (kind < 90) {
      const revision = head - this.#random.integer(30) + (this.#chance(0.1) ? 100 : 0);
      return step('KV/Compact', CompactionRequest, CompactionResponse, { revision });
    }
    const id = this.#lease();
    if (kind < 93) {
      const ttl = this.#chance(0.1) ? 9_000_000_001 : 1000 + this.#random.integer(100);
      return step('Lease/LeaseGrant', LeaseGrantRequest, LeaseGrantResponse, { id, ttl });
    }
    if (kind < 95) return step('Lease/LeaseRevoke', LeaseRequest, HeaderOnly, { id });
    if (kind < 98) {
      const request = { id, keys: this.#chance(0.7) };
      return step('Lease/LeaseTimeToLive', LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, request);
    }
    return step('Lease/LeaseLeases', Empty, LeaseLeasesResponse, {});
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

  #lease(): number {
    return 1000 + this.#random.integer(4);
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

function step<Q extends object, R extends object>(
  method: string,
  request: Schema<Q>,
  response: Schema<R>,
  message: Partial<Q>,
): Step {
  return { path: `/etcdserverpb.${method}`, schemas: [request, response] as never, request: message };
}
