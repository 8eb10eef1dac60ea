/**
 * The bytes of one simulated file: what is durable, what a reader sees now, and the unsynced operations
 * between the two. A crash replays each of those onto the durable bytes whole, in part (sector by sector)
 * or not at all.
 */
import { DISK_LIMITS } from './limits.js';

type Pending =
  | { readonly type: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly type: 'truncate'; readonly length: number };

export interface SimWrite {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Of the last writes that are durable, so many are remembered. */
const writesRemembered = 4;

export class SimInode {
  #durable = new Content();
  #current = new Content();
  #pending: Pending[] = [];
  /** How many operations were ever issued; `sync(mark)` makes those up to the mark durable. */
  #issued = 0;
  #writes: SimWrite[] = [];

  get durableSize(): number {
    return this.#durable.size;
  }

  get writes(): readonly SimWrite[] {
    return this.#writes;
  }

  get size(): number {
    return this.#current.size;
  }

  read(offset: number, length: number): Uint8Array {
    return this.#current.read(offset, length);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#issue({ type: 'write', offset, bytes: new Uint8Array(bytes) });
  }

  truncate(length: number): void {
    this.#issue({ type: 'truncate', length });
  }

  mark(): number {
    return this.#issued;
  }

  sync(mark: number): void {
    const count = this.#pending.length - (this.#issued - mark);
    for (const operation of this.#pending.splice(0, Math.max(0, count))) {
      apply(this.#durable, operation);
      if (operation.type === 'write') this.#writes = [...this.#writes, operation].slice(-writesRemembered);
      else this.#writes = [];
    }
  }

  flip(offset: number, mask: number): void {
    this.#durable.flip(offset, mask);
    this.#current.flip(offset, mask);
  }

  overwrite(offset: number, bytes: Uint8Array): void {
    this.#durable.write(offset, bytes);
    this.#current.write(offset, bytes);
  }

  /** Cuts off what is durable. */
  shorten(length: number): void {
    this.#durable.truncate(length);
    this.#current.truncate(length);
    this.#writes = [];
  }

  /** With what is durable, and nothing under way. */
  durableCopy(): SimInode {
    const copy = new SimInode();
    copy.#durable = this.#durable.copy();
    copy.#current = this.#durable.copy();
    return copy;
  }

  /** Power off while sectors are being written: so many of them hold neither what they held nor what they should. */
  garble(random: () => number, share: number): void {
    for (const operation of this.#pending) {
      if (operation.type === 'truncate') continue;
      for (const { offset, bytes } of sectorsOf(operation.offset, operation.bytes)) {
        if (random() >= share) continue;
        const begin = offset - (offset % DISK_LIMITS.sectorBytes);
        const end = Math.min(
          begin + DISK_LIMITS.sectorBytes,
          Math.max(this.#durable.size, offset + bytes.length),
        );
        this.#durable.write(
          begin,
          Uint8Array.from({ length: end - begin }, () => 1 + Math.floor(random() * 255)),
        );
      }
    }
    this.#forget();
  }

  crash(random: () => number): void {
    const fate = random();
    for (const operation of this.#pending) {
      if (fate < 0.25) continue;
      if (fate < 0.5 || operation.type === 'truncate') {
        if (fate < 0.5 || random() < 0.5) apply(this.#durable, operation);
      } else {
        for (const sector of sectorsOf(operation.offset, operation.bytes)) {
          if (random() < 0.5) this.#durable.write(sector.offset, sector.bytes);
        }
      }
    }
    this.#forget();
  }

  #forget(): void {
    this.#pending = [];
    this.#issued = 0;
    this.#writes = [];
    this.#current = this.#durable.copy();
  }

  #issue(operation: Pending): void {
    apply(this.#current, operation);
    this.#pending.push(operation);
    this.#issued++;
  }
}

function apply(content: Content, operation: Pending): void {
  if (operation.type === 'write') content.write(operation.offset, operation.bytes);
  else content.truncate(operation.length);
}

/** Cuts a write at sector boundaries: each piece reaches the disk whole or not at all. */
function sectorsOf(offset: number, bytes: Uint8Array): { offset: number; bytes: Uint8Array }[] {
  const pieces: { offset: number; bytes: Uint8Array }[] = [];
  let from = 0;
  while (from < bytes.length) {
    const sectorEnd = DISK_LIMITS.sectorBytes - ((offset + from) % DISK_LIMITS.sectorBytes);
    const to = Math.min(bytes.length, from + sectorEnd);
    pieces.push({ offset: offset + from, bytes: bytes.subarray(from, to) });
    from = to;
  }
  return pieces;
}

/** Bytes that grow on demand; what lies beyond the end reads as zero once written past. */
class Content {
  #bytes = new Uint8Array(0);
  size = 0;

  read(offset: number, length: number): Uint8Array {
    return this.#bytes.slice(offset, Math.max(offset, Math.min(this.size, offset + length)));
  }

  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2, 4096));
      grown.set(this.#bytes.subarray(0, this.size));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, offset);
    this.size = Math.max(this.size, end);
  }

  truncate(length: number): void {
    if (length > this.size) this.write(length - 1, new Uint8Array(1));
    else this.#bytes.fill(0, length, this.size);
    this.size = length;
  }

  flip(offset: number, mask: number): void {
    if (offset < this.size) this.#bytes[offset] = this.#bytes[offset]! ^ mask;
  }

  copy(): Content {
    const copy = new Content();
    copy.#bytes = this.#bytes.slice(0, this.size);
    copy.size = this.size;
    return copy;
  }
}
