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
import { readSpans, type ValueFiles } from './values/index.js';

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
      for (let at = 0; at < items.length;) {
        const some = nextFew(items, at);
        at += some.length;
        for (const item of await withValues(some, files)) {
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

/** As many as a piece of a range. */
function nextFew(items: readonly Item[], from: number): readonly Item[] {
  const { rangePieceKeys, rangePieceBytes } = KV_LIMITS;
  let bytes = 0;
  let to = from;
  for (; to < items.length && to - from < rangePieceKeys && bytes < rangePieceBytes; to++) {
    const item = items[to]!;
    if ('file' in item) bytes += item.valueBytes;
  }
  return items.slice(from, to);
}

async function withValues(
  items: readonly Item[],
  files: ValueFiles,
): Promise<readonly Exclude<Item, ReferredVersion>[]> {
  const stretches = items.flatMap((item) =>
    'file' in item ? [{ file: files.existing(item.file), offset: item.offset, length: item.valueBytes }] : [],
  );
  const values = await readSpans(stretches);
  let next = 0;
  return items.map((item) => {
    if (!('file' in item)) return item;
    const { file: number, offset, valueBytes, sum, ...facts } = item;
    const value = values[next++]!;
    if (value.length !== valueBytes || (sumOf(facts, value) | 0) !== sum) {
      throw files.corrupt(files.existing(number), offset, facts.key);
    }
    return { ...facts, value };
  });
}
