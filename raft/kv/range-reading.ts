/**
 * A range that is too long for one answer, read piece by piece, as of the moment it was asked for: which versions it holds is
 * found at once, and each piece is made when it is wanted. So neither the member's event loop nor its memory feels how long it is.
 */
import type { KvError } from './errors.js';
import { KV_LIMITS } from './limits.js';
import { checkSize } from './range-in-turns.js';
import { type RangeSelection, selectRange } from './range.js';
import type { KeyValue, RangeOp, Revision } from './types.js';
import type { Version } from './values/index.js';
import { NO_VALUE, sizeOf, type Versions, withValue } from './versions.js';

export class RangeReading {
  readonly revision: Revision;
  readonly more: boolean;
  readonly count: number;
  readonly #versions: Versions;
  readonly #keysOnly: boolean;
  readonly #found: readonly Version[];
  /** Where each piece begins, and the last one ends. */
  readonly #bounds: readonly number[];
  readonly #release: () => void;

  /** The operation has passed its checks. To be closed, unless it is refused. */
  static open(versions: Versions, op: RangeOp, bytesMax: number): RangeReading | KvError {
    const selection = selectRange(versions, op);
    const tooLarge = op.keysOnly === true ? undefined : checkSize(selection.found, bytesMax);
    return tooLarge ?? new RangeReading(versions, op, selection);
  }

  private constructor(versions: Versions, op: RangeOp, selection: RangeSelection) {
    const { found, more, count } = selection;
    this.revision = versions.revision;
    this.more = more;
    this.count = count;
    this.#versions = versions;
    this.#keysOnly = op.keysOnly === true;
    this.#found = found;
    this.#bounds = boundsOf(found, this.#keysOnly);
    this.#release = versions.hold();
  }

  /** One, if there is nothing in it. */
  get pieces(): number {
    return this.#bounds.length - 1;
  }

  /** Any of them, as often as one likes; `number` counts from 0. */
  async read(number: number): Promise<KeyValue[]> {
    const some = this.#found.slice(this.#bounds[number], this.#bounds[number + 1]);
    if (this.#keysOnly) return some.map((version) => withValue(version, NO_VALUE));
    const values = await this.#versions.values.loadMany(some);
    return some.map((version, at) => withValue(version, values[at]!));
  }

  close(): void {
    this.#release();
  }
}

function boundsOf(found: readonly Version[], keysOnly: boolean): readonly number[] {
  const { rangePieceKeys, rangePieceBytes } = KV_LIMITS;
  const bounds = [0];
  let begin = 0;
  let bytes = 0;
  for (const [at, version] of found.entries()) {
    const size = keysOnly ? version.key.length : sizeOf(version);
    if (at > begin && (at - begin >= rangePieceKeys || bytes + size > rangePieceBytes)) {
      bounds.push(at);
      begin = at;
      bytes = 0;
    }
    bytes += size;
  }
  bounds.push(found.length);
  return bounds;
}
