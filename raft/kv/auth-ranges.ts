/** Keys that somebody may read or write: ranges that overlap or touch are one, so a request may span several permissions. */
import { endOf } from './txn-check.js';
import type { Key, KeyRange } from './types.js';

interface Span {
  readonly from: Key;
  /** Exclusive; null for none. */
  end: Key | null;
}

export class KeyRanges {
  /** In order, apart from each other. */
  readonly #spans: readonly Span[];

  constructor(ranges: readonly KeyRange[]) {
    const sorted = ranges.map((range): Span => ({ from: range.key, end: endOf(range) }));
    sorted.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
    const spans: Span[] = [];
    for (const span of sorted) {
      const last = spans.at(-1);
      if (last === undefined || isBefore(last.end, span.from)) spans.push(span);
      else if (last.end !== null && (span.end === null || span.end > last.end)) last.end = span.end;
    }
    this.#spans = spans;
  }

  /** Whether every key of the range is in. An empty range is as good as its first key. */
  hold(range: KeyRange): boolean {
    const end = endOf(range);
    const last = this.#lastFrom(range.key);
    if (last === undefined || isEndAtMost(last.end, range.key)) return false;
    if (last.end === null) return true;
    return end !== null && end <= last.end;
  }

  /** The last one that begins at the key or before it. */
  #lastFrom(key: Key): Span | undefined {
    let low = 0;
    let high = this.#spans.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#spans[middle]!.from <= key) low = middle + 1;
      else high = middle;
    }
    return this.#spans[low - 1];
  }
}

function isBefore(end: Key | null, from: Key): boolean {
  return end !== null && end < from;
}

function isEndAtMost(end: Key | null, key: Key): boolean {
  return end !== null && end <= key;
}
