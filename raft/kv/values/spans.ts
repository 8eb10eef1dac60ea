/**
 * Many values of files, read a stretch at a time: what was written together lies together, so a list of a thousand keys is some
 * reads and not a thousand.
 */
import { KV_LIMITS } from '../limits.js';
import type { SlabFile } from './value-files.js';

export interface Stretch {
  readonly file: SlabFile;
  readonly offset: number;
  readonly length: number;
}

interface Span {
  readonly file: SlabFile;
  readonly offset: number;
  end: number;
  /** Places in what was asked for. */
  readonly wanted: number[];
}

/** In the order asked for, each in memory of its own; shorter where a file ends before. */
export async function readSpans(stretches: readonly Stretch[]): Promise<Uint8Array[]> {
  const spans = spansOf(stretches);
  const values: Uint8Array[] = Array.from({ length: stretches.length });
  for (let at = 0; at < spans.length; at += KV_LIMITS.rangeReadsMax) {
    await Promise.all(
      spans.slice(at, at + KV_LIMITS.rangeReadsMax).map(async ({ file, offset, end, wanted }) => {
        const bytes = await file.read(offset, end - offset);
        for (const place of wanted) {
          const { offset: begin, length } = stretches[place]!;
          values[place] = bytes.slice(begin - offset, begin - offset + length);
        }
      }),
    );
  }
  return values;
}

function spansOf(stretches: readonly Stretch[]): readonly Span[] {
  const { spanGapBytesMax, spanBytesMax } = KV_LIMITS;
  const order = stretches.map((_, place) => place);
  order.sort((a, b) => {
    const [one, other] = [stretches[a]!, stretches[b]!];
    return one.file.number - other.file.number || one.offset - other.offset;
  });
  const spans: Span[] = [];
  let last: Span | undefined;
  for (const place of order) {
    const { file, offset, length } = stretches[place]!;
    const end = offset + length;
    const isNear = last !== undefined && last.file === file && offset - last.end <= spanGapBytesMax;
    if (last !== undefined && isNear && end - last.offset <= spanBytesMax) {
      last.end = Math.max(last.end, end);
      last.wanted.push(place);
    } else {
      last = { file, offset, end, wanted: [place] };
      spans.push(last);
    }
  }
  return spans;
}
