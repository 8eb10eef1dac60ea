/** What a store of Kubernetes objects is filled with: keys as an apiserver writes them, values that show when they are wrong. */
import type { StoreClient } from '../../actors/store/index.js';
import type { PutTarget } from './put-load.js';
import { median } from './table.js';

const writers = 64;
const batchWriters = 16;
const triesMax = 10;

export interface Shape {
  readonly count: number;
  readonly valueBytes: number;
}

export function keyOf(n: number): string {
  const namespace = `namespace-${String(n % 97).padStart(2, '0')}`;
  return `/registry/pods/${namespace}/web-7d9f6c5b8d-${String(n).padStart(8, '0')}`;
}

/** Begins with the number, so that a wrong value shows. */
export function valueOf(n: number, valueBytes: number): Buffer {
  const value = Buffer.alloc(valueBytes, 0x61 + (n % 26));
  value.writeUInt32LE(n);
  return value;
}

export async function fill(target: PutTarget, { count, valueBytes }: Shape): Promise<void> {
  let next = 0;
  const writer = async () => {
    while (next < count) {
      const n = next++;
      await persistently(() => target.put(keyOf(n), valueOf(n, valueBytes)));
    }
  };
  await Promise.all(Array.from({ length: writers }, writer));
}

export async function fillInBatches(
  client: StoreClient,
  shape: Shape & { readonly batch: number },
  say: (line: string) => void,
): Promise<void> {
  let next = 0;
  const writer = async () => {
    while (next < shape.count) {
      const from = next;
      next += shape.batch;
      const success = Array.from({ length: Math.min(shape.batch, shape.count - from) }, (_, at) => ({
        type: 'put' as const,
        key: keyOf(from + at),
        value: valueOf(from + at, shape.valueBytes),
      }));
      await persistently(() => client.txn({ type: 'txn', compare: [], success, failure: [] }));
      if (from % (50_000 - (50_000 % shape.batch)) === 0) say(`${from} of ${shape.count} keys`);
    }
  };
  await Promise.all(Array.from({ length: batchWriters }, writer));
}

/** The same put twice is the same: on a busy machine one that came too late is made again. */
async function persistently(put: () => Promise<unknown>): Promise<void> {
  for (let left = triesMax; ; left--) {
    try {
      await put();
      return;
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

/** Every key that it reads must have its own value. */
export async function readSome(client: StoreClient, { count, valueBytes }: Shape): Promise<number> {
  const times: number[] = [];
  for (let at = 0; at < 500; at++) {
    const n = (at * 7919 * 31) % count;
    const begun = performance.now();
    const { result } = await client.range({ type: 'range', key: keyOf(n) });
    times.push(performance.now() - begun);
    const found = result.kvs[0]?.value;
    if (found === undefined || !valueOf(n, valueBytes).equals(found))
      throw new Error(`key ${n} has a wrong value`);
  }
  return median(times);
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
