/**
 * A range whose values lie in files, read without stopping the member: first what is in it, at once, then the values, a few
 * at a time and each few in a turn of its own. Versions never change, so the answer is that of the moment it was asked for.
 */
import { KvError } from './errors.js';
import { KV_LIMITS } from './limits.js';
import { selectRange } from './range.js';
import type { KeyValue, RangeOp, RangeResult, WithRevision } from './types.js';
import type { Version } from './values/index.js';
import { NO_VALUE, type Versions, withValue } from './versions.js';

/** The operation has passed its checks. */
export async function readInTurns(
  versions: Versions,
  op: RangeOp,
  turn: () => Promise<void>,
  bytesMax: number,
): Promise<WithRevision<RangeResult> | KvError> {
  const { revision } = versions;
  const { found, more, count } = selectRange(versions, op);
  const answer = (kvs: KeyValue[]) => ({ revision, result: { type: 'range', kvs, more, count } as const });
  if (op.keysOnly === true) return answer(found.map((version) => withValue(version, NO_VALUE)));
  const tooLarge = checkSize(found, bytesMax);
  if (tooLarge !== undefined) return tooLarge;
  const kvs: KeyValue[] = [];
  const release = versions.hold();
  try {
    for (let at = 0; at < found.length;) {
      // In a run of those that are in memory nothing is waited for.
      const some = nextFew(versions, found, at);
      if (at > 0) await turn();
      for (const value of await versions.values.loadMany(some)) kvs.push(withValue(found[at++]!, value));
    }
  } finally {
    release();
  }
  return answer(kvs);
}

/** No more than `rangeReadsMax` that have to be read, and a bound on the rest. */
function nextFew({ values }: Versions, found: readonly Version[], from: number): readonly Version[] {
  let reads = 0;
  let to = from;
  const end = Math.min(found.length, from + KV_LIMITS.rangeStepMax);
  for (; to < end && reads < KV_LIMITS.rangeReadsMax; to++) {
    if (values.peek(found[to]!) === undefined) reads++;
  }
  return found.slice(from, to);
}

/** Of their values. */
export function checkSize(found: readonly Version[], bytesMax: number): KvError | undefined {
  let bytes = 0;
  for (const { valueBytes } of found) bytes += valueBytes;
  if (bytes <= bytesMax) return undefined;
  const remedy = 'ask for it in parts, with a limit';
  return new KvError('TooLarge', `the range holds ${bytes} bytes, more than ${bytesMax}: ${remedy}`);
}
