/** Makes of a snapshot that refers to files of values one that holds them all, for another member: chunk by chunk. */
import { sumOf } from './digest.js';
import { KV_LIMITS } from './limits.js';
import {
  formatOf,
  KvSnapshotDecoder,
  KvSnapshotEncoder,
  type ReferredVersion,
  REFERRING_VERSION,
} from './snapshot-format.js';
import type { KeyValue } from './types.js';
import type { ValueFiles } from './values/index.js';

type Item = KeyValue | ReferredVersion | { readonly changes: number };

/** `beginning`: what a piece of the store's snapshot begins with. */
export function holdsAllValues(beginning: Uint8Array): boolean {
  return formatOf(beginning) < REFERRING_VERSION;
}

export async function* withAllValues(
  chunks: AsyncIterable<Uint8Array>,
  files: ValueFiles,
  chunkBytes: number,
): AsyncGenerator<Uint8Array> {
  const release = files.hold();
  try {
    let encoder: KvSnapshotEncoder | undefined;
    let items: Item[] = [];
    const decoder = new KvSnapshotDecoder({
      head: (head) => (encoder = new KvSnapshotEncoder({ ...head, filesOf: undefined }, chunkBytes)),
      base: (kv) => items.push(kv),
      change: (kv) => items.push(kv),
      endOfBase: (changes) => items.push({ changes }),
      reference: (_, at) => items.push(at),
    });
    for await (const chunk of chunks) {
      decoder.add(chunk);
      for (let at = 0; at < items.length; at += KV_LIMITS.rangeReadsMax) {
        const some = items.slice(at, at + KV_LIMITS.rangeReadsMax);
        for (const item of await Promise.all(some.map((one) => withValue(one, files)))) {
          if ('changes' in item) encoder!.endBase(item.changes);
          else encoder!.add(item);
          if (encoder!.isFull) yield encoder!.seal();
        }
      }
      items = [];
    }
    decoder.finish();
    if (!encoder!.isEmpty) yield encoder!.seal();
  } finally {
    release();
  }
}

async function withValue(item: Item, files: ValueFiles): Promise<Exclude<Item, ReferredVersion>> {
  if (!('file' in item)) return item;
  const { file: number, offset, valueBytes, sum, ...facts } = item;
  const file = files.existing(number);
  const value = await file.read(offset, valueBytes);
  if (value.length !== valueBytes || (sumOf(facts, value) | 0) !== sum) {
    throw files.corrupt(file, offset, facts.key);
  }
  return { ...facts, value };
}
