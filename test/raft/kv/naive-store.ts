/**
 * What the key-value store should do, written for obviousness: a whole copy of all keys for each revision,
 * every question answered by going through one of them.
 */
import type { Compare, KeyRange, KeyValue, Op, RangeOp, TxnOp } from 'raft-consensus';
import { leaseId, revision } from 'raft-consensus';

type State = ReadonlyMap<string, KeyValue>;

export interface NaiveRange {
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: number;
}

export function inRange(range: KeyRange, key: string): boolean {
  if (range.rangeEnd === undefined) return key === range.key;
  return range.key <= key && (range.rangeEnd === '\0' || key < range.rangeEnd);
}

export class NaiveStore {
  /** `states[r]` is the state at revision r. */
  readonly states: State[] = [new Map(), new Map()];
  compactRevision = 0;

  get revision(): number {
    return this.states.length - 1;
  }

  /** Undefined when the store must refuse. */
  range(op: RangeOp): NaiveRange | undefined {
    const at = op.revision ?? 0;
    if (at > this.revision || (at > 0 && at < this.compactRevision)) return undefined;
    return rangeOf(this.states[at === 0 ? this.revision : at]!, op);
  }

  /**
   * Only well-formed transactions whose paths are all accepted. Returns the results of its ranges, in
   * order.
   */
  txn(txn: TxnOp): readonly NaiveRange[] {
    const before = this.states.at(-1)!;
    const after = new Map(before);
    const ranges: NaiveRange[] = [];
    let written = false;
    const write = (kv: Omit<KeyValue, 'modRevision'> | string): void => {
      written = true;
      if (typeof kv === 'string') after.delete(kv);
      else after.set(kv.key, { ...kv, modRevision: revision(this.revision + 1) });
    };
    const run = (one: TxnOp): void => {
      const ops = one.compare.every((compare) => holds(before, compare)) ? one.success : one.failure;
      for (const op of ops) this.#run(op, after, write, ranges, run);
    };
    run(txn);
    if (written) this.states.push(after);
    return ranges;
  }

  #run(
    op: Op,
    after: Map<string, KeyValue>,
    write: (kv: Omit<KeyValue, 'modRevision'> | string) => void,
    ranges: NaiveRange[],
    run: (txn: TxnOp) => void,
  ): void {
    if (op.type === 'txn') run(op);
    if (op.type === 'range') ranges.push(rangeOf(op.revision ? this.states[op.revision]! : after, op));
    if (op.type === 'delete') {
      for (const key of after.keys()) if (inRange(op, key)) write(key);
    }
    if (op.type === 'put') {
      const prev = after.get(op.key);
      write({
        key: op.key,
        value: op.value,
        createRevision: prev?.createRevision ?? revision(this.revision + 1),
        version: (prev?.version ?? 0) + 1,
        lease: op.lease ?? leaseId(0),
      });
    }
  }
}

function rangeOf(state: State, op: RangeOp): NaiveRange {
  const all = [...state.values()].filter((kv) => inRange(op, kv.key));
  all.sort((a, b) => (a.key < b.key ? -1 : 1));
  if (op.countOnly === true) return { kvs: [], more: false, count: all.length };
  let kvs = all.filter(
    (kv) =>
      (!op.minModRevision || kv.modRevision >= op.minModRevision) &&
      (!op.maxModRevision || kv.modRevision <= op.maxModRevision) &&
      (!op.minCreateRevision || kv.createRevision >= op.minCreateRevision) &&
      (!op.maxCreateRevision || kv.createRevision <= op.maxCreateRevision),
  );
  if (op.sort !== undefined) {
    const { target, order } = op.sort;
    const rank = (kv: KeyValue): number | string => {
      if (target === 'key') return kv.key;
      if (target === 'value') return Buffer.from(kv.value).toString('latin1');
      return { version: kv.version, create: kv.createRevision, mod: kv.modRevision }[target];
    };
    const sign = order === 'ascend' ? 1 : -1;
    kvs.sort((a, b) => (rank(a) < rank(b) ? -sign : rank(a) > rank(b) ? sign : 0));
  }
  const limit = op.limit || Infinity;
  const more = kvs.length > limit;
  kvs = kvs.slice(0, limit);
  if (op.keysOnly === true) kvs = kvs.map((kv) => ({ ...kv, value: new Uint8Array(0) }));
  return { kvs, more, count: all.length };
}

function holds(state: State, compare: Compare): boolean {
  const found = [...state.values()].filter((kv) => inRange(compare, kv.key));
  const candidates: (KeyValue | undefined)[] = found.length === 0 ? [undefined] : found;
  return candidates.every((kv) => {
    if (compare.target === 'value') {
      if (kv === undefined) return false;
      return relation(Buffer.compare(kv.value, compare.operand as Uint8Array), compare.result);
    }
    const field = {
      version: kv?.version,
      create: kv?.createRevision,
      mod: kv?.modRevision,
      lease: kv?.lease,
    };
    const [a, b] = [field[compare.target] ?? 0, compare.operand as number | bigint];
    return relation(a < b ? -1 : a > b ? 1 : 0, compare.result);
  });
}

function relation(order: number, result: Compare['result']): boolean {
  return { '=': order === 0, '!=': order !== 0, '<': order < 0, '>': order > 0 }[result];
}
