/**
 * The answer to a long range, encoded a few keys in a turn of the front's event loop: a list of 100 MB must not keep other
 * callers waiting for a second. Fields of a message may come in any order and lists in parts (protobuf.dev, "Encoding"), so the
 * parts are simply put behind each other.
 */
import type { KeyValue as StoredKeyValue } from 'raft-consensus';
import { RangeResponse, rangeResponseFields } from './kv-messages.js';
import { etcdLimits } from './limits.js';
import { Schema } from './message.js';

type LongRange = RangeResponse & {
  /** Keys and values that are encoded already. */
  readonly parts: readonly Buffer[];
};

class LongRangeSchema extends Schema<LongRange> {
  override encode(value: Partial<LongRange>, prefixBytes = 0): Buffer {
    const first = super.encode(value, prefixBytes);
    return value.parts === undefined ? first : Buffer.concat([first, ...value.parts]);
  }
}

export const LongRangeResponse = new LongRangeSchema('RangeResponse', rangeResponseFields);

/** At once when it fits into one turn. */
export function encodedInTurns(
  answer: Partial<RangeResponse>,
  kvs: readonly StoredKeyValue[],
  turn: () => Promise<void>,
): Partial<LongRange> | Promise<Partial<LongRange>> {
  return nextFew(kvs, 0) === kvs.length ? answer : inTurns(answer, kvs, turn);
}

async function inTurns(
  answer: Partial<RangeResponse>,
  kvs: readonly StoredKeyValue[],
  turn: () => Promise<void>,
): Promise<Partial<LongRange>> {
  const parts: Buffer[] = [];
  for (let at = 0; at < kvs.length;) {
    const end = nextFew(kvs, at);
    parts.push(RangeResponse.encode({ kvs: kvs.slice(at, end) }));
    at = end;
    await turn();
  }
  return { ...answer, kvs: [], parts };
}

/** Where they end. */
function nextFew(kvs: readonly StoredKeyValue[], from: number): number {
  const { rangeKeysPerTurn, rangeBytesPerTurn } = etcdLimits;
  let bytes = 0;
  let to = from;
  for (; to < kvs.length && to - from < rangeKeysPerTurn && bytes < rangeBytesPerTurn; to++) {
    bytes += kvs[to]!.value.length;
  }
  return to;
}
